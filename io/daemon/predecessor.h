// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>

struct daemon;

// The process that this one takes over from, where there is one (upgrade.h).

// Takes what another process hands over, where one does. False: that failed.
[[nodiscard]] bool predecessor_receive(struct daemon *daemon);

// Nothing more of it is of use.
void predecessor_drop(struct daemon *daemon);

// Waits until the process before gives way.
[[nodiscard]] bool predecessor_gives_way(struct daemon *daemon);

// Tells it that this one has taken over.
void predecessor_replaced(struct daemon *daemon);

// It tells what it has counted meanwhile.
void predecessor_heard(struct daemon *daemon);

// Why this one does not start: to the log, and to the process before. Returns STATUS_FAILED.
int predecessor_start_fails(const struct daemon *daemon, const char *why);
