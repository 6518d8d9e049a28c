// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>

// Clients over TCP, with all manners: those that pipeline and read, that say early that they send
// no more, that reset, that never read, that read late, that stop within a message, that say
// nothing.

void callers_begin(unsigned count);
[[nodiscard]] bool callers_done(void);
void callers_end(void);
