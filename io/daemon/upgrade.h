// SPDX-License-Identifier: MIT
#pragma once
#include "io/edge/file_mark.h"
#include "io/engine/engine_succession.h"

// The upgrade (`ouzel ctl upgrade`): the running process starts a successor with its own command
// line, and passes it what it needs over a pair of sockets. Until the successor has started, either
// side may fail or end at any moment, and the predecessor goes on as before.
//
//   predecessor                                  successor (`ouzel serve` with OUZEL_UPGRADE_FD
//   set) upgrade_begin: starts the successor     ->   upgrade_find upgrade_give: sockets, memory,
//   ...      ->   upgrade_receive
//                                           <-   upgrade_ready, when it could start, and whether
//                                                with the XDP plane
//   the engine rests
//   upgrade_go: what was counted and learned ->  upgrade_wait
//                                           <-   upgrade_started, when it answers
//   upgrade_last: what was counted since    ->   upgrade_counted
//   ends

#define UPGRADE_WHY_SIZE 900
#define UPGRADE_VARIABLE "OUZEL_UPGRADE_FD" // of the environment
#define UPGRADE_READY_S  60                 // the successor may have long lists to read

// What the predecessor passes on: the engine's part, and the rest of the process's. Descriptors are
// -1 where there is none.
struct daemon_inheritance {
    struct engine_inheritance engine;
    struct address stats;
    int stats_fd;
    char control[108];             // a path
    struct file_mark control_mark; // the socket there
    int control_fd;
    bool sandboxed;                // the filter of system calls is in force, and stays so
    struct engine_lesson *lessons; // what was learned of upstreams, received by upgrade_wait
    size_t lesson_count;
    char why[UPGRADE_WHY_SIZE];
};

// Closes the descriptors that were not moved out, and frees the memory.
void daemon_inheritance_free(struct daemon_inheritance *inheritance);

// Writes a sentence, and returns the error for the caller to return.
__attribute__((format(printf, 3, 4))) int upgrade_fails(char why[static UPGRADE_WHY_SIZE],
                                                        int error, const char *format, ...);
