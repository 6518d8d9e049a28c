// SPDX-License-Identifier: MIT
#include "tests/xdp/cookies.h"

enum { VERSION_AT = 8, TIME_AT = 12, HASH_AT = 16, OPTION_PADDING = 12 };

void cookie_seal(uint8_t cookie[static COOKIE_WHOLE_LEN], const uint8_t key[static SIPHASH_KEY_LEN],
                 const struct address *from)
{
    uint8_t input[HASH_AT + 16];
    size_t ip_len = from->family == ADDRESS_IPV6 ? 16 : 4;
    memcpy(input, cookie, HASH_AT);
    memcpy(input + HASH_AT, from->ip, ip_len);
    uint64_t hash = siphash24(key, input, HASH_AT + ip_len);
    memcpy(cookie + HASH_AT, &hash, sizeof hash);
}

static bool one_in(struct world *w, unsigned count)
{
    return world_below(w, count) == 0;
}

static void octets_draw(struct world *w, uint8_t *octets, size_t len)
{
    for (size_t i = 0; i < len; i++)
        octets[i] = (uint8_t)world_random(w);
}

// Seconds: most are of no age, and the others are near a bound.
static int age_draw(struct world *w)
{
    static const int ages[] = {1799,  1800, 1801, 1802, 3599, 3600, 3601,
                               86400, -1,   -299, -300, -301, -302, -86400};
    return one_in(w, 2) ? ages[world_below(w, sizeof ages / sizeof *ages)]
                        : (int)world_below(w, COOKIE_AGE_RENEW_S);
}

// One whose hash is right for some key and address.
static bool whole_draw(struct world *w, const struct address *from, uint8_t *cookie)
{
    struct cookie_secrets secrets;
    struct address sealed = *from;
    uint64_t now_s = world_now_us(w) / 1000000;
    int age_s = age_draw(w);
    bool good = age_s <= COOKIE_AGE_RENEW_S && age_s >= -COOKIE_AHEAD_MAX_S;
    cookie_secrets_at(&secrets, &w->cookies, now_s);
    unsigned key = one_in(w, 6);
    good &= key == 0;
    if (key == 1 && (secrets.count < 2 || one_in(w, 2)))
        octets_draw(w, secrets.keys[1], SIPHASH_KEY_LEN);
    octets_draw(w, cookie, HASH_AT);
    if (!one_in(w, 4))
        memset(cookie + VERSION_AT + 1, 0, 3); // else reserved octets are set
    if (!one_in(w, 10))
        cookie[VERSION_AT] = 1;
    good &= cookie[VERSION_AT] == 1;
    store_be32(cookie + TIME_AT, (uint32_t)now_s - (uint32_t)age_s);
    if (one_in(w, 10)) {
        sealed.ip[world_below(w, from->family == ADDRESS_IPV6 ? 16 : 4)] ^=
            (uint8_t)(1u << world_below(w, 8));
        good = false;
    }
    cookie_seal(cookie, secrets.keys[key], &sealed);
    return good;
}

static size_t option_put(uint8_t *at, uint16_t code, uint16_t len)
{
    store_be16(at, code);
    store_be16(at + 2, len);
    return 4u + len;
}

size_t cookies_draw(struct world *w, const struct address *from,
                    uint8_t options[static COOKIES_OPTIONS_MAX], bool *good)
{
    enum { CLIENTS_AND_PADDING = COOKIE_WHOLE_LEN - COOKIE_CLIENT_LEN - 4 };
    bool valid = whole_draw(w, from, options + 4) && world_checks_cookies(w);
    size_t len = option_put(options, EDNS_COOKIE, COOKIE_WHOLE_LEN);
    unsigned kind = world_below(w, 30);
    *good = valid && kind > 5;
    switch (kind) {
    case 0:
        return option_put(options, EDNS_COOKIE, COOKIE_CLIENT_LEN);
    case 1:
        return option_put(options, EDNS_COOKIE, (uint16_t)world_below(w, COOKIE_MAX_LEN + 2));
    case 2: // two options, of which the second is as long as what is missing
        len = option_put(options, EDNS_COOKIE, COOKIE_CLIENT_LEN);
        return len + option_put(options + len, OPTION_PADDING, CLIENTS_AND_PADDING);
    case 3: // another one behind it
        return len + option_put(options + len, one_in(w, 2) ? EDNS_COOKIE : OPTION_PADDING,
                                (uint16_t)world_below(w, 9));
    case 4: // not of a cookie
        store_be16(options, one_in(w, 2) ? OPTION_PADDING : 0x0a00);
        return len;
    case 5: // a wrong bit
        options[4 + world_below(w, COOKIE_WHOLE_LEN)] ^= (uint8_t)(1u << world_below(w, 8));
        return len;
    default:
        return len;
    }
}

void cookies_source_draw(struct world *w)
{
    static const uint32_t periods_s[] = {2, 20, 5000, 86400};
    struct cookie_source source = {.count = 1 + world_below(w, 2)};
    octets_draw(w, source.keys[0], sizeof source.keys);
    if (one_in(w, 2))
        source.period_s = periods_s[world_below(w, sizeof periods_s / sizeof *periods_s)];
    world_cookies(w, one_in(w, 8) ? NULL : &source);
}
