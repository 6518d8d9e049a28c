// SPDX-License-Identifier: MIT
#pragma once
#include "io/daemon/upgrade.h"

// The predecessor's side of an upgrade. Each returns 0, or a negative errno with a sentence in
// `why`.

struct upgrade {
    int fd;
    int pid;
    bool refused;         // the successor has said why it cannot start, and ends
    bool leaves_plane;    // the successor goes on without our XDP plane
    struct counters told; // the counters that the successor has
    char why[UPGRADE_WHY_SIZE];
};

// `program` is the path of the program to start, with the command line `argv`. Where a step fails,
// upgrade_end ends the successor, which has changed nothing yet.
[[nodiscard]] int upgrade_begin(struct upgrade *upgrade, const char *program, char **argv);
[[nodiscard]] int upgrade_give(struct upgrade *upgrade,
                               const struct daemon_inheritance *inheritance);
[[nodiscard]] int upgrade_go(struct upgrade *upgrade, struct engine *engine);
[[nodiscard]] int upgrade_wait_started(struct upgrade *upgrade);
void upgrade_last(struct upgrade *upgrade, const struct engine *engine);
void upgrade_end(struct upgrade *upgrade);

// Waits for the successor to end by itself; false: it has not within that time.
bool upgrade_wait_ended(struct upgrade *upgrade, unsigned limit_ms);

// From another thread, after upgrade_begin: a thread that waits for the successor gets an error at
// once, unless the successor has started.
void upgrade_cut(const struct upgrade *upgrade);
