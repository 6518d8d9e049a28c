// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>

// The signals that end the daemon or mean something to it.

// Blocks them, here and in every thread started
// later; they are read from the descriptor returned. -1: it could not be had.
[[nodiscard]] int signals_open(void);

// Has SIGTERM or SIGINT come, which nobody has read yet?
[[nodiscard]] bool signals_ask_for_end(void);
