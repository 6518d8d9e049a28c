// SPDX-License-Identifier: MIT
#include "io/engine/engine_sizes.h"

enum { QUESTIONS_PER_WORKER = 4096 };

uint32_t engine_sizes_questions(void)
{
    return QUESTIONS_PER_WORKER;
}
