// SPDX-License-Identifier: MIT
#include "core/policy/siphash.h"

#include <string.h>

// Numbers are little-endian on the wire of this hash, as they are in the machines this runs on.
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "octets would have to be turned round");

struct state {
    uint64_t v[4];
};

static inline uint64_t left(uint64_t word, unsigned bits)
{
    return word << bits | word >> (64 - bits);
}

static inline void rounds(struct state *s, unsigned count)
{
    uint64_t a = s->v[0], b = s->v[1], c = s->v[2], d = s->v[3];
    while (count-- > 0) {
        a += b;
        c += d;
        b = left(b, 13) ^ a;
        d = left(d, 16) ^ c;
        a = left(a, 32);
        c += b;
        a += d;
        b = left(b, 17) ^ c;
        d = left(d, 21) ^ a;
        c = left(c, 32);
    }
    s->v[0] = a;
    s->v[1] = b;
    s->v[2] = c;
    s->v[3] = d;
}

static inline void word_take(struct state *s, uint64_t word)
{
    s->v[3] ^= word;
    rounds(s, 2);
    s->v[0] ^= word;
}

uint64_t siphash24(const uint8_t key[static SIPHASH_KEY_LEN], const uint8_t *data, size_t len)
{
    uint64_t k[2], word;
    memcpy(k, key, sizeof k);
    struct state s = {{
        k[0] ^ 0x736f6d6570736575u, // "somepseudorandomlygeneratedbytes"
        k[1] ^ 0x646f72616e646f6du,
        k[0] ^ 0x6c7967656e657261u,
        k[1] ^ 0x7465646279746573u,
    }};
    for (size_t i = 0; i + sizeof word <= len; i += sizeof word) {
        memcpy(&word, data + i, sizeof word);
        word_take(&s, word);
    }
    word = 0;
    if (len % sizeof word)
        memcpy(&word, data + len - len % sizeof word, len % sizeof word);
    word_take(&s, word | (uint64_t)len << 56);
    s.v[2] ^= 0xff;
    rounds(&s, 4);
    return s.v[0] ^ s.v[1] ^ s.v[2] ^ s.v[3];
}
