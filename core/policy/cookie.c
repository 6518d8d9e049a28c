// SPDX-License-Identifier: MIT
#include "core/policy/cookie.h"

enum {
    VERSION = 1,
    VERSION_AT = COOKIE_CLIENT_LEN,
    TIME_AT = VERSION_AT + 4,
    HASH_AT = TIME_AT + 4,
};

// The hash of a cookie whose first HASH_AT octets stand there (RFC 9018 4.4).
static uint64_t hash_of(const uint8_t *cookie, const struct address *from,
                        const uint8_t key[static SIPHASH_KEY_LEN])
{
    uint8_t input[HASH_AT + 16];
    size_t ip_len = from->family == ADDRESS_IPV4 ? 4 : 16;
    memcpy(input, cookie, HASH_AT);
    memcpy(input + HASH_AT, from->ip, ip_len);
    return siphash24(key, input, HASH_AT + ip_len);
}

enum cookie_verdict cookie_check(const struct cookie_secrets *secrets, const uint8_t *cookie,
                                 size_t len, const struct address *from, uint64_t now_s)
{
    if (len <= COOKIE_CLIENT_LEN)
        return COOKIE_CLIENT_ONLY;
    if (len != COOKIE_WHOLE_LEN || cookie[VERSION_AT] != VERSION)
        return COOKIE_INVALID;
    // Serial numbers (RFC 1982), as the 32 bits run over in 2106.
    int32_t age_s = (int32_t)((uint32_t)now_s - load_be32(cookie + TIME_AT));
    if (age_s > COOKIE_AGE_MAX_S || age_s < -COOKIE_AHEAD_MAX_S)
        return COOKIE_INVALID;
    uint64_t hash;
    memcpy(&hash, cookie + HASH_AT, sizeof hash);
    for (uint32_t i = 0; i < secrets->count; i++) {
        if (hash_of(cookie, from, secrets->keys[i]) == hash)
            return i > 0 || age_s > COOKIE_AGE_RENEW_S ? COOKIE_RENEW : COOKIE_VALID;
    }
    return COOKIE_INVALID;
}

void cookie_make(uint8_t whole[static COOKIE_WHOLE_LEN], const struct cookie_secrets *secrets,
                 const uint8_t client[static COOKIE_CLIENT_LEN], const struct address *from,
                 uint64_t now_s)
{
    memmove(whole, client, COOKIE_CLIENT_LEN);
    store_be32(whole + VERSION_AT, (uint32_t)VERSION << 24);
    store_be32(whole + TIME_AT, (uint32_t)now_s);
    uint64_t hash = hash_of(whole, from, secrets->keys[0]);
    memcpy(whole + HASH_AT, &hash, sizeof hash);
}

// Number `index` of a chain.
static void chain_key(uint8_t key[static SIPHASH_KEY_LEN], const struct cookie_source *source,
                      uint64_t index)
{
    for (uint64_t half = 0; half < 2; half++) {
        uint64_t input[2] = {index, half};
        uint64_t hash = siphash24(source->keys[0], (const uint8_t *)input, sizeof input);
        memcpy(key + half * sizeof hash, &hash, sizeof hash);
    }
}

void cookie_secrets_at(struct cookie_secrets *secrets, const struct cookie_source *source,
                       uint64_t now_s)
{
    if (source->period_s == 0) {
        memcpy(secrets->keys, source->keys, sizeof secrets->keys);
        secrets->count = source->count;
        secrets->until_s = UINT64_MAX;
        return;
    }
    uint64_t index = now_s / source->period_s, begun_s = index * source->period_s;
    bool overlap = index > 0 && now_s - begun_s < COOKIE_OVERLAP_S;
    chain_key(secrets->keys[0], source, index);
    chain_key(secrets->keys[1], source, overlap ? index - 1 : index);
    secrets->count = overlap ? 2 : 1;
    secrets->until_s = begun_s + source->period_s;
    if (overlap && begun_s + COOKIE_OVERLAP_S < secrets->until_s)
        secrets->until_s = begun_s + COOKIE_OVERLAP_S;
}
