// SPDX-License-Identifier: MIT
#pragma once
#include "io/xdp/plane_cache.h"

// Makes the query's frame the reply's.

// Does nothing for a while, so that a test sees entries change that are just being read.
NOINLINE int records_dawdle(void)
{
    for (uint32_t i = 0; i < 10000 && i < dawdle; i++)
        reads_order();
    return 0;
}

// Makes room in front of a frame that has none behind it, as where veth has copied it to a buffer
// of just its size: what is in front of the question's end moves forward.
NOINLINE int front_move(struct xdp_md *context)
{
    struct work *w = work_of();
    if (!w)
        return PLANE_FRAME;
    int growth = (int)(w->dns_at + w->reply_len) - (int)w->frame_len;
    uint32_t len = w->dns_at + w->question_end;
    OPAQUE(len);
    if (growth <= 0 || len == 0 || len > sizeof w->front)
        return PLANE_FRAME;
    if (xdp_load_bytes(context, 0, w->front, len) != 0 || xdp_adjust_head(context, -growth) != 0)
        return PLANE_FRAME;
    w->moved = growth;
    return xdp_store_bytes(context, 0, w->front, len) != 0 ? PLANE_FRAME : 0;
}

// The same backwards.
NOINLINE int front_move_back(struct xdp_md *context)
{
    struct work *w = work_of();
    if (!w || xdp_adjust_head(context, w->moved) != 0)
        return PLANE_FRAME;
    uint32_t len = w->dns_at + w->question_end;
    OPAQUE(len);
    if (len == 0 || len > sizeof w->front)
        return PLANE_FRAME;
    return xdp_store_bytes(context, 0, w->front, len) != 0 ? PLANE_FRAME : 0;
}

// Gives the frame the reply's length. The places of all that is in it stay.
INLINE int frame_resize(struct xdp_md *context)
{
    struct work *w = work_of();
    if (!w)
        return PLANE_FRAME;
    int growth = (int)(w->dns_at + w->reply_len) - (int)w->frame_len;
    w->moved = 0;
    if (!no_tail && xdp_adjust_tail(context, growth) == 0)
        return 0;
    return front_move(context);
}

enum { COPY_MAX = 96 }; // octets that are copied here; for more a call of the kernel is cheaper

// Copies a few octets, eight at least, in words, of which the last two may overlap.
NOINLINE int few_copy(struct xdp_md *context, uint64_t at, uint32_t len)
{
    const struct work *w = work_of();
    uint8_t *frame = frame_begin(context), *end = frame_end(context);
    if (!w)
        return PLANE_FRAME;
    const uint8_t *shard = shard_at(w->shard);
    uint32_t place = w->dns_at + w->question_end, last = len - 8;
    OPAQUE(place);
    OPAQUE(last);
    uint8_t *to = frame + (place & (ROOM - 1));
    if (!shard || len < 8)
        return PLANE_FRAME;
    for (uint32_t i = 0; i + 8 <= COPY_MAX && i + 8 <= len; i += 8) {
        if (to + i + 8 > end)
            return PLANE_FRAME;
        *(uint64_t *)(to + i) = word_at(shard, at + i);
    }
    to += last & 127;
    if (to + 8 > end)
        return PLANE_FRAME;
    *(uint64_t *)to = word_at(shard, at + last);
    return 0;
}

// Copies what is behind the question.
INLINE int records_copy(struct xdp_md *context)
{
    const struct work *w = work_of();
    if (!w)
        return PLANE_FRAME;
    uint32_t len = w->trailer.message_len, from = w->question_end, copied = len - from;
    uint64_t at = w->value_at + from;
    if (copied >= 8 && copied <= COPY_MAX)
        return few_copy(context, at, copied);
    const uint8_t *shard = shard_at(w->shard);
    OPAQUE(at);
    OPAQUE(copied);
    copied &= ANSWER_MASK;
    if (!shard || copied == 0)
        return PLANE_FRAME;
    // So near the shard's end the verifier cannot see that it ends within.
    if (at > shard_size - ANSWER_MASK - 1)
        return PLANE_SIZE;
    // In bounds: the frame ends an OPT record behind this, or right there.
    if (xdp_store_bytes(context, w->dns_at + from, shard + at, copied) != 0)
        return PLANE_TORN;
    return 0;
}

// A place in the reply's DNS message, of which `len` octets are wanted; NULL: it is not there.
INLINE uint8_t *reply_at(struct xdp_md *context, const struct work *w, uint32_t place, uint32_t len)
{
    uint8_t *frame = frame_begin(context), *end = frame_end(context);
    if (place > PLANE_ANSWER_MAX)
        return 0;
    uint32_t at = w->dns_at + place;
    OPAQUE(at);
    at &= ANSWER_MASK;
    return frame + at + len <= end ? frame + at : 0;
}

// The same for a place that the entry names, which may be torn: nothing in front of the records is
// touched.
INLINE uint8_t *record_at(struct xdp_md *context, const struct work *w, uint32_t place,
                          uint32_t len)
{
    return place >= w->question_end ? reply_at(context, w, place, len) : 0;
}

// What is left of a TTL, without a branch: each would double the paths of the loop around it.
INLINE uint32_t less_or_zero(uint32_t ttl, uint32_t age_s)
{
    uint64_t rest = (uint64_t)ttl - age_s;
    OPAQUE(rest);
    return (uint32_t)(rest & ((rest >> 63) - 1));
}

// Lessens the TTLs by the age, and keeps the sum of what is behind the question.
NOINLINE int ttls_lessen(struct xdp_md *context)
{
    struct work *w = work_of();
    if (!w)
        return PLANE_FRAME;
    const uint8_t *shard = shard_at(w->shard);
    if (!shard)
        return PLANE_FRAME;
    uint32_t count = w->trailer.ttl_count, age_s = w->age_s, odd = w->question_end & 1;
    uint64_t places = w->value_at + w->trailer.message_len;
    // The sum has the octet behind the question as an upper half; here the frame's even ones are
    // the lower, as the machine reads them.
    uint64_t sum = odd ? w->trailer.sum : swap16(w->trailer.sum);
    for (uint32_t i = 0; i < PLANE_TTLS_MAX && i < count; i++) {
        int place = quarter_at(shard, places + 2 * i);
        if (place < 0)
            return PLANE_TORN;
        uint8_t *to = record_at(context, w, (uint32_t)place, 4);
        if (!to)
            return PLANE_TORN;
        uint32_t was = half_at(shard, w->value_at + (uint32_t)place);
        uint32_t is = __builtin_bswap32(less_or_zero(__builtin_bswap32(was), age_s));
        *(volatile uint32_t *)to = is;
        // Times 256 is what an odd place makes of a sum (RFC 1071 2B).
        sum += ((uint64_t)sum_less(sum_fold(was)) + sum_fold(is)) << 8 * (place & 1);
    }
    w->records_sum = sum;
    return 0;
}

// Gives the addresses of an RRset another order (addresses_rotate in core/answer.c). They are at
// even distances, so the sum stays.
NOINLINE int addresses_rotate(struct xdp_md *context, uint32_t turn)
{
    struct work *w = work_of();
    if (!w)
        return PLANE_FRAME;
    const uint8_t *shard = shard_at(w->shard);
    uint32_t count = w->trailer.rotate_count, is_ipv6 = w->trailer.flags & TRAILER_IPV6;
    if (!shard || count < 2)
        return PLANE_FRAME;
    uint32_t first = w->trailer.rotate_at, stride = is_ipv6 ? 28 : 16;
    uint32_t source = turn % count;
    for (uint32_t i = 0; i < PLANE_ROTATE_MAX && i < count; i++) {
        uint64_t from = w->value_at + first + source * stride;
        uint8_t *to = record_at(context, w, first + i * stride, 16);
        uint8_t *to4 = record_at(context, w, first + i * stride, 4);
        if (is_ipv6 && to) {
            ((volatile uint64_t *)to)[0] = word_at(shard, from);
            ((volatile uint64_t *)to)[1] = word_at(shard, from + 8);
        } else if (!is_ipv6 && to4) {
            *(volatile uint32_t *)to4 = half_at(shard, from);
        } else {
            return PLANE_TORN;
        }
        source = source + 1 == count ? 0 : source + 1;
    }
    return 0;
}

// Makes the frame again what it was. Nothing in front of the question's end has been touched.
NOINLINE int frame_undo(struct xdp_md *context)
{
    struct work *w = work_of();
    if (!w)
        return 0;
    if (w->moved) {
        if (front_move_back(context) != 0)
            return 0;
    } else {
        int len = (int)(frame_end(context) - frame_begin(context));
        if (xdp_adjust_tail(context, (int)w->frame_len - len) != 0)
            return 0;
    }
    uint32_t from = w->question_end - DNS_HEADER_LEN, rest = w->query_len - w->question_end;
    uint32_t padding = w->frame_len - w->ip_at - w->ip_len;
    OPAQUE(from);
    OPAQUE(rest);
    OPAQUE(padding);
    from &= ROOM - 1;
    if (rest > 0 && rest <= OPT_MAX && from < ROOM - OPT_MAX)
        xdp_store_bytes(context, w->dns_at + w->question_end, (uint8_t *)w->question + from, rest);
    if (padding > 0 && padding <= PLANE_PADDING_MAX)
        xdp_store_bytes(context, w->dns_at + w->query_len, w->padding, padding);
    return 0;
}

struct opt {
    uint8_t root;
    uint16_t type, size;
    uint32_t ttl;
    uint16_t len;
} __attribute__((packed));

// Writes the header and our OPT record, without options, and adds the message up.
INLINE int message_finish(struct xdp_md *context)
{
    struct work *w = work_of();
    const struct plane_config *c = config_of();
    if (!w || !c)
        return PLANE_FRAME;
    uint8_t *to = reply_at(context, w, 0, DNS_HEADER_LEN);
    if (!to)
        return PLANE_FRAME;
    // The ID stays; the flags and counts are the answer's.
    uint64_t was = w->header_front, is = w->answer_front;
    uint32_t was_last = w->header_back, is_last = w->answer_back;
    is = (is & ~0xffffull) | (was & 0xffff);
    is |= (uint64_t)FLAG_RD << 16 | (uint64_t)(w->checking_disabled ? FLAG_CD : 0) << 24;
    if (w->opt_len) {
        uint16_t additional = (uint16_t)(swap16((uint16_t)(is_last >> 16)) + 1);
        is_last = (is_last & 0xffff) | (uint32_t)swap16(additional) << 16;
    }
    *(volatile uint32_t *)to = (uint32_t)is;
    *(volatile uint32_t *)(to + 4) = (uint32_t)(is >> 32);
    *(volatile uint32_t *)(to + 8) = is_last;
    // The question is what the query's sum has beyond its header and its OPT record.
    uint64_t sum = w->query_sum + sum_less(sum_fold(sum_word(was_last, was)));
    sum += sum_fold(sum_word(is_last, is)) + w->records_sum;
    if (!w->opt_len) {
        w->reply_sum = sum;
        return 0;
    }
    struct opt *opt = (struct opt *)reply_at(context, w, w->trailer.message_len, sizeof *opt);
    if (!opt)
        return PLANE_FRAME;
    uint16_t size = swap16(c->udp_payload_max), dnssec = w->wants_dnssec ? swap16(0x8000) : 0;
    *opt = (struct opt){.type = swap16(TYPE_OPT), .size = size, .ttl = (uint32_t)dnssec << 16};
    // Each begins with an octet that is 0, so what follows is at odd places where it is at an even
    // one: its sum is taken as it is there, and the other way round where it is not.
    uint16_t old_opt = sum_fold(w->opt_sum);
    uint16_t new_opt =
        sum_fold((uint64_t)TYPE_OPT + c->udp_payload_max + (w->wants_dnssec ? 0x8000 : 0));
    sum += sum_less(w->question_end & 1 ? swap16(old_opt) : old_opt);
    sum += w->trailer.message_len & 1 ? swap16(new_opt) : new_opt;
    w->reply_sum = sum;
    return 0;
}

// Sends the frame back to where it came from.
INLINE void link_turn(struct ethernet *ethernet)
{
    for (int i = 0; i < 3; i++) {
        uint16_t to = ethernet->to[i];
        ethernet->to[i] = ethernet->from[i];
        ethernet->from[i] = to;
    }
}

INLINE int ipv4_finish(struct xdp_md *context, const struct work *w)
{
    struct ipv4 *ip = header_at(context, w->ip_at, sizeof *ip);
    if (!ip)
        return PLANE_FRAME;
    // Whole words, and the sum of what they are made of: nothing is read that was just written.
    uint16_t len = swap16((uint16_t)(IPV4_LEN + UDP_LEN + w->reply_len));
    uint32_t from = ip->from, *words = (uint32_t *)ip;
    uint64_t sum = w->addresses_sum + 0x45 + len + w->datagram_id + HOP_LIMIT;
    words[0] = 0x45 | (uint32_t)len << 16;
    words[1] = w->datagram_id; // and no fragment
    words[2] = HOP_LIMIT | PROTOCOL_UDP << 8 | (uint32_t)(uint16_t)~sum_fold(sum) << 16;
    words[3] = ip->to;
    words[4] = from;
    return 0;
}

INLINE int ipv6_finish(struct xdp_md *context, const struct work *w)
{
    struct ipv6 *ip = header_at(context, w->ip_at, sizeof *ip);
    if (!ip)
        return PLANE_FRAME;
    for (int i = 0; i < 4; i++) {
        uint32_t from = ip->from[i];
        ip->from[i] = ip->to[i];
        ip->to[i] = from;
    }
    ip->version_class_flow = 0x60;
    ip->len = swap16((uint16_t)(UDP_LEN + w->reply_len));
    ip->hops = HOP_LIMIT;
    return 0;
}

INLINE int udp_finish(struct xdp_md *context, const struct work *w)
{
    struct ethernet *ethernet = header_at(context, 0, sizeof *ethernet);
    struct udp *udp = header_at(context, w->udp_at, sizeof *udp);
    if (!ethernet || !udp)
        return PLANE_FRAME;
    uint16_t from = udp->from;
    udp->from = udp->to;
    udp->to = from;
    udp->len = swap16((uint16_t)(UDP_LEN + w->reply_len));
    uint64_t sum = w->addresses_sum + w->reply_sum + udp->from + udp->to + 2 * (uint64_t)udp->len;
    uint16_t checksum = (uint16_t)~sum_fold(sum);
    udp->checksum = checksum ? checksum : 0xffff; // 0 would say that there is none
    link_turn(ethernet);
    return 0;
}
