// SPDX-License-Identifier: MIT
#pragma once
#include "io/daemon/upgrade.h"

// The side of the process that takes its place.

// The descriptor it was started with; -1: it was started in no such way.
[[nodiscard]] int upgrade_find(void);

// Takes what is handed over. 0, or a negative errno and inheritance->why.
[[nodiscard]] int upgrade_receive(int fd, struct daemon_inheritance *inheritance);

// It could start; or it cannot, for this reason.
void upgrade_ready(int fd);
void upgrade_refuse(int fd, const char *why);

// Waits until the old one has given way, and takes what it has counted and learned. False: it has
// not.
[[nodiscard]] bool upgrade_wait(int fd, struct counters *counted,
                                struct daemon_inheritance *inheritance);
void upgrade_started(int fd);

// Something has come: what was counted since. False: that was the last, or there is none.
[[nodiscard]] bool upgrade_counted(int fd, struct counters *counted);
