// SPDX-License-Identifier: MIT
#pragma once
#include "io/engine/engine.h"

#include <stdio.h>

// The daemon as a whole: the settings in force, the engine, the log, and what an operator may have
// it do while it runs (orders.h). That comes from the main thread (a signal) or from the control
// socket's; they take turns.
//
// Neither of the two threads waits for a file, a disk or another process: what may have to is a
// task, which has a thread of its own.

struct daemon; // opaque: daemon_state.h

// Runs `ouzel serve` with this command line until a signal or a failure ends it; returns the exit
// status.
int daemon_run(int argc, char **argv);

// Tasks. There is one of each kind at a time.
enum daemon_task {
    TASK_RELOAD,   // reads the settings and all files that they name again, and puts them in force
    TASK_SNAPSHOT, // writes the answers to the file that cache.snapshot names
    TASK_UPGRADE,  // has another process of the program, as its file is now, take over with the
                   // same command line (upgrade.h); this one ends when it has answered everything
    TASK_COUNT
};

// Begins one. `done` is called in its thread when it is over: `good` is false where it was not
// done, and nothing has changed; `text`, from malloc and the callee's to free, tells what was done
// or why not. 0; or -EBUSY: one of its kind is under way; or another negative errno, which the log
// tells, as -EAGAIN: there is no thread. `done` is called after 0 alone.
[[nodiscard]] int daemon_begin(struct daemon *daemon, enum daemon_task which,
                               void (*done)(void *context, bool good, char *text, size_t len),
                               void *context);

// What a task is called in a sentence: "a reload".
[[nodiscard]] const char *daemon_task_noun(enum daemon_task which);
