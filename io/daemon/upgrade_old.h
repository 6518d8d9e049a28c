// SPDX-License-Identifier: MIT
#pragma once
#include "io/daemon/upgrade.h"

// The side of the process that is replaced. Each is 0, or a negative errno and a sentence in `why`.

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
[[nodiscard]] int upgrade_give(struct upgrade *upgrade,
                               const struct daemon_inheritance *inheritance);
[[nodiscard]] int upgrade_go(struct upgrade *upgrade, struct engine *engine);
[[nodiscard]] int upgrade_wait_started(struct upgrade *upgrade);
void upgrade_last(struct upgrade *upgrade, const struct engine *engine);
void upgrade_end(struct upgrade *upgrade);

// Waits for the other process to end by itself; false: it has not within that time.
bool upgrade_wait_ended(struct upgrade *upgrade, unsigned limit_ms);

// From another thread, once upgrade_begin is done: whoever waits for the other process gets an
// error at once, unless that has started.
void upgrade_cut(const struct upgrade *upgrade);
