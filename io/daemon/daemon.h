// SPDX-License-Identifier: MIT
#pragma once
#include "io/engine/engine.h"

#include <stdio.h>

// The daemon as a whole: the settings in force, the engine, the log, and what an operator may have
// it do while it runs. Those calls come from the main thread (a signal) or from that of the control
// socket; they take turns.
//
// Neither of the two threads waits for a file, a disk or another process: what may have to is a
// task, which has a thread of its own.

struct daemon; // opaque

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

// Each of these tells what it did, or why it did not, in lines to `report`, and in the log. False:
// it did not, and nothing has changed.

// Says at /readyz that nobody should come any more, goes on answering, and ends when nobody has
// asked anything for three seconds and all have their answers, or after five minutes.
bool daemon_drain(struct daemon *daemon, FILE *report);

// Drops what is kept; `name` where `what` says so.
bool daemon_flush(struct daemon *daemon, enum flush_what what, const struct name *name,
                  FILE *report);

// Has the log tell what is as urgent as this word of log.level, until the next reload.
bool daemon_log_level(struct daemon *daemon, const char *word, FILE *report);

// These only look.

// All metrics.
bool daemon_stats(struct daemon *daemon, bool json, FILE *report);

// What the workers together know of the upstreams.
bool daemon_upstreams(struct daemon *daemon, bool json, FILE *report);

// What is asked for most, by whom, and what fails most.
bool daemon_top(struct daemon *daemon, bool json, FILE *report);

// What is known of a question and what would come of it now; `client` may be NULL.
bool daemon_explain(struct daemon *daemon, const struct name *name, uint16_t type,
                    const struct address *client, bool json, FILE *report);
