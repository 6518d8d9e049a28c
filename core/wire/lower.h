// SPDX-License-Identifier: MIT
#pragma once
#include "core/wire/bytes.h"
#include "core/wire/lower_word.h"

// Lower case, many octets at once: the letters of ASCII and nothing else (RFC 4343). For the hit
// path, inlined; all others use name.h.

static inline void lower_eight(uint8_t *to, const uint8_t *from)
{
    store_word(to, lower_word(load_word(from)));
}

// Sixteen octets, in one register or several, as the machine has them.
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

// True if they are equal but for the case of letters.
static inline bool lower_equal(const uint8_t *a, const uint8_t *b, size_t len)
{
    for (; len >= 8; len -= 8, a += 8, b += 8) {
        if (lower_word(load_word(a)) != lower_word(load_word(b)))
            return false;
    }
    return lower_word(load_part(a, len)) == lower_word(load_part(b, len));
}

// Whole blocks: reads and writes up to fifteen octets beyond the end.
static inline void lower_blocks(uint8_t *to, const uint8_t *from, size_t len)
{
    for (size_t i = 0; i < len; i += sizeof(lower_block))
        lower_sixteen(to + i, from + i);
}

// The last block overlaps the one before, as lowering twice changes nothing.
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
