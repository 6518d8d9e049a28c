// SPDX-License-Identifier: MIT
#pragma once
#include <stddef.h>

// Finds the candidate that a misspelled word was probably meant to be.
struct nearest {
    const char *text;
    size_t len;
    size_t distance;  // of the best; only nearer ones replace it
    const char *best; // NULL: nothing is near
};

[[nodiscard]] struct nearest nearest_to(const char *text, size_t len);
void nearest_offer(struct nearest *nearest, const char *candidate);
