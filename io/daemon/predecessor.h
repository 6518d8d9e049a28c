// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>

struct daemon;

// The process that this one takes over from, where there is one (upgrade.h).

// Takes what another process hands over, where one does. False: that failed.
[[nodiscard]] bool before_take(struct daemon *daemon);

// Nothing more of it is of use.
void before_drop(struct daemon *daemon);

// Waits until the process before gives way.
[[nodiscard]] bool before_gives_way(struct daemon *daemon);

// Tells it that this one has taken over.
void before_replaced(struct daemon *daemon);

// It tells what it has counted meanwhile.
void before_heard(struct daemon *daemon);

// Why this one does not start: to the log, and to the process before. Returns STATUS_FAILED.
int start_fails(const struct daemon *daemon, const char *why);
