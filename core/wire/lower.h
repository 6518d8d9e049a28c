// SPDX-License-Identifier: MIT
#pragma once
#include "core/wire/bytes.h"

// Lower case, many octets at once: the letters of ASCII and nothing else (RFC 4343). What is in
// name.h for all, here to be inlined where every query passes.

// Which of eight octets are letters, the first of these being 'A' or 'a': their top bits. One is if
// adding what lacks from the first letter to 0x80 carries into its top bit while adding 26 less
// does not (it is above the last one), and its own top bit is clear.
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

static inline void lower_eight(uint8_t *to, const uint8_t *from)
{
    store_word(to, lower_word(load_word(from)));
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
        store_part(to, lower_word(load_part(from, len)), len);
        return;
    }
    lower_eight(to, from);
    lower_eight(to + len - 8, from + len - 8);
}

// Are they the same but for the case of letters?
static inline bool lower_equal(const uint8_t *a, const uint8_t *b, size_t len)
{
    for (; len >= 8; len -= 8, a += 8, b += 8) {
        if (lower_word(load_word(a)) != lower_word(load_word(b)))
            return false;
    }
    return lower_word(load_part(a, len)) == lower_word(load_part(b, len));
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
