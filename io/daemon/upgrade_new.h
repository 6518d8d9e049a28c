// SPDX-License-Identifier: MIT
#pragma once
#include "io/daemon/upgrade.h"

// The successor's side of an upgrade.

// The descriptor that it was started with; -1: it was not started for an upgrade.
[[nodiscard]] int upgrade_find(void);

// Receives the inheritance. 0, or a negative errno and inheritance->why.
[[nodiscard]] int upgrade_receive(int fd, struct daemon_inheritance *inheritance);

// Says that it can start, with the predecessor's XDP plane or without; or that it cannot, and why.
void upgrade_ready(int fd, bool with_plane);
void upgrade_refuse(int fd, const char *why);

// Waits until the predecessor has stopped receiving, and receives what it counted and learned.
// False: it has not.
[[nodiscard]] bool upgrade_wait(int fd, struct counters *counted,
                                struct daemon_inheritance *inheritance);
void upgrade_started(int fd);

// Receives what the predecessor counted since. False: that failed, or there is no more.
[[nodiscard]] bool upgrade_counted(int fd, struct counters *counted);
