// SPDX-License-Identifier: MIT
#pragma once
#include "core/wire/siphash.h"
#include "io/xdp/plane_reply.h"

// Checks the cookie of a query (RFC 7873 in the form of RFC 9018 4), as core/policy/cookie.c does,
// and writes it into the reply.
//
// Only a cookie that the reply returns as it came is of use here: a whole one, of this client, made
// with the newest secret and not due for renewal (RFC 9018 4.3). A client's part alone, a cookie to
// be renewed and a wrong one go up, as they are answered with a new cookie. So there is one secret
// to try, and a wrong cookie costs one hash: SipHash-2-4 over the first 16 octets of the cookie and
// the client's address (4.4), 20 or 32 octets in a straight line. It is checked before the cache is
// looked at, and nothing is kept of it.
//
// The time is that of the cache (clock_read in plane.bpf.c): the workers judge cookies by the same
// clock. It continues CLOCK_BOOTTIME, so the machine's wall clock may be set without an effect on
// either. A secret has an end, from which on everything goes up until the process gives the next.

enum {
    COOKIE_VERSION = 1,
    COOKIE_HEAD = 0x0a00 | COOKIE_LEN << 24, // of the option: code and length, as they lie there
};

// Hashes the cookie's first two words and the client's address.
INLINE uint64_t cookie_hash(const struct work *w, const uint64_t *key)
{
    struct siphash hash = siphash_begin(key[0], key[1]);
    siphash24_word(&hash, w->cookie[0]);
    siphash24_word(&hash, w->cookie[1]);
    if (w->is_ipv6) {
        siphash24_word(&hash, w->from[0] | (uint64_t)w->from[1] << 32);
        siphash24_word(&hash, w->from[2] | (uint64_t)w->from[3] << 32);
    }
    uint32_t rest = w->is_ipv6 ? 0 : w->from[0];
    return siphash24_end(&hash, rest, COOKIE_HASH_AT + (w->is_ipv6 ? 16 : 4));
}

// Is it of our form, and of the time in which it needs no renewal?
INLINE int cookie_is_current(const struct work *w, const struct plane_cookies *c)
{
    uint32_t now_s = w->now_s, made_s = __builtin_bswap32((uint32_t)(w->cookie[1] >> 32));
    int32_t age_s = (int32_t)(now_s - made_s); // serial numbers (RFC 1982)
    return now_s < c->until_s && (w->cookie[1] & 0xff) == COOKIE_VERSION &&
           age_s <= (int32_t)c->age_max_s && age_s >= -(int32_t)c->ahead_max_s;
}

// Reads the option of a query that has one of a whole cookie's length. It is read from the frame,
// as the words of the copy were just written, and lie otherwise (query_copy in plane_frame.h).
NOINLINE int cookie_check(struct xdp_md *context)
{
    struct work *w = work_of();
    const struct plane_cookies *c = cookies_of();
    uint8_t *frame = frame_begin(context), *end = frame_end(context);
    if (!w || !c)
        return PLANE_FRAME;
    uint32_t at = w->dns_at + w->question_end + OPT_LEN;
    OPAQUE(at);
    const uint8_t *option = frame + (at & (ROOM - 1));
    if (option + COOKIE_OPTION_LEN > end)
        return PLANE_FRAME;
    if (*(const uint32_t *)option != COOKIE_HEAD)
        return PLANE_UNUSUAL;
    for (int i = 0; i < COOKIE_LEN / 8; i++)
        w->cookie[i] = *(const uint64_t *)(option + 4 + 8 * i);
    if (!cookie_is_current(w, c) || cookie_hash(w, c->key) != w->cookie[2])
        return PLANE_UNUSUAL;
    uint64_t sum = sum_word(sum_word(sum_word(0, w->cookie[0]), w->cookie[1]), w->cookie[2]);
    // With its length in the OPT record; both records have it at the same distance.
    w->option_sum = COOKIE_OPTION_LEN + EDNS_COOKIE + COOKIE_LEN + (uint64_t)swap16(sum_fold(sum));
    w->opt_sum += w->option_sum;
    return 0;
}

// Puts it into the reply's OPT record, where message_finish has written that.
NOINLINE int cookie_finish(struct xdp_md *context)
{
    struct work *w = work_of();
    struct plane_counters *counts = counters_of();
    if (!w || !counts)
        return PLANE_FRAME;
    struct opt *opt = (struct opt *)reply_at(context, w, w->trailer.message_len, OPT_MAX);
    if (!opt)
        return PLANE_FRAME;
    uint8_t *option = (uint8_t *)(opt + 1);
    opt->len = swap16(COOKIE_OPTION_LEN);
    *(uint32_t *)option = COOKIE_HEAD;
    for (int i = 0; i < COOKIE_LEN / 8; i++)
        *(uint64_t *)(option + 4 + 8 * i) = w->cookie[i];
    uint16_t sum = sum_fold(w->option_sum);
    w->reply_sum += w->trailer.message_len & 1 ? swap16(sum) : sum;
    counts->cookies++;
    return 0;
}
