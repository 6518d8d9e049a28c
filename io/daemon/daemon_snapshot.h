// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>
#include <stdio.h>

struct daemon;

// The cache's snapshots (io/edge/snapshot.h) at the start, at the end, and in between.

// Fills the cache from the last snapshot, before any worker runs. A bad file is logged and left
// alone, and the cache starts empty, as it does where the file system does not answer. False: a
// signal asks this process to end.
[[nodiscard]] bool snapshot_load(struct daemon *daemon);

// The task that writes one.
[[nodiscard]] bool daemon_snapshot(struct daemon *daemon, FILE *report);

// Writes the last snapshot, if `wanted`, as far as there is time until `end_ms`. One that is under
// way is good enough, as it is only some seconds older.
void snapshot_last(struct daemon *daemon, bool wanted);
