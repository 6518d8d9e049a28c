// SPDX-License-Identifier: MIT
#include "core/policy/siphash24.h"

#include "core/wire/bytes.h"
#include "core/wire/siphash.h"

static inline void word_absorb(struct siphash *s, uint64_t word)
{
    s->v3 ^= word;
    siphash_round(s);
    siphash_round(s);
    s->v0 ^= word;
}

uint64_t siphash24(const uint8_t key[static SIPHASH_KEY_LEN], const uint8_t *data, size_t len)
{
    struct siphash s = siphash_begin(load_word(key), load_word(key + 8));
    size_t left = len;
    for (; left >= 8; left -= 8, data += 8)
        word_absorb(&s, load_word(data));
    word_absorb(&s, load_part(data, left) | (uint64_t)len << 56);
    s.v2 ^= 0xff;
    for (unsigned i = 0; i < 4; i++)
        siphash_round(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
