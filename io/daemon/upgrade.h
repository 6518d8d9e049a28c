// SPDX-License-Identifier: MIT
#pragma once
#include "io/edge/file_mark.h"
#include "io/engine/engine_succession.h"

// A new program takes the place of a running one (`ouzel ctl upgrade`): the running process starts
// the new one with its own command line and hands it, over a pair of sockets, what it needs to go
// on. Either side may fail or end at any moment until the new one has started; then the old one
// goes on as if nothing had been.
//
//   old                                          new (`ouzel serve`, with OUZEL_UPGRADE_FD set)
//   upgrade_begin: starts the other one     ->   upgrade_find
//   upgrade_give: sockets, memory, ...      ->   upgrade_take
//                                           <-   upgrade_ready, when it could start
//   the engine rests
//   upgrade_go: what was counted and learned ->  upgrade_wait
//                                           <-   upgrade_started, when it answers
//   upgrade_last: what was counted since    ->   upgrade_counted
//   ends

#define UPGRADE_WHY_SIZE 900

// What beside the engine's estate is handed over; descriptors are -1 where there is none.
struct inheritance {
    struct estate estate;
    struct address stats;
    int stats_fd;
    char control[108];             // a path
    struct file_mark control_mark; // what is the socket there
    int control_fd;
    bool sandboxed;                // the filter of system calls is in force, and stays so
    struct engine_lesson *lessons; // what was learned of upstreams, taken by upgrade_wait
    size_t lesson_count;
    char why[UPGRADE_WHY_SIZE];
};

// --- the old one's side. Each is 0, or a negative errno and a sentence in `why`.

struct upgrade {
    int fd;
    int pid;
    bool refused;         // the other one has said why it cannot start, and ends
    struct counters told; // what the other one knows to be counted
    char why[UPGRADE_WHY_SIZE];
};

// `program`: the path of what is to be started, with the command line `argv`. Where a step fails,
// upgrade_end ends the other process, which has changed nothing yet.
[[nodiscard]] int upgrade_begin(struct upgrade *upgrade, const char *program, char **argv);
[[nodiscard]] int upgrade_give(struct upgrade *upgrade, const struct inheritance *inheritance);
[[nodiscard]] int upgrade_go(struct upgrade *upgrade, struct engine *engine);
[[nodiscard]] int upgrade_wait_started(struct upgrade *upgrade);
void upgrade_last(struct upgrade *upgrade, const struct engine *engine);
void upgrade_end(struct upgrade *upgrade);

// Waits for the other process to end by itself; false: it has not within that time.
bool upgrade_wait_ended(struct upgrade *upgrade, unsigned limit_ms);

// From another thread, once upgrade_begin is done: whoever waits for the other process gets an
// error at once, unless that has started.
void upgrade_cut(const struct upgrade *upgrade);

// --- the new one's side.

// The descriptor it was started with; -1: it was started in no such way.
[[nodiscard]] int upgrade_find(void);

// Takes what is handed over. 0, or a negative errno and inheritance->why.
[[nodiscard]] int upgrade_take(int fd, struct inheritance *inheritance);
void inheritance_free(struct inheritance *inheritance);

// It could start; or it cannot, for this reason.
void upgrade_ready(int fd);
void upgrade_refuse(int fd, const char *why);

// Waits until the old one has given way, and takes what it has counted and learned. False: it has
// not.
[[nodiscard]] bool upgrade_wait(int fd, struct counters *counted, struct inheritance *inheritance);
void upgrade_started(int fd);

// Something has come: what was counted since. False: that was the last, or there is none.
[[nodiscard]] bool upgrade_counted(int fd, struct counters *counted);
