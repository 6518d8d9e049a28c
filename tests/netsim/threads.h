// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>
#include <stdint.h>

// The workers' threads (io/engine/worker_thread.h), which are given their turns by the world. One
// sleeps while its wait would: until there is an event for it, or its time is over.

void threads_begin(void);

// How many could take a turn now, and has the nth of them take one.
[[nodiscard]] unsigned threads_ready(void);
void threads_turn(unsigned lot);

// When the first of those that sleep wakes by itself; UINT64_MAX: never.
[[nodiscard]] uint64_t threads_deadline(void);

// From now on workers that are stopped take no further turn, as if their process were killed; or no
// longer.
void threads_kill(bool kill);

// Whose turn it is, as a number; 0: it is that of the operator or of a host.
[[nodiscard]] unsigned threads_current(void);
