// SPDX-License-Identifier: MIT
#include "cache/shard.h"

// Checks the invariants that write.c states.

struct verify {
    const struct cache *cache;
    const struct layout_shard *shard;
    uint64_t led_to; // entries between tail and head that a slot leads to
    uint64_t slots;
    uint64_t overflow_stated;
    uint64_t overflow_found;
};

// Each shard has to describe itself, and they must agree with what was opened.
static const char *verify_header(const struct verify *v, uint32_t index)
{
    const struct cache *cache = v->cache;
    const struct layout_header *header = &v->shard->header;
    if (header->magic != LAYOUT_MAGIC || header->version != LAYOUT_VERSION)
        return "a shard does not begin with a header";
    if (header->shard_index != index)
        return "a shard takes itself for another";
    if (header->shard_count != cache->shard_count || header->size != cache->size ||
        header->seed != cache->seed || header->shard_stride != cache->shard_stride ||
        header->bucket_count != cache->bucket_count || header->ghost_count != cache->ghost_count ||
        header->ghost_start != cache->ghost_start || header->small_start != cache->small_start ||
        header->small_size != cache->small_size || header->main_start != cache->main_start ||
        header->main_size != cache->main_size)
        return "a shard's header says something else than what was opened";
    return NULL;
}

static bool slot_leads_to(const struct layout_bucket *bucket, uint64_t offset)
{
    for (unsigned i = 0; i < LAYOUT_SLOTS; i++) {
        if (bucket->slots[i] != 0 && slot_offset(bucket->slots[i]) == offset)
            return true;
    }
    return false;
}

static bool is_led_to(const struct verify *v, uint32_t low, uint64_t offset)
{
    return slot_leads_to(first_bucket(v->cache, v->shard, low), offset) ||
           slot_leads_to(second_bucket(v->cache, v->shard, low), offset);
}

// Invariant 1.
static const char *verify_log(struct verify *v, uint64_t head, uint64_t tail, uint64_t start,
                              uint64_t size)
{
    if (head < tail || head - tail > size)
        return "head and tail are further apart than the log is long";
    uint64_t at = tail;
    while (at < head) {
        uint64_t offset = start + at % size;
        uint64_t word = *entry_at(v->shard, offset), len = layout_entry_len(word);
        if (len == 0 || len % LAYOUT_WORD != 0 || at % size + len > size)
            return "an entry has an impossible length";
        if (word >> LAYOUT_ZERO_SHIFT & LAYOUT_ZERO_MASK)
            return "bits of an entry are set that mean nothing";
        if (layout_key_len(word) != 0)
            v->led_to += is_led_to(v, hash_low(word), offset);
        at += len;
    }
    return at == head ? NULL : "a log's entries do not end at its head";
}

// Two slots that lead to one key lead to two entries; the first of them that place_of_key would
// find is this one or it is not.
static bool key_is_double(const struct verify *v, const struct layout_bucket *bucket,
                          unsigned index, const uint64_t *entry)
{
    uint64_t word = entry[0], tag = bucket->slots[index] & ~LAYOUT_OFFSET_MASK;
    const struct layout_bucket *buckets[2] = {first_bucket(v->cache, v->shard, hash_low(word)),
                                              second_bucket(v->cache, v->shard, hash_low(word))};
    struct cache_key key = {
        .hash = hash_low(word),
        .bytes = (const uint8_t *)(entry + 2) + layout_value_len(word),
        .len = (uint32_t)layout_key_len(word),
    };
    for (unsigned b = 0; b < 2; b++) {
        for (unsigned i = 0; i < LAYOUT_SLOTS; i++) {
            uint64_t slot = buckets[b]->slots[i];
            bool other = buckets[b] != bucket || i != index;
            if (other && slot_matches(slot, tag) &&
                entry_is(v->cache, v->shard, slot_offset(slot), &key))
                return true;
        }
    }
    return false;
}

// Invariant 2 for one bucket.
static const char *verify_bucket(struct verify *v, const struct layout_bucket *bucket)
{
    v->overflow_stated += bucket->sequence & LAYOUT_OVERFLOW_MASK;
    for (unsigned i = 0; i < LAYOUT_SLOTS; i++) {
        if (bucket->slots[i] == 0)
            continue;
        v->slots++;
        const uint64_t *entry = entry_at(v->shard, slot_offset(bucket->slots[i]));
        const struct layout_bucket *first = first_bucket(v->cache, v->shard, hash_low(entry[0]));
        if (bucket != first) {
            if (bucket != second_bucket(v->cache, v->shard, hash_low(entry[0])))
                return "a slot leads to an entry that does not belong there";
            if ((first->sequence & LAYOUT_OVERFLOW_MASK) == 0)
                return "a bucket does not say that an entry of its own stands elsewhere";
            v->overflow_found++;
        }
        if (key_is_double(v, bucket, i, entry))
            return "two slots lead to the same key";
    }
    return NULL;
}

const char *cache_verify(const struct cache *cache, uint32_t index)
{
    const struct layout_shard *shard = shard_at(cache, index);
    struct verify v = {.cache = cache, .shard = shard};
    const char *why = verify_header(&v, index);
    if (!why)
        why = verify_log(&v, shard->small_head, shard->small_tail, cache->small_start,
                         cache->small_size);
    if (!why)
        why =
            verify_log(&v, shard->main_head, shard->main_tail, cache->main_start, cache->main_size);
    for (uint32_t i = 0; i < cache->bucket_count && !why; i++)
        why = verify_bucket(&v, &buckets_of(shard)[i]);
    if (why)
        return why;
    if (v.led_to != v.slots)
        return "a slot leads to no entry between tail and head";
    if (v.overflow_stated != v.overflow_found)
        return "the overflow counts are wrong";
    return v.slots == shard->entries ? NULL : "the number of entries is wrong";
}
