// SPDX-License-Identifier: MIT
#pragma once
#include "cache/cache.h"
#include "core/wire/message.h"

// The key under which an answer is cached: type, class, the bits that can change an answer (DO and
// CD, RFC 4035 3.2), and the name in lower case. Queries with the same key get the same records.
//
// The upper half of the hash is the name's alone; type, class and flags only move the lower half.
// So all answers to a name have one home (the upper half chooses the shard), and the worker that
// caches one of them may also remove another.
//
// NXDOMAIN holds for all types of a name (RFC 2308 5, RFC 8020 2). It is cached under the name's
// denial, a key of type 0, which query_read accepts from no client.

#define KEY_HEAD_LEN 5
#define KEY_LEN_MAX  (KEY_HEAD_LEN + NAME_MAX_LEN)

enum {
    KEY_DO = 1,
    KEY_CD = 2,
    // Of a question of our own, which no client can ask for or join (core/forward/probe.c).
    KEY_PROBE = 4,
    // Of a question that was started under rules no longer in force: no client can join it, and
    // nothing is cached under it.
    KEY_RETIRED = 8,
};

struct key {
    uint64_t hash;
    uint16_t len;
    uint8_t bytes[KEY_LEN_MAX + 1]; // undefined after `len` octets
};

// The key of a query that query_read found good. `seed` is secret, so attackers cannot choose names
// that share a bucket.
void key_make(struct key *key, const struct query *query, uint64_t seed);

// The key of a question of class IN with neither DO nor CD.
void key_of_name(struct key *key, const struct name *name, uint16_t type, uint64_t seed);

// Changes it to the key of the same name and class with another type and flags, without hashing the
// name again.
void key_change(struct key *key, uint16_t type, uint8_t flags);

// The key of the denial of `key`'s name, with the same class and flags; the name is not hashed
// again.
void key_make_denial(struct key *denial, const struct key *key);

static inline struct cache_key key_for_cache(const struct key *key)
{
    return (struct cache_key){.hash = key->hash, .bytes = key->bytes, .len = key->len};
}

static inline const uint8_t *key_name(const struct key *key)
{
    return key->bytes + KEY_HEAD_LEN;
}

static inline uint8_t key_name_len(const struct key *key)
{
    return (uint8_t)(key->len - KEY_HEAD_LEN);
}

static inline uint16_t key_type(const struct key *key)
{
    return load_be16(key->bytes);
}

static inline uint16_t key_class(const struct key *key)
{
    return load_be16(key->bytes + 2);
}

static inline uint8_t key_flags(const struct key *key)
{
    return key->bytes[4];
}

static inline bool key_equal(const struct key *a, const struct key *b)
{
    return a->hash == b->hash && a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

static inline void key_copy(struct key *to, const struct key *from)
{
    to->hash = from->hash;
    to->len = from->len;
    memcpy(to->bytes, from->bytes, from->len);
}

// The hash of a key's octets, KEY_HEAD_LEN and a name's; equal to key_make's.
uint64_t key_hash(const uint8_t *bytes, size_t len, uint64_t seed);

// True if the octets of a key are for this name (any type and flags), or for a name within it.
[[nodiscard]] bool key_is_name(const void *name, const uint8_t *key, size_t key_len);
[[nodiscard]] bool key_is_within(const void *name, const uint8_t *key, size_t key_len);
