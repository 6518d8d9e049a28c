// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>
#include <stdio.h>

struct daemon;

// The cache's snapshots (io/edge/snapshot.h) at the start, at the end, and in between.

// Fills the cache from the last snapshot, before any worker runs. A bad file is told and left
// alone: the start is empty, and so it is where the file system does not answer. False: a signal
// asks for the end.
[[nodiscard]] bool snapshot_load(struct daemon *daemon);

// The task: writes one.
[[nodiscard]] bool daemon_snapshot(struct daemon *daemon, FILE *report);

// The last snapshot, where one is wanted, as far as that fits into what is left until `end_ms`. One
// that is under way is as good: it is some seconds older at most.
void snapshot_last(struct daemon *daemon, bool wanted);
