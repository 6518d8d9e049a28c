// SPDX-License-Identifier: MIT
#pragma once
#include "core/wire/key_hash.h"
#include "core/wire/lower_word.h"
#include "io/xdp/plane_work.h"

// Reads the DNS message that was copied (plane_frame.h): is it a plain query, and what does it ask?

// Octets of the name; 0: it is none, or compressed.
NOINLINE int name_measure(void)
{
    const struct work *w = work_of();
    if (!w)
        return 0;
    uint32_t at = 0;
    for (int i = 0; i < NAME_MAX / 2 + 1; i++) {
        uint32_t place = at;
        OPAQUE(place);
        uint32_t label = ((const uint8_t *)w->question)[place & (ROOM - 1)];
        if (label == 0)
            return at + 1 <= NAME_MAX ? (int)(at + 1) : 0;
        at += label + 1;
        if (label > 63 || at >= NAME_MAX)
            return 0;
    }
    return 0;
}

// An octet behind the header.
INLINE uint32_t octet_at(const struct work *w, uint32_t at)
{
    OPAQUE(at);
    return ((const uint8_t *)w->question)[at & (ROOM - 1)];
}

INLINE uint32_t pair_at(const struct work *w, uint32_t at)
{
    return octet_at(w, at) << 8 | octet_at(w, at + 1);
}

// Types that are no plain question, or are answered here in another way (question_rcode in
// core/wire/message.c, policy_before_any).
INLINE int is_plain_type(uint32_t type)
{
    return type != 0 && type != TYPE_OPT && (type < 249 || type > TYPE_ANY);
}

// Reads an OPT record of version 0, whose options have the length that remains; what is there is
// looked at later (cookie_check).
INLINE int opt_read(struct work *w, uint32_t at, const struct plane_config *c)
{
    uint32_t size = pair_at(w, at + 3), flags = pair_at(w, at + 7);
    if (octet_at(w, at) != 0 || pair_at(w, at + 1) != TYPE_OPT || octet_at(w, at + 6) != 0 ||
        pair_at(w, at + 9) != w->opt_len - OPT_LEN)
        return 0;
    w->opt_sum = TYPE_OPT + size + (octet_at(w, at + 5) << 8) + flags;
    size = size < UDP_PAYLOAD_MIN ? UDP_PAYLOAD_MIN : size;
    w->reply_max = size < c->udp_payload_max ? size : c->udp_payload_max;
    w->wants_dnssec = flags >> 15;
    return 1;
}

// Reads the query: one plain question, and behind it nothing, a plain OPT record, or one with an
// option of a cookie's length.
INLINE int query_read(void)
{
    struct work *w = work_of();
    const struct plane_config *c = config_of();
    if (!w || !c)
        return PLANE_FRAME;
    uint32_t name_len = (uint32_t)name_measure();
    uint32_t end = name_len + QUESTION_REST, len = w->query_len - DNS_HEADER_LEN;
    uint32_t flags_front = w->header_front >> 16 & 0xff;
    uint32_t opt_len = len - end;
    if (name_len == 0 || (opt_len != 0 && opt_len != OPT_LEN && opt_len != OPT_MAX))
        return PLANE_UNUSUAL;
    // One question, no answer, no authority, and as many additional records as there are.
    if (w->header_front >> 32 != 0x100 || w->header_back != (opt_len ? 0x01000000 : 0))
        return PLANE_UNUSUAL;
    if ((flags_front & FLAGS_NOT_PLAIN) != 0 || !(flags_front & FLAG_RD))
        return PLANE_UNUSUAL;
    uint32_t type = pair_at(w, end - 4), class = pair_at(w, end - 2);
    if (class != CLASS_IN || !is_plain_type(type))
        return PLANE_UNUSUAL;
    w->opt_len = (uint8_t)opt_len;
    w->reply_max = UDP_PAYLOAD_MIN;
    w->wants_dnssec = 0;
    if (opt_len && !opt_read(w, end, c))
        return PLANE_UNUSUAL;
    w->checking_disabled = w->header_front >> 24 & FLAG_CD;
    uint32_t flags = (w->wants_dnssec ? KEY_DO : 0) | (w->checking_disabled ? KEY_CD : 0);
    w->name_len = name_len;
    w->type = type;
    w->question_end = DNS_HEADER_LEN + end;
    w->head = (uint64_t)(type >> 8) | (type & 0xff) << 8 | (uint64_t)CLASS_IN << 24 |
              (uint64_t)flags << 32;
    return 0;
}

// Writes the name in lower case, and hashes it.
NOINLINE int name_hash(uint64_t seed)
{
    struct work *w = work_of();
    if (!w)
        return PLANE_FRAME;
    struct siphash hash = key_hash_begin(seed);
    uint32_t len = w->name_len, at = 0;
    for (; at + 8 <= len && at < NAME_MAX - 8; at += 8) {
        uint64_t word = lower_word(w->question[at / 8]);
        w->name[at / 8] = word;
        siphash_word(&hash, word);
    }
    uint32_t last = at;
    OPAQUE(last);
    last &= 0xf8;
    uint64_t rest = lower_word(w->question[last / 8]) & ((1ull << 8 * (len % 8)) - 1);
    w->name[last / 8] = rest;
    w->name_hash = siphash_end(&hash, rest, len);
    return 0;
}
