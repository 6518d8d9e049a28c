// SPDX-License-Identifier: MIT
#include "core/policy/siphash24.h"

#include "core/wire/siphash.h"

#include <string.h>

// Words are little-endian, as they are in the machines this runs on.
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "octets would have to be turned round");

static inline void word_take(struct siphash *s, uint64_t word)
{
    s->v3 ^= word;
    siphash_round(s);
    siphash_round(s);
    s->v0 ^= word;
}

uint64_t siphash24(const uint8_t key[static SIPHASH_KEY_LEN], const uint8_t *data, size_t len)
{
    uint64_t keys[2], word;
    memcpy(keys, key, sizeof keys);
    struct siphash s = siphash_begin(keys[0], keys[1]);
    for (size_t i = 0; i + sizeof word <= len; i += sizeof word) {
        memcpy(&word, data + i, sizeof word);
        word_take(&s, word);
    }
    word = 0;
    if (len % sizeof word)
        memcpy(&word, data + len - len % sizeof word, len % sizeof word);
    word_take(&s, word | (uint64_t)len << 56);
    s.v2 ^= 0xff;
    for (unsigned i = 0; i < 4; i++)
        siphash_round(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
