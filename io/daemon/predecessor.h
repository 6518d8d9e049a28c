// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>

struct daemon;

// The predecessor, from which this process takes over, where there is one (upgrade.h).

// Receives what the predecessor hands over, where there is one. False: that failed.
[[nodiscard]] bool predecessor_receive(struct daemon *daemon);

// Frees what is left of its inheritance.
void predecessor_drop(struct daemon *daemon);

// Waits until the predecessor has stopped receiving.
[[nodiscard]] bool predecessor_gives_way(struct daemon *daemon);

// Tells it that this one has taken over.
void predecessor_replaced(struct daemon *daemon);

// It has sent what it counted since.
void predecessor_heard(struct daemon *daemon);

// Says in the log and to the predecessor why this process does not start. Returns STATUS_FAILED.
int predecessor_start_fails(const struct daemon *daemon, const char *why);
