// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A bounded store of opaque values under opaque keys, in one flat region that the caller gives.
//
// The region holds no pointer, only offsets, so it can be a shared mapping, a file, or be handed to
// another process. It is divided into shards. Any thread may look up in any shard at any time and
// takes no lock; each shard has one writer at a time, which the caller sees to. The cache knows no
// clock: times are whole seconds on a clock of the caller's that never goes back.
//
// `struct cache` is a process's view of a region and stays unchanged once opened, so all threads
// share one. What stands in the region, and why a racing reader is right, is told in cache.c.

#define CACHE_KEY_MAX    272   // octets of a key
#define CACHE_VALUE_MAX  77824 // octets of a value: 64 KiB and room for what describes it
#define CACHE_SHARDS_MAX 256

struct cache {
    uint8_t *region;
    size_t size;
    uint32_t shard_count;
    uint32_t bucket_count; // of each shard, a power of two
    uint64_t seed;         // for the caller's hash: the one the region was formatted with
    uint64_t shard_stride; // octets from a shard to the next
    uint64_t shard_start;  // offset of the first shard
    uint64_t log_start;    // offset of the log within a shard
    uint64_t log_size;     // octets, a multiple of 8
};

// The caller hashes, with all 64 bits good; equal keys must have equal hashes.
struct cache_key {
    uint64_t hash;
    const uint8_t *bytes; // aligned or not
    uint32_t len;         // 1 .. CACHE_KEY_MAX
};

struct cache_hit {
    uint32_t value_len; // octets of the whole value, also where less was copied
    uint32_t birth_s;
    uint32_t expiry_s; // the caller decides whether it has passed and what that means
};

enum cache_verdict { CACHE_MISS, CACHE_HIT };

// The least region size for that many shards, in octets.
[[nodiscard]] size_t cache_size_min(uint32_t shard_count);

// Makes `region` (64-octet aligned, `size` octets, zeroed by the caller) an empty cache and opens
// it. Returns 0, or -1 where the size is below cache_size_min or shard_count out of 1 ..
// CACHE_SHARDS_MAX. Uses exactly `size` octets, whatever happens later.
[[nodiscard]] int cache_format(struct cache *cache, void *region, size_t size, uint32_t shard_count,
                               uint64_t seed);

// Which shard a key lives in: 0 .. shard_count - 1.
static inline uint32_t cache_shard_of(const struct cache *cache, uint64_t hash)
{
    // The upper bits choose the shard, the lower ones the bucket and the tag.
    return (uint32_t)(((hash >> 32) * cache->shard_count) >> 32);
}

// Copies the value of `key` to `value`, at most `value_size` octets of it from its beginning, and
// fills `hit`. The copy is whole and untorn, or it is a miss. For any thread.
[[nodiscard]] enum cache_verdict cache_lookup(const struct cache *cache,
                                              const struct cache_key *key, void *value,
                                              size_t value_size, struct cache_hit *hit);

// For batches: begin to fetch what the lookup of `hash` will touch first (its bucket), and then,
// when that has had time to arrive, the entry that it leads to. Both only hint.
void cache_prefetch_bucket(const struct cache *cache, uint64_t hash);
void cache_prefetch_entry(const struct cache *cache, uint64_t hash);

struct cache_value {
    const void *bytes;
    uint32_t len; // 1 .. CACHE_VALUE_MAX
    uint32_t birth_s;
    uint32_t expiry_s; // > birth_s
};

struct cache_inserted {
    uint32_t evicted; // entries that had to go and were still alive at `now_s`
    uint32_t expired; // entries that went and were over
    bool replaced;    // there was a value under that key
};

// Stores a value, in the place of what stood under the key. Only the shard's writer calls it.
// Makes room by dropping what is oldest. Returns 0, or -1 where key or value are out of bounds or
// too large for this region (more than a quarter of a shard's log).
[[nodiscard]] int cache_insert(struct cache *cache, const struct cache_key *key,
                               const struct cache_value *value, uint32_t now_s,
                               struct cache_inserted *inserted);

// Drops the value under `key`, if there is one. Only the shard's writer calls it.
bool cache_remove(struct cache *cache, const struct cache_key *key);

struct cache_use {
    uint64_t entries;
    uint64_t used;     // octets of the logs that hold entries, dead ones among them
    uint64_t capacity; // octets of the logs
};

// Adds up all shards. For any thread; the figures may be some operations apart.
void cache_use(const struct cache *cache, struct cache_use *use);

// Walks one shard and checks each invariant that the head of cache.c states. For tests: only
// while the shard's writer is at rest. Returns NULL, or a sentence that says what is wrong.
[[nodiscard]] const char *cache_verify(const struct cache *cache, uint32_t shard);
