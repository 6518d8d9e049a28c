// SPDX-License-Identifier: MIT
#pragma once
#include <stddef.h>
#include <stdlib.h>

// Memory in whole cache lines, so that no two threads write to one line.

#define CACHE_LINE 64

// The next multiple of a line.
static inline size_t aligned(size_t size)
{
    return (size + CACHE_LINE - 1) & ~(size_t)(CACHE_LINE - 1);
}

// From malloc; NULL: there is none.
[[nodiscard]] static inline void *aligned_malloc(size_t size)
{
    return aligned_alloc(CACHE_LINE, aligned(size));
}
