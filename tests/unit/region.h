// SPDX-License-Identifier: MIT
#pragma once
#include "cache/cache.h"
#include "cache/layout.h"

#include "tests/unit/packet.h"

#include <sys/mman.h>
#include <unistd.h>

// A region between two inaccessible pages: what reads or writes outside of it dies. Where
// the size is no multiple of a page, the octets behind it in its last page are poisoned and looked
// at again at the end.

#define POISON 0xa5

struct region {
    uint8_t *mapping;
    size_t mapping_len;
    uint8_t *bytes;
    size_t size;
    size_t slack;
    struct cache cache;
};

static inline struct region region_of(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t pages = (size + page - 1) / page * page;
    struct region r = {.mapping_len = pages + 2 * page, .size = size, .slack = pages - size};
    r.mapping = mmap(NULL, r.mapping_len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(r.mapping != MAP_FAILED);
    r.bytes = r.mapping + page;
    assert_int_equal(mprotect(r.bytes, pages, PROT_READ | PROT_WRITE), 0);
    memset(r.bytes + size, POISON, r.slack);
    return r;
}

static inline void region_free(struct region *r)
{
    for (size_t i = 0; i < r->slack; i++)
        assert_int_equal(r->bytes[r->size + i], POISON);
    assert_int_equal(munmap(r->mapping, r->mapping_len), 0);
}

static inline struct region formatted(size_t size, uint32_t shards)
{
    struct region r = region_of(size);
    assert_int_equal(cache_format(&r.cache, r.bytes, size, shards, 4711), 0);
    return r;
}

static inline void verify(const struct cache *cache)
{
    for (uint32_t i = 0; i < cache->shard_count; i++) {
        const char *why = cache_verify(cache, i);
        if (why)
            fail_msg("shard %u: %s", i, why);
    }
}

// Equal numbers get equal hashes and all of them good ones.
static inline uint64_t hash_of(uint64_t number)
{
    return test_random(&number);
}

static inline struct cache_key key_of(const uint64_t *number)
{
    return (struct cache_key){
        .hash = hash_of(*number), .bytes = (const uint8_t *)number, .len = sizeof *number};
}

static inline uint8_t pattern(uint64_t number, size_t at)
{
    return (uint8_t)(number * 31 + at * 7 + (at >> 8));
}

static inline int insert(struct cache *cache, uint64_t number, uint32_t len, uint32_t now_s,
                         uint32_t expiry_s, struct cache_inserted *inserted)
{
    uint8_t *bytes = malloc(len ? len : 1);
    assert_non_null(bytes);
    for (size_t i = 0; i < len; i++)
        bytes[i] = pattern(number, i);
    struct cache_key key = key_of(&number);
    struct cache_value value = {.bytes = bytes, .len = len, .birth_s = now_s, .expiry_s = expiry_s};
    int result = cache_insert(cache, &key, &value, now_s, inserted);
    free(bytes);
    return result;
}

static inline void insert_good(struct cache *cache, uint64_t number, uint32_t len)
{
    struct cache_inserted inserted;
    assert_int_equal(insert(cache, number, len, 1000, 2000, &inserted), 0);
}

// Looks up and checks every octet; the buffer has exactly `size` octets.
static inline enum cache_verdict lookup(const struct cache *cache, uint64_t number, size_t size,
                                        struct cache_hit *hit)
{
    uint8_t *buffer = malloc(size ? size : 1);
    assert_non_null(buffer);
    memset(buffer, POISON, size);
    struct cache_key key = key_of(&number);
    enum cache_verdict verdict = cache_lookup(cache, &key, buffer, size, hit);
    if (verdict == CACHE_HIT) {
        for (size_t i = 0; i < size; i++) {
            uint8_t wanted = i < hit->value_len ? pattern(number, i) : POISON;
            if (buffer[i] != wanted)
                fail_msg("octet %zu of %zu is %02x, not %02x", i, size, buffer[i], wanted);
        }
    }
    free(buffer);
    return verdict;
}
