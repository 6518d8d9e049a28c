// SPDX-License-Identifier: MIT
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// Lower case, many octets at once: the letters of ASCII and nothing else (RFC 4343). What is in
// name.h for all, here to be inlined where every query passes.

static inline uint8_t lower_octet(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

// Eight octets at once: an octet is an upper-case letter if adding 0x3f carries into its top bit
// ('A' and above) while adding 0x25 does not (above 'Z'), and its own top bit is clear.
static inline void lower_eight(uint8_t *to, const uint8_t *from)
{
    const uint64_t ones = 0x0101010101010101u;
    uint64_t word;
    memcpy(&word, from, sizeof word);
    uint64_t low = word & (ones * 0x7f);
    uint64_t upper = (low + ones * 0x3f) & ~(low + ones * 0x25) & ~word & (ones * 0x80);
    word |= upper >> 2;
    memcpy(to, &word, sizeof word);
}

// Sixteen. The compiler makes of them what the machine has: one register, or several.
typedef uint8_t lower_block __attribute__((vector_size(16)));

static inline void lower_sixteen(uint8_t *to, const uint8_t *from)
{
    lower_block octets;
    memcpy(&octets, from, sizeof octets);
    octets |= (lower_block)(octets - (uint8_t)'A' < (uint8_t)26) & (uint8_t)0x20;
    memcpy(to, &octets, sizeof octets);
}

static inline void lower_few(uint8_t *to, const uint8_t *from, size_t len)
{
    if (len < 8) {
        for (size_t i = 0; i < len; i++)
            to[i] = lower_octet(from[i]);
        return;
    }
    lower_eight(to, from);
    lower_eight(to + len - 8, from + len - 8);
}

// Whole blocks, up to the one that holds the last octet: reads and writes up to fifteen behind it.
static inline void lower_blocks(uint8_t *to, const uint8_t *from, size_t len)
{
    for (size_t i = 0; i < len; i += sizeof(lower_block))
        lower_sixteen(to + i, from + i);
}

// What is left at the end is done with octets before it, to which that does nothing more.
static inline void lower_octets(uint8_t *to, const uint8_t *from, size_t len)
{
    if (len < sizeof(lower_block)) {
        lower_few(to, from, len);
        return;
    }
    size_t last = len - sizeof(lower_block);
    for (size_t i = 0; i < last; i += sizeof(lower_block))
        lower_sixteen(to + i, from + i);
    lower_sixteen(to + last, from + last);
}
