// SPDX-License-Identifier: MIT
#pragma once
#include <stdint.h>

// Lower case, eight octets at once: the letters of ASCII and nothing else (RFC 4343). It needs
// nothing but fixed-width integers, so that a BPF program can include it.

// Sets the top bits of those of eight octets that are letters, where `first` is 'A' or 'a'. An
// octet is one if its top bit is clear, adding 0x80 - first sets it (it is not below the first
// letter), and adding 26 less does not (it is not above the last one).
static inline uint64_t letters_of(uint64_t word, uint8_t first)
{
    const uint64_t ones = 0x0101010101010101u;
    uint64_t low = word & (ones * 0x7f), add = 0x80u - first;
    return (low + ones * add) & ~(low + ones * (add - 26)) & ~word & (ones * 0x80);
}

static inline uint64_t lower_word(uint64_t word)
{
    return word | letters_of(word, 'A') >> 2;
}
