// SPDX-License-Identifier: MIT
#pragma once
#include <stdint.h>

// SipHash-1-3 (Aumasson and Bernstein 2012, with one round for each word and three at the end, as
// the tables of CPython and of Rust have it): a pseudorandom function of octets under a secret key
// of 128 bits. It adds, rotates and exclusive-ors, and needs nothing but fixed-width integers, so
// that a BPF program can include it. The caller reads the words, as a BPF program reads memory in
// its own way: eight octets each, little-endian.
//
//   struct siphash hash = siphash_begin(key0, key1);
//   for each whole word: siphash_word(&hash, word);
//   return siphash_end(&hash, the rest, its unused octets zero, len);
//
// siphash24_word and siphash24_end in place of these make it SipHash-2-4
// (core/policy/siphash24.h).

struct siphash {
    uint64_t v0, v1, v2, v3;
};

static inline __attribute__((always_inline)) uint64_t siphash_rotate(uint64_t word, unsigned bits)
{
    return word << bits | word >> (64 - bits);
}

static inline __attribute__((always_inline)) void siphash_round(struct siphash *s)
{
    s->v0 += s->v1;
    s->v2 += s->v3;
    s->v1 = siphash_rotate(s->v1, 13) ^ s->v0;
    s->v3 = siphash_rotate(s->v3, 16) ^ s->v2;
    s->v0 = siphash_rotate(s->v0, 32) + s->v3;
    s->v2 += s->v1;
    s->v1 = siphash_rotate(s->v1, 17) ^ s->v2;
    s->v3 = siphash_rotate(s->v3, 21) ^ s->v0;
    s->v2 = siphash_rotate(s->v2, 32);
}

static inline __attribute__((always_inline)) struct siphash siphash_begin(uint64_t key0,
                                                                          uint64_t key1)
{
    return (struct siphash){
        .v0 = key0 ^ 0x736f6d6570736575u,
        .v1 = key1 ^ 0x646f72616e646f6du,
        .v2 = key0 ^ 0x6c7967656e657261u,
        .v3 = key1 ^ 0x7465646279746573u,
    };
}

static inline __attribute__((always_inline)) void siphash_word(struct siphash *s, uint64_t word)
{
    s->v3 ^= word;
    siphash_round(s);
    s->v0 ^= word;
}

// `len` is that of all octets.
static inline __attribute__((always_inline)) uint64_t siphash_end(struct siphash *s, uint64_t rest,
                                                                  uint64_t len)
{
    siphash_word(s, rest | len << 56);
    s->v2 ^= 0xff;
    siphash_round(s);
    siphash_round(s);
    siphash_round(s);
    return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

static inline __attribute__((always_inline)) void siphash24_word(struct siphash *s, uint64_t word)
{
    s->v3 ^= word;
    siphash_round(s);
    siphash_round(s);
    s->v0 ^= word;
}

static inline __attribute__((always_inline)) uint64_t siphash24_end(struct siphash *s,
                                                                    uint64_t rest, uint64_t len)
{
    siphash24_word(s, rest | len << 56);
    s->v2 ^= 0xff;
    for (unsigned i = 0; i < 4; i++)
        siphash_round(s);
    return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}
