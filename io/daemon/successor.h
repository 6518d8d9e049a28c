// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>
#include <stdio.h>

struct daemon;

// The process that takes the place of this one (upgrade.h).

// Where the program's file is.
void successor_program(struct daemon *daemon);

// The task: has another process take over.
[[nodiscard]] bool daemon_upgrade(struct daemon *daemon, FILE *report);

// A reload that was asked for while an upgrade was under way: is this one's, or the successor's,
// who may have read its settings before. For who has the turn.
void successor_reload(struct daemon *daemon);

// Answers what was asked of this process, while the successor hears what is asked from now on.
void successor_finish(struct daemon *daemon);

// Has an upgrade that is under way come to its end, one or the other. The end that a signal asked
// of this process is then asked of the successor, should there be one.
void successor_resolve(struct daemon *daemon);

// Waits, within `end_ms`, for the end of a successor that was asked to end: whoever asked for it
// may start another process as soon as this one is over, and that one wants the addresses.
void successor_wait(struct daemon *daemon);
