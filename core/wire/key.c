// SPDX-License-Identifier: MIT
#include "core/wire/key.h"

#include "core/wire/key_hash.h"
#include "core/wire/lower.h"

// Type, class and flags.
static uint64_t head_of(const uint8_t *bytes)
{
    return (uint64_t)load_be32(bytes) << 8 | bytes[4];
}

// `whole` says that up to eight octets behind the name may be read, though they mean nothing.
static inline uint64_t name_hash_make(const uint8_t *name, size_t len, uint64_t seed, bool whole)
{
    size_t left = len;
    struct siphash hash = key_hash_begin(seed);
    for (; left >= sizeof(uint64_t); left -= sizeof(uint64_t), name += sizeof(uint64_t))
        siphash_word(&hash, load_word(name));
    uint64_t rest =
        whole ? load_word(name) & (((uint64_t)1 << 8 * left) - 1) : load_part(name, left);
    return siphash_end(&hash, rest, len);
}

uint64_t key_hash(const uint8_t *bytes, size_t len, uint64_t seed)
{
    return name_hash_make(bytes + KEY_HEAD_LEN, len - KEY_HEAD_LEN, seed, false) ^
           key_hash_head(head_of(bytes));
}

enum { BLOCK = sizeof(lower_block) };

_Static_assert(sizeof((struct key *)0)->bytes >=
                   KEY_HEAD_LEN + (NAME_MAX_LEN + BLOCK - 1) / BLOCK * BLOCK,
               "a name has room in whole blocks");

// `readable` octets may be read at `name`. Nearly always there is enough behind it to take whole
// blocks, which leave no octet that is written twice: the hash would have to wait for that.
static inline void key_fill(struct key *key, const uint8_t *name, size_t name_len, size_t readable,
                            uint32_t kind, uint8_t flags, uint64_t seed)
{
    uint8_t *lower = key->bytes + KEY_HEAD_LEN;
    store_be32(key->bytes, kind);
    key->bytes[4] = flags;
    if (name_len + BLOCK - 1 <= readable)
        lower_blocks(lower, name, name_len);
    else
        lower_octets(lower, name, name_len);
    key->len = (uint16_t)(KEY_HEAD_LEN + name_len);
    key->hash =
        name_hash_make(lower, name_len, seed, true) ^ key_hash_head((uint64_t)kind << 8 | flags);
}

void key_make(struct key *key, const struct query *query, uint64_t seed)
{
    unsigned flags = (query->dnssec_ok ? KEY_DO : 0) | (query->checking_disabled ? KEY_CD : 0);
    key_fill(key, query_name(query), query->name_len, query->len - (size_t)MESSAGE_HEADER_LEN,
             (uint32_t)query->type << 16 | query->class, (uint8_t)flags, seed);
}

void key_of_name(struct key *key, const struct name *name, uint16_t type, uint64_t seed)
{
    key_fill(key, name->bytes, name->len, name->len, (uint32_t)type << 16 | CLASS_IN, 0, seed);
}

void key_change(struct key *key, uint16_t type, uint8_t flags)
{
    uint64_t head = key_hash_head(head_of(key->bytes));
    store_be16(key->bytes, type);
    key->bytes[4] = flags;
    key->hash ^= head ^ key_hash_head(head_of(key->bytes));
}

void key_make_denial(struct key *denial, const struct key *key)
{
    denial->len = key->len;
    memcpy(denial->bytes, key->bytes, key->len);
    store_be16(denial->bytes, 0);
    denial->hash =
        key->hash ^ key_hash_head(head_of(key->bytes)) ^ key_hash_head(head_of(denial->bytes));
}

static struct name name_of(const uint8_t *key, size_t key_len)
{
    struct name name = {.len = (uint8_t)(key_len - KEY_HEAD_LEN)};
    memcpy(name.bytes, key + KEY_HEAD_LEN, name.len);
    return name;
}

bool key_is_name(const void *name, const uint8_t *key, size_t key_len)
{
    struct name own = name_of(key, key_len);
    return name_equal(&own, name);
}

bool key_is_within(const void *name, const uint8_t *key, size_t key_len)
{
    struct name own = name_of(key, key_len);
    return name_within(&own, name);
}
