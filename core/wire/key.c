// SPDX-License-Identifier: MIT
#include "core/wire/key.h"

#include "core/wire/key_hash.h"

static uint64_t load_word(const uint8_t *from)
{
    uint64_t word;
    memcpy(&word, from, sizeof word);
    return word;
}

// The last octets of a name that are no whole word, `count` of them; `len` is the name's.
static uint64_t load_rest(const uint8_t *from, size_t count, size_t len)
{
    uint64_t rest = 0;
    if (count == 0)
        return 0;
    // Those before them are there, too.
    if (len >= sizeof rest)
        return load_word(from + count - sizeof rest) >> (64 - 8 * count);
    for (size_t i = 0; i < count; i++)
        rest |= (uint64_t)from[i] << 8 * i;
    return rest;
}

// Type, class and flags.
static uint64_t head_of(const uint8_t *bytes)
{
    return (uint64_t)load_be32(bytes) << 8 | bytes[4];
}

uint64_t key_hash(const uint8_t *bytes, size_t len, uint64_t seed)
{
    const uint8_t *name = bytes + KEY_HEAD_LEN;
    size_t name_len = len - KEY_HEAD_LEN, left = name_len;
    struct siphash hash = key_hash_begin(seed);
    for (; left >= sizeof(uint64_t); left -= sizeof(uint64_t), name += sizeof(uint64_t))
        siphash_word(&hash, load_word(name));
    return siphash_end(&hash, load_rest(name, left, name_len), name_len) ^
           key_hash_head(head_of(bytes));
}

void key_make(struct key *key, const struct query *query, uint64_t seed)
{
    store_be16(key->bytes, query->type);
    store_be16(key->bytes + 2, query->class);
    key->bytes[4] =
        (uint8_t)((query->dnssec_ok ? KEY_DO : 0) | (query->checking_disabled ? KEY_CD : 0));
    name_lower(key->bytes + KEY_HEAD_LEN, query_name(query), query->name_len);
    key->len = (uint16_t)(KEY_HEAD_LEN + query->name_len);
    key->hash = key_hash(key->bytes, key->len, seed);
}

void key_of_name(struct key *key, const struct name *name, uint16_t type, uint64_t seed)
{
    store_be16(key->bytes, type);
    store_be16(key->bytes + 2, CLASS_IN);
    key->bytes[4] = 0;
    name_lower(key->bytes + KEY_HEAD_LEN, name->bytes, name->len);
    key->len = (uint16_t)(KEY_HEAD_LEN + name->len);
    key->hash = key_hash(key->bytes, key->len, seed);
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
