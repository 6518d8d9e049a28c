// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A bounded store of opaque values under opaque keys, in one flat region that the caller gives.
//
// The region holds no pointer, only offsets, so it can be a shared mapping, a file, or be handed to
// another process. It is divided into shards of equal size, each of which describes itself. Any
// thread may look up in any shard at any time and takes no lock; each shard has one writer at a
// time, which the caller sees to. The cache knows no clock: times are whole seconds on a clock of
// the caller's that never goes back.
//
// `struct cache` is a process's view of a region and stays unchanged once opened, so all threads
// share one. layout.h says what stands in the region, read.c why a racing reader is right, write.c
// how room is made.

#define CACHE_KEY_MAX    272   // octets of a key
#define CACHE_VALUE_MAX  77824 // octets of a value: 64 KiB and room for what describes it
#define CACHE_SHARDS_MAX 4096
#define CACHE_HITS_MAX   3 // so far hits are counted

struct cache {
    uint8_t *region;
    size_t size;
    uint64_t seed; // for the caller's hash: the one the region was formatted with
    uint32_t shard_count;
    uint32_t bucket_count; // of each shard
    uint32_t ghost_count;
    uint32_t stale_s;      // expired values are still worth keeping so long; set by the caller
    uint64_t shard_stride; // offsets as in layout.h
    uint64_t ghost_start;
    uint64_t small_start;
    uint64_t small_size;
    uint64_t main_start;
    uint64_t main_size;
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
    uint8_t asked;     // hits before this one since this value was stored, up to CACHE_HITS_MAX
    uint64_t offset;   // of the entry in its shard, for tests
};

enum cache_verdict { CACHE_MISS, CACHE_HIT };

// The least and the largest region size for that many shards, in octets. A shard has 256 KiB to 512
// MiB.
[[nodiscard]] size_t cache_size_min(uint32_t shard_count);
[[nodiscard]] size_t cache_size_max(uint32_t shard_count);

// Makes `region` (64-octet aligned, `size` octets, zeroed by the caller) an empty cache and opens
// it. Returns 0, or -1 where the size is out of cache_size_min .. cache_size_max or shard_count out
// of 1 .. CACHE_SHARDS_MAX. Touches nothing beyond `size` octets, whatever happens later. Shards
// are multiples of 4096 octets, so less than 4096 for each shard may be left unused at the end.
[[nodiscard]] int cache_format(struct cache *cache, void *region, size_t size, uint32_t shard_count,
                               uint64_t seed);

// Opens a cache that another process has formatted in this region, as it is. Returns 0, or -1 where
// it is not a cache of this size and format. Any process may look up; the processes must agree on
// the writer of each shard.
[[nodiscard]] int cache_open(struct cache *cache, void *region, size_t size);

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

// The same without counting as a hit.
[[nodiscard]] enum cache_verdict cache_peek(const struct cache *cache, const struct cache_key *key,
                                            void *value, size_t value_size, struct cache_hit *hit);

// A lookup in three stages, for callers that make many at once: between them what the next one
// touches (the bucket, then the entry) has time to arrive from memory. What the first two find out
// is kept in `seek`, for the cache's own use. The last one is cache_lookup in short: true, and
// it is a hit; false, and only cache_lookup can tell. It does so whatever has happened meanwhile.
// It may write to all of `value`, and nearly always finds what is there if that and its key, which
// it copies as well, have room.
struct cache_seek {
    const void *shard;
    const void *bucket;
    uint64_t sequence;
    uint64_t offset;
};
void cache_seek_bucket(const struct cache *cache, uint64_t hash, struct cache_seek *seek);
void cache_seek_entry(const struct cache *cache, uint64_t hash, struct cache_seek *seek);
[[nodiscard]] bool cache_seek_end(const struct cache *cache, const struct cache_seek *seek,
                                  const struct cache_key *key, void *value, size_t value_size,
                                  struct cache_hit *hit);

// Begins to fetch what an insertion will touch first.
void cache_prefetch_bucket(const struct cache *cache, uint64_t hash);

// Many lookups at once: all buckets are fetched, then all entries, then all are copied, so that the
// waits for memory overlap. 16 to 64 at a time are best.
struct cache_request {
    struct cache_key key;
    void *value;
    size_t value_size;
    enum cache_verdict verdict; // filled in, as the next
    struct cache_hit hit;
    struct cache_seek seek; // for the cache's own use
};
void cache_lookup_batch(const struct cache *cache, struct cache_request *requests, size_t count);

struct cache_value {
    const void *bytes;
    uint32_t len; // 1 .. CACHE_VALUE_MAX
    uint32_t birth_s;
    uint32_t expiry_s; // > birth_s
};

struct cache_inserted {
    uint32_t evicted; // entries that had to go and were still alive at `now_s`
    uint32_t expired; // entries that went and were over
    bool crowded;     // one of these was not over and had to go though there was room in the logs,
                      // because all places in the index for it or the new one were taken
    bool replaced;    // there was a value under that key, and making room had not evicted it
};

// Stores a value, in the place of what stood under the key. Only the shard's writer calls it.
// Makes room by dropping what was not asked for again, oldest first. Returns 0, or -1 where key or
// value are out of bounds or too large for this region (more than a quarter of a shard's main log).
[[nodiscard]] int cache_insert(struct cache *cache, const struct cache_key *key,
                               const struct cache_value *value, uint32_t now_s,
                               struct cache_inserted *inserted);

// Gives the value under `key` so many hits, as it had when it was copied out of another cache. Only
// the shard's writer calls it. Returns false where there is none.
bool cache_mark(struct cache *cache, const struct cache_key *key, unsigned hits, unsigned asked);

// Changes `len` octets of the value under `key`, from the octet `at` on, where it stands: times and
// hits stay. Readers may find some of them changed and others not, so it is for octets of which any
// mixture is harmless. Only the shard's writer calls it. Returns false where there is no such value
// or it has fewer octets.
bool cache_overwrite(struct cache *cache, const struct cache_key *key, uint32_t at,
                     const void *bytes, uint32_t len);

// Drops the value under `key`, if there is one. Only the shard's writer calls it.
bool cache_remove(struct cache *cache, const struct cache_key *key);

// An entry as a sweep shows it: where it stands, for the time of the call.
struct cache_entry {
    const uint8_t *key;
    const uint8_t *value;
    size_t key_len;
    size_t value_len;
};

// Drops every entry that `matches`, a piece at a time: each call looks at up to `budget`
// buckets (of at most seven entries), so that a writer can go on answering between the calls. Start
// with `sweep` zero but for the shard; returns true as long as there is more. When it returns
// false, nothing that matches and was stored before the first call is there. A sweep that was begun
// should be carried to its end: until then crowded parts of the index make room less well. Only the
// shard's writer.
struct cache_sweep {
    uint32_t shard;
    uint32_t bucket;
    uint64_t removed;
};
[[nodiscard]] bool cache_sweep(struct cache *cache, struct cache_sweep *sweep, size_t budget,
                               bool (*matches)(const void *context,
                                               const struct cache_entry *entry),
                               const void *context);

// Copies one entry after the other, while writers go on: what stays from the first call to the last
// is copied once; what comes, goes or changes perhaps. Of the few that a writer moves to another
// place in a crowded index meanwhile, one may be copied twice or not at all. Start with `cursor`
// zero; returns false at the end. For any thread.
struct cache_cursor {
    uint32_t shard;
    uint32_t bucket;
    unsigned slot;
};
struct cache_copy {
    uint32_t value_len;
    uint32_t key_len;
    uint32_t birth_s;
    uint32_t expiry_s;
    uint8_t hits;  // that count when room is made, up to CACHE_HITS_MAX
    uint8_t asked; // as in struct cache_hit, but all of them
    uint8_t bytes[CACHE_VALUE_MAX + CACHE_KEY_MAX]; // the value and right behind it the key
};
[[nodiscard]] bool cache_walk(const struct cache *cache, struct cache_cursor *cursor,
                              struct cache_copy *copy);

struct cache_use {
    uint64_t entries;
    uint64_t used;     // octets of the logs that hold entries, dead ones among them
    uint64_t capacity; // octets of the logs
};

// Adds up all shards. For any thread; the figures may be some operations apart.
void cache_use(const struct cache *cache, struct cache_use *use);

// Puts a shard right whose writer may have been killed in the middle of a verb: what could be
// looked up still can be, and another writer can go on. Only while no process writes the shard.
// Returns whether there was anything to do; where there was, the whole shard is gone through.
bool cache_repair(struct cache *cache, uint32_t shard);

// Walks one shard and checks each invariant that write.c states. For tests: only
// while the shard's writer is at rest. Returns NULL, or a sentence that says what is wrong.
[[nodiscard]] const char *cache_verify(const struct cache *cache, uint32_t shard);
