// SPDX-License-Identifier: MIT
#pragma once
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

// Findings, printed to stdout as lines that begin with "wrong: ", up to a bound. Both
// threads use it.

struct report {
    _Atomic uint64_t wrong;
    _Atomic uint64_t first_us; // when the first was found; 0: none was
    uint64_t began_us;
};

uint64_t report_now_us(void); // CLOCK_MONOTONIC

// Counts a finding. `format` says what it is; `bytes` are what came and `right` what should have,
// either NULL where there is none.
[[gnu::format(printf, 6, 7)]] void report_wrong(struct report *report, const uint8_t *bytes,
                                                size_t len, const uint8_t *right, size_t right_len,
                                                const char *format, ...);
