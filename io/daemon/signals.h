// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>

// The signals that the daemon handles.

// Until they are open, SIGTERM and SIGINT end the process at once. Of process 1 of a container,
// which the kernel protects from both, this has to be said, and as the first thing.
void signals_begin(void);

// Blocks them, in this thread and in every one started later. Returns a descriptor to read them
// from; -1: there is none.
[[nodiscard]] int signals_open(void);

// True if SIGTERM or SIGINT is pending.
[[nodiscard]] bool signals_ask_for_end(void);
