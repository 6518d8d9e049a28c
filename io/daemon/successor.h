// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>
#include <stdio.h>

struct daemon;

// The process that takes the place of this one (upgrade.h).

// Where the program's file is.
void program_find(struct daemon *daemon);

// The task: has another process take over.
[[nodiscard]] bool daemon_upgrade(struct daemon *daemon, FILE *report);

// A reload that was asked for while an upgrade was under way: is this one's, or the heir's, who may
// have read its settings before. For who has the turn.
void reload_pass(struct daemon *daemon);

// Answers what was asked of this process, while the heir hears what is asked from now on.
void finish(struct daemon *daemon);

// Has an upgrade that is under way come to its end, one or the other. The end that a signal asked
// of this process is then asked of the heir, should there be one.
void upgrade_resolve(struct daemon *daemon);

// Waits, within `end_ms`, for the end of an heir that was asked to end: whoever asked for it may
// start another process as soon as this one is over, and that one wants the addresses.
void heir_wait(struct daemon *daemon);
