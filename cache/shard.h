// SPDX-License-Identifier: MIT
#pragma once
#include "cache/cache.h"
#include "cache/layout.h"

#include <string.h>

// What the reader's side (read.c) and the writer's (write.c) have in common: how a word of the
// region is touched, and where things lie.
//
// Every word of the region is read and written as one relaxed atomic of 64 bits (ghosts, which only
// the writer touches, apart), so no access is a data race.

static inline uint64_t load(const uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static inline void store(uint64_t *word, uint64_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELAXED);
}

static inline struct layout_shard *shard_at(const struct cache *cache, uint32_t shard)
{
    return (struct layout_shard *)(cache->region + shard * cache->shard_stride);
}

static inline struct layout_bucket *buckets_of(const struct layout_shard *shard)
{
    return (struct layout_bucket *)((uint8_t *)(uintptr_t)shard + LAYOUT_HEADER_LEN);
}

static inline struct layout_bucket *first_bucket(const struct cache *cache,
                                                 const struct layout_shard *shard, uint32_t low)
{
    return buckets_of(shard) + layout_first_bucket(low, cache->bucket_count);
}

static inline struct layout_bucket *second_bucket(const struct cache *cache,
                                                  const struct layout_shard *shard, uint32_t low)
{
    return buckets_of(shard) + layout_second_bucket(low, cache->bucket_count);
}

static inline uint64_t slot_offset(uint64_t slot)
{
    return slot & LAYOUT_OFFSET_MASK;
}

// Where the tag is the same there remains the offset, which is never 0; else a larger number.
static inline bool slot_matches(uint64_t slot, uint64_t tag)
{
    return (slot ^ tag) - 1 < LAYOUT_OFFSET_MASK;
}

static inline uint64_t *entry_at(const struct layout_shard *shard, uint64_t offset)
{
    return (uint64_t *)((uint8_t *)(uintptr_t)shard + offset);
}

static inline uint64_t offset_of(const struct layout_shard *shard, const uint64_t *entry)
{
    return (uint64_t)((const uint8_t *)entry - (const uint8_t *)shard);
}

static inline uint32_t hash_low(uint64_t word)
{
    return (uint32_t)(word >> LAYOUT_HASH_SHIFT);
}

static inline uint32_t expiry_of(const uint64_t *entry)
{
    return (uint32_t)(load(&entry[1]) >> 32);
}

// Whether the entry at `offset` is the key's. What is read may be torn while a writer is at it:
// nothing of it is used unchecked, and the answer counts only when the bucket's sequence word is
// unchanged afterwards. read.c tells why.
bool entry_is(const struct cache *cache, const struct layout_shard *shard, uint64_t offset,
              const struct cache_key *key);

// Copies `len` octets that a writer may be overwriting.
void racy_copy(void *to, const uint64_t *from, size_t len);
