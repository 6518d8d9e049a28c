// SPDX-License-Identifier: MIT
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/wire/key.h"

// Spreads type, class and flags over 32 bits; an odd multiplier makes it one to one before the
// shift (Knuth, TAOCP 6.4).
static uint32_t head_hash(const uint8_t *head)
{
    uint64_t bits = (uint64_t)load_be32(head) << 8 | head[4];
    return (uint32_t)(bits * 0x9e3779b97f4a7c15u >> 32);
}

uint64_t key_hash(const uint8_t *bytes, size_t len, uint64_t seed)
{
    uint64_t name = XXH3_64bits_withSeed(bytes + KEY_HEAD_LEN, len - KEY_HEAD_LEN, seed);
    return name ^ head_hash(bytes);
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

void key_make_denial(struct key *denial, const struct key *key)
{
    denial->len = key->len;
    memcpy(denial->bytes, key->bytes, key->len);
    store_be16(denial->bytes, 0);
    denial->hash = key->hash ^ head_hash(key->bytes) ^ head_hash(denial->bytes);
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
