// SPDX-License-Identifier: MIT
#pragma once
#include <stdint.h>

// Sizes of tables that no setting gives. A simulation links its own, so that they get full.

// Questions of one worker that may be in flight, a power of two.
[[nodiscard]] uint32_t engine_sizes_questions(void);
