// SPDX-License-Identifier: MIT
#pragma once
#include <stdint.h>
#include <time.h>

// The kernel's clocks. A simulation links its own clock_us.

// Microseconds.
[[nodiscard]] uint64_t clock_us(clockid_t which);

// Milliseconds of the clock that never goes back.
static inline uint64_t now_ms(void)
{
    return clock_us(CLOCK_MONOTONIC) / 1000;
}

// A moment of the clock that never goes back, as pthread_cond_timedwait takes it.
static inline struct timespec clock_moment(uint64_t at_ms)
{
    return (struct timespec){.tv_sec = (time_t)(at_ms / 1000),
                             .tv_nsec = (long)(at_ms % 1000) * 1000000};
}
