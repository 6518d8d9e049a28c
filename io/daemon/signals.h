// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>

// The signals that the daemon handles.

// Blocks them, in this thread and in every one started later. Returns a descriptor to read them
// from; -1: there is none.
[[nodiscard]] int signals_open(void);

// True if SIGTERM or SIGINT is pending.
[[nodiscard]] bool signals_ask_for_end(void);
