// SPDX-License-Identifier: MIT
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/wire/key.h"

uint64_t key_hash(const uint8_t *bytes, size_t len, uint64_t seed)
{
    return XXH3_64bits_withSeed(bytes, len, seed);
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
