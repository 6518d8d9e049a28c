// SPDX-License-Identifier: MIT
#pragma once
#include "core/wire/key_hash.h"
#include "io/xdp/plane_work.h"

// Finds the entry of a question in the cache's region, as docs/cache-layout.md says, and reads what
// decides whether it may be given.

INLINE const uint8_t *shard_at(uint32_t index)
{
    return map_lookup(&region, &index);
}

// Reads a word anywhere in a shard; 0 where it is outside.
INLINE uint64_t word_at(const uint8_t *shard, uint64_t offset)
{
    OPAQUE(offset);
    return offset <= shard_size - 8 ? *(const volatile uint64_t *)(shard + offset) : 0;
}

INLINE uint32_t half_at(const uint8_t *shard, uint64_t offset)
{
    OPAQUE(offset);
    return offset <= shard_size - 4 ? *(const volatile uint32_t *)(shard + offset) : 0;
}

// -1 where it is outside.
INLINE int quarter_at(const uint8_t *shard, uint64_t offset)
{
    OPAQUE(offset);
    return offset <= shard_size - 2 ? *(const volatile uint16_t *)(shard + offset) : -1;
}

// Is the name at `offset`?
NOINLINE int name_equal(uint32_t index, uint64_t offset)
{
    const struct work *w = work_of();
    const uint8_t *shard = shard_at(index);
    if (!w || !shard)
        return 0;
    uint32_t len = w->name_len, at = 0;
    for (; at + 8 <= len && at < NAME_MAX - 8; at += 8) {
        if (word_at(shard, offset + at) != w->name[at / 8])
            return 0;
    }
    uint32_t last = at;
    OPAQUE(last);
    last &= 0xf8;
    uint64_t mask = (1ull << 8 * (len % 8)) - 1;
    return mask == 0 || ((word_at(shard, offset + last) ^ w->name[last / 8]) & mask) == 0;
}

// Is the entry the key's?
INLINE int entry_is(const uint8_t *shard, const struct work *w, uint32_t index, uint64_t offset)
{
    uint64_t word = word_at(shard, offset);
    uint64_t key_at = offset + LAYOUT_ENTRY_HEADER_LEN + layout_value_len(word);
    return word >> LAYOUT_HASH_SHIFT == (uint32_t)w->hash &&
           layout_key_len(word) == HEAD_LEN + w->name_len &&
           (word_at(shard, key_at) & 0xffffffffffull) == w->head &&
           name_equal(index, key_at + HEAD_LEN);
}

enum found { FOUND, NOT_HERE, CHANGED };

// Looks for the entry in a bucket. Found, it stays to be seen whether the bucket has changed since.
NOINLINE int bucket_find(uint64_t bucket)
{
    struct work *w = work_of();
    if (!w)
        return CHANGED;
    uint32_t index = w->shard;
    const uint8_t *shard = shard_at(index);
    if (!shard)
        return CHANGED;
    uint64_t tag = layout_tag(w->hash), before = word_at(shard, bucket);
    w->bucket = bucket;
    w->sequence = before;
    reads_order();
    for (uint32_t i = 1; i <= LAYOUT_SLOTS; i++) {
        uint64_t slot = word_at(shard, bucket + LAYOUT_WORD * i);
        uint64_t offset = slot & LAYOUT_OFFSET_MASK;
        if (slot != 0 && (slot & ~LAYOUT_OFFSET_MASK) == tag && entry_is(shard, w, index, offset)) {
            w->entry = offset;
            return FOUND;
        }
    }
    reads_order();
    return word_at(shard, bucket) == before ? NOT_HERE : CHANGED;
}

INLINE uint64_t bucket_at(uint32_t index)
{
    return LAYOUT_HEADER_LEN + index * (uint64_t)sizeof(struct layout_bucket);
}

// Looks for the entry of this key's head and the name in both of its buckets.
INLINE int entry_find(uint64_t head)
{
    struct work *w = work_of();
    if (!w)
        return CHANGED;
    w->head = head;
    w->hash = w->name_hash ^ key_hash_head(__builtin_bswap64(head) >> 24);
    w->shard = layout_shard_of(w->hash, shard_count);
    const struct layout_header *header = (const struct layout_header *)shard_at(w->shard);
    if (!header || header->magic != LAYOUT_MAGIC || header->version != LAYOUT_VERSION ||
        header->shard_index != w->shard)
        return CHANGED;
    uint32_t low = (uint32_t)w->hash, count = header->bucket_count;
    uint64_t first = bucket_at(layout_first_bucket(low, count));
    int found = bucket_find(first);
    uint64_t left = w->sequence;
    if (found != NOT_HERE || !(left & LAYOUT_OVERFLOW_MASK))
        return found;
    found = bucket_find(bucket_at(layout_second_bucket(low, count)));
    if (found != NOT_HERE)
        return found;
    return word_at((const uint8_t *)header, first) == left ? NOT_HERE : CHANGED;
}

INLINE void trailer_read(struct trailer *trailer, const uint8_t *shard, uint64_t at)
{
    uint64_t third = word_at(shard, at + 8);
    uint32_t last = half_at(shard, at + 16);
    trailer->generation = half_at(shard, at);
    trailer->sum = (uint16_t)(third >> 16);
    trailer->message_len = (uint16_t)(third >> 32);
    trailer->ttl_count = (uint16_t)(third >> 48);
    trailer->rotate_at = (uint16_t)last;
    trailer->rotate_count = (uint8_t)(last >> 16);
    trailer->flags = (uint8_t)(last >> 24);
}

// May this entry be given? What is read here may be torn, which is seen later.
INLINE int answer_read(void)
{
    struct work *w = work_of();
    const struct plane_config *c = config_of();
    if (!w || !c)
        return PLANE_FRAME;
    const uint8_t *shard = shard_at(w->shard);
    if (!shard)
        return PLANE_FRAME;
    uint64_t word = word_at(shard, w->entry), times = word_at(shard, w->entry + LAYOUT_WORD);
    uint64_t value_len = layout_value_len(word), value_at = w->entry + LAYOUT_ENTRY_HEADER_LEN;
    struct trailer *t = &w->trailer;
    trailer_read(t, shard, value_at + value_len - TRAILER_LEN);
    if (t->generation != c->generation || t->flags & TRAILER_WITHHELD)
        return PLANE_RULES;
    uint32_t now_s = w->now_s;
    if (now_s >= (uint32_t)(times >> 32))
        return PLANE_EXPIRED;
    if ((word & LAYOUT_MARKS_FULL) != LAYOUT_MARKS_FULL)
        return PLANE_FIRST;
    uint32_t birth_s = (uint32_t)times, len = t->message_len;
    w->age_s = now_s > birth_s ? now_s - birth_s : 0;
    w->value_at = value_at;
    w->answer_front = word_at(shard, value_at);
    w->answer_back = half_at(shard, value_at + 8);
    uint32_t whole = len + w->opt_len;
    w->reply_len = whole;
    uint32_t packet = whole + UDP_LEN + (w->is_ipv6 ? IPV6_LEN : IPV4_LEN);
    if (whole > w->reply_max || packet > w->device.mtu || len > PLANE_ANSWER_MAX ||
        len <= w->question_end || t->ttl_count > PLANE_TTLS_MAX ||
        (c->rotate && t->rotate_count > PLANE_ROTATE_MAX))
        return PLANE_SIZE;
    return 0;
}

// Has the entry been as it is all the time?
INLINE int entry_holds(void)
{
    const struct work *w = work_of();
    if (!w)
        return 0;
    const uint8_t *shard = shard_at(w->shard);
    reads_order();
    return shard && word_at(shard, w->bucket) == w->sequence;
}

// An answer to the question, or, where there is none that has not expired, a denial of its name.
INLINE int answer_find(void)
{
    struct work *w = work_of();
    if (!w)
        return PLANE_FRAME;
    int reason = PLANE_MISS;
    uint64_t head = w->head;
    for (int i = 0; i < 2; i++) {
        int found = entry_find(head);
        if (found == CHANGED)
            return PLANE_TORN;
        if (found == FOUND)
            reason = answer_read();
        if (reason != PLANE_MISS && reason != PLANE_EXPIRED)
            return reason;
        if (found == FOUND && !entry_holds())
            return PLANE_TORN; // what is written over can look as if it had expired
        head &= ~0xffffull;    // type 0
    }
    return reason;
}
