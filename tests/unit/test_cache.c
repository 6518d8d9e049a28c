// SPDX-License-Identifier: MIT
#include "tests/unit/region.h"

static void test_empty_cache_has_nothing(void **state)
{
    (void)state;
    struct region r = formatted(cache_size_min(1), 1);
    struct cache_hit hit;
    for (uint64_t i = 0; i < 1000; i++) {
        assert_int_equal(lookup(&r.cache, i, 100, &hit), CACHE_MISS);
        struct cache_key key = key_of(&i);
        assert_false(cache_remove(&r.cache, &key));
    }
    struct cache_use use;
    cache_use(&r.cache, &use);
    assert_int_equal(use.entries, 0);
    assert_int_equal(use.used, 0);
    assert_in_range(use.capacity, 220 * 1024, r.size);
    verify(&r.cache);
    region_free(&r);
}

static void test_value_comes_back_with_its_times(void **state)
{
    (void)state;
    struct region r = formatted(cache_size_min(1), 1);
    struct cache_inserted inserted;
    struct cache_hit hit;
    assert_int_equal(insert(&r.cache, 7, 100, 0xfffffff0, UINT32_MAX, &inserted), 0);
    assert_false(inserted.replaced);
    assert_int_equal(inserted.evicted + inserted.expired, 0);
    assert_int_equal(lookup(&r.cache, 7, 100, &hit), CACHE_HIT);
    assert_int_equal(hit.value_len, 100);
    assert_int_equal(hit.birth_s, 0xfffffff0);
    assert_int_equal(hit.expiry_s, UINT32_MAX);
    // What has expired is still found: the caller decides.
    assert_int_equal(insert(&r.cache, 8, 1, 0, 1, &inserted), 0);
    assert_int_equal(lookup(&r.cache, 8, 1, &hit), CACHE_HIT);
    assert_int_equal(hit.birth_s, 0);
    assert_int_equal(hit.expiry_s, 1);
    assert_int_equal(lookup(&r.cache, 9, 100, &hit), CACHE_MISS);
    verify(&r.cache);
    region_free(&r);
}

static void test_lookup_copies_no_more_than_there_is_room(void **state)
{
    (void)state;
    struct region r = formatted(cache_size_min(1), 1);
    struct cache_hit hit;
    insert_good(&r.cache, 7, 100);
    for (size_t size = 0; size < 120; size++) {
        assert_int_equal(lookup(&r.cache, 7, size, &hit), CACHE_HIT);
        assert_int_equal(hit.value_len, 100);
    }
    struct cache_key key = key_of(&(uint64_t){7});
    assert_int_equal(cache_lookup(&r.cache, &key, NULL, 0, &hit), CACHE_HIT);
    region_free(&r);
}

static void test_peek_finds_the_same_and_is_no_hit(void **state)
{
    (void)state;
    struct region r = formatted(cache_size_min(1), 1);
    uint8_t looked[100], peeked[100];
    struct cache_hit hit;
    struct cache_key key = key_of(&(uint64_t){7});
    assert_int_equal(cache_peek(&r.cache, &key, peeked, sizeof peeked, &hit), CACHE_MISS);
    insert_good(&r.cache, 7, 100);
    for (unsigned i = 0; i < 9; i++) {
        assert_int_equal(cache_peek(&r.cache, &key, peeked, sizeof peeked, &hit), CACHE_HIT);
        assert_int_equal(hit.asked, 0);
    }
    assert_int_equal(cache_lookup(&r.cache, &key, looked, sizeof looked, &hit), CACHE_HIT);
    assert_int_equal(hit.asked, 0);
    assert_memory_equal(looked, peeked, 100);
    assert_int_equal(cache_peek(&r.cache, &key, peeked, sizeof peeked, &hit), CACHE_HIT);
    assert_int_equal(hit.asked, 1);
    region_free(&r);
}

static void test_insert_under_the_same_key_replaces(void **state)
{
    (void)state;
    struct region r = formatted(cache_size_min(1), 1);
    struct cache_inserted inserted;
    struct cache_hit hit;
    for (uint32_t len = 1; len < 200; len++) {
        assert_int_equal(insert(&r.cache, 7, len, len, len + 1000, &inserted), 0);
        assert_int_equal(inserted.replaced, len > 1);
        assert_int_equal(inserted.evicted + inserted.expired, 0);
        assert_int_equal(lookup(&r.cache, 7, 300, &hit), CACHE_HIT);
        assert_int_equal(hit.value_len, len);
        assert_int_equal(hit.birth_s, len);
    }
    struct cache_use use;
    cache_use(&r.cache, &use);
    assert_int_equal(use.entries, 1);
    verify(&r.cache);
    region_free(&r);
}

static void test_removed_value_is_gone_until_inserted_again(void **state)
{
    (void)state;
    struct region r = formatted(cache_size_min(1), 1);
    struct cache_hit hit;
    struct cache_use use;
    struct cache_key key = key_of(&(uint64_t){7});
    insert_good(&r.cache, 7, 10);
    insert_good(&r.cache, 8, 10);
    assert_true(cache_remove(&r.cache, &key));
    assert_false(cache_remove(&r.cache, &key));
    assert_int_equal(lookup(&r.cache, 7, 10, &hit), CACHE_MISS);
    assert_int_equal(lookup(&r.cache, 8, 10, &hit), CACHE_HIT);
    cache_use(&r.cache, &use);
    assert_int_equal(use.entries, 1);
    verify(&r.cache);
    insert_good(&r.cache, 7, 20);
    assert_int_equal(lookup(&r.cache, 7, 20, &hit), CACHE_HIT);
    assert_int_equal(hit.value_len, 20);
    verify(&r.cache);
    region_free(&r);
}

static void test_values_of_every_length_come_back(void **state)
{
    (void)state;
    struct region r = formatted((size_t)4 << 20, 1);
    struct cache_hit hit;
    for (uint32_t len = 1; len <= CACHE_VALUE_MAX; len += len < 300 ? 1 : 997) {
        insert_good(&r.cache, len, len);
        assert_int_equal(lookup(&r.cache, len, len, &hit), CACHE_HIT);
        assert_int_equal(hit.value_len, len);
    }
    insert_good(&r.cache, CACHE_VALUE_MAX, CACHE_VALUE_MAX);
    assert_int_equal(lookup(&r.cache, CACHE_VALUE_MAX, CACHE_VALUE_MAX + 1, &hit), CACHE_HIT);
    assert_int_equal(hit.value_len, CACHE_VALUE_MAX);
    verify(&r.cache);
    region_free(&r);
}

static void test_keys_of_every_length_and_alignment_are_told_apart(void **state)
{
    (void)state;
    struct region r = formatted((size_t)1 << 20, 1);
    uint8_t *bytes = malloc(CACHE_KEY_MAX);
    assert_non_null(bytes);
    memset(bytes, 'k', CACHE_KEY_MAX);
    struct cache_inserted inserted;
    struct cache_hit hit;
    // The same hash for all: the octets must make the difference. Fourteen have room in two
    // buckets.
    for (uint32_t len = 1; len <= CACHE_KEY_MAX; len++) {
        struct cache_key key = {.hash = 42, .bytes = bytes + CACHE_KEY_MAX - len, .len = len};
        uint16_t out = 0;
        struct cache_value value = {
            .bytes = &(uint16_t){(uint16_t)len}, .len = 2, .birth_s = 1, .expiry_s = 1000 + len};
        assert_int_equal(cache_insert(&r.cache, &key, &value, 1, &inserted), 0);
        assert_false(inserted.replaced);
        assert_int_equal(inserted.evicted, len > 14);
        assert_int_equal(cache_lookup(&r.cache, &key, &out, 2, &hit), CACHE_HIT);
        assert_int_equal(out, len);
        bytes[CACHE_KEY_MAX - len] ^= 1;
        assert_int_equal(cache_lookup(&r.cache, &key, &out, 2, &hit), CACHE_MISS);
        bytes[CACHE_KEY_MAX - len] ^= 1;
        bytes[CACHE_KEY_MAX - 1] ^= 1;
        assert_int_equal(cache_lookup(&r.cache, &key, &out, 2, &hit), CACHE_MISS);
        bytes[CACHE_KEY_MAX - 1] ^= 1;
        key.hash++;
        assert_int_equal(cache_lookup(&r.cache, &key, &out, 2, &hit), CACHE_MISS);
    }
    verify(&r.cache);
    free(bytes);
    region_free(&r);
}

static void test_out_of_bounds_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    static const struct {
        uint32_t key_len, value_len;
    } rows[] = {{0, 1}, {CACHE_KEY_MAX + 1, 1},   {UINT32_MAX, 1}, {0x10001, 1},
                {1, 0}, {1, CACHE_VALUE_MAX + 1}, {1, UINT32_MAX}};
    struct region r = formatted((size_t)1 << 20, 1);
    struct cache_inserted inserted;
    struct cache_hit hit;
    insert_good(&r.cache, 7, 10);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct cache_key key = {.hash = 1, .bytes = (const uint8_t *)"", .len = rows[i].key_len};
        struct cache_value value = {.bytes = "", .len = rows[i].value_len, .expiry_s = 1};
        assert_int_equal(cache_insert(&r.cache, &key, &value, 0, &inserted), -1);
    }
    assert_int_equal(lookup(&r.cache, 7, 10, &hit), CACHE_HIT);
    verify(&r.cache);
    region_free(&r);
}

static void test_entry_above_a_quarter_of_the_log_is_refused(void **state)
{
    (void)state;
    struct region r = formatted(cache_size_min(1), 1);
    struct cache_inserted inserted;
    struct cache_hit hit;
    // An entry is 16 octets, value and key, rounded up to 8.
    uint32_t most = (uint32_t)(r.cache.main_size / 4) / 8 * 8 - 16 - 8;
    assert_in_range(most, 40000, CACHE_VALUE_MAX);
    insert_good(&r.cache, 7, 10);
    assert_int_equal(insert(&r.cache, 8, most + 1, 1000, 2000, &inserted), -1);
    assert_int_equal(lookup(&r.cache, 7, 10, &hit), CACHE_HIT);
    assert_int_equal(insert(&r.cache, 8, most, 1000, 2000, &inserted), 0);
    assert_int_equal(lookup(&r.cache, 8, most, &hit), CACHE_HIT);
    for (uint64_t i = 9; i < 100; i++) {
        assert_int_equal(insert(&r.cache, i, most, 1000, 2000, &inserted), 0);
        assert_int_equal(lookup(&r.cache, i, most, &hit), CACHE_HIT);
        verify(&r.cache);
    }
    region_free(&r);
}

static bool number_is_even(const void *context, const struct cache_entry *entry)
{
    assert_null(context);
    assert_int_equal(entry->key_len, sizeof(uint64_t));
    assert_in_range(entry->value_len, 20, 69);
    return entry->key[0] % 2 == 0;
}

static void test_sweep_drops_what_matches_and_nothing_else(void **state)
{
    (void)state;
    struct region r = formatted((size_t)1 << 20, 2);
    struct cache_hit hit;
    for (uint64_t i = 0; i < 1000; i++)
        insert_good(&r.cache, i, 20 + i % 50);
    uint64_t removed = 0;
    for (uint32_t shard = 0; shard < 2; shard++) {
        struct cache_sweep sweep = {.shard = shard};
        while (cache_sweep(&r.cache, &sweep, 7, number_is_even, NULL))
            verify(&r.cache);
        removed += sweep.removed;
    }
    assert_int_equal(removed, 500);
    for (uint64_t i = 0; i < 1000; i++)
        assert_int_equal(lookup(&r.cache, i, 20 + i % 50, &hit), i % 2 ? CACHE_HIT : CACHE_MISS);
    verify(&r.cache);
    region_free(&r);
}

static void test_walk_copies_each_entry_once(void **state)
{
    (void)state;
    static struct cache_copy copy;
    static bool seen[1000];
    struct region r = formatted((size_t)1 << 20, 3);
    for (uint64_t i = 0; i < 1000; i++)
        insert_good(&r.cache, i, 20 + i % 50);
    struct cache_cursor cursor = {0};
    size_t count = 0;
    for (; cache_walk(&r.cache, &cursor, &copy); count++) {
        uint64_t number;
        assert_int_equal(copy.key_len, sizeof number);
        memcpy(&number, copy.bytes + copy.value_len, sizeof number);
        assert_in_range(number, 0, 999);
        assert_false(seen[number]);
        seen[number] = true;
        assert_int_equal(copy.value_len, 20 + number % 50);
        for (uint32_t i = 0; i < copy.value_len; i++)
            assert_int_equal(copy.bytes[i], pattern(number, i));
    }
    assert_int_equal(count, 1000);
    region_free(&r);
}

static void test_batch_finds_what_single_lookups_find(void **state)
{
    (void)state;
    enum { BATCH = 32 };
    struct region r = formatted((size_t)1 << 20, 2);
    for (uint64_t i = 0; i < 600; i += 2)
        insert_good(&r.cache, i, 40);
    for (uint64_t from = 0; from + BATCH <= 600; from += BATCH) {
        struct cache_request requests[BATCH];
        uint64_t numbers[BATCH];
        uint8_t values[BATCH][40];
        for (unsigned i = 0; i < BATCH; i++) {
            numbers[i] = from + i;
            requests[i] = (struct cache_request){
                .key = key_of(&numbers[i]), .value = values[i], .value_size = sizeof values[i]};
        }
        cache_lookup_batch(&r.cache, requests, BATCH);
        for (unsigned i = 0; i < BATCH; i++) {
            assert_int_equal(requests[i].verdict, numbers[i] % 2 ? CACHE_MISS : CACHE_HIT);
            if (requests[i].verdict == CACHE_HIT)
                assert_int_equal(values[i][39], pattern(numbers[i], 39));
        }
    }
    region_free(&r);
}

static void test_shards_are_used_evenly_and_keep_to_themselves(void **state)
{
    (void)state;
    static const uint32_t counts[] = {1, 2, 3, 4, 7, 16, 256};
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        struct region r = formatted(cache_size_min(counts[i]) + 1000 * i, counts[i]);
        uint64_t *in_shard = calloc(counts[i], sizeof *in_shard);
        assert_non_null(in_shard);
        for (uint64_t n = 0; n < 1000 * counts[i]; n++) {
            uint32_t shard = cache_shard_of(&r.cache, hash_of(n));
            assert_in_range(shard, 0, counts[i] - 1);
            in_shard[shard]++;
            insert_good(&r.cache, n, 40);
        }
        for (uint32_t shard = 0; shard < counts[i]; shard++)
            assert_in_range(in_shard[shard], 800, 1200);
        struct cache_use use;
        struct cache_hit hit;
        cache_use(&r.cache, &use);
        assert_in_range(use.entries, 990 * counts[i], 1000 * counts[i]);
        uint64_t found = 0;
        for (uint64_t n = 0; n < 1000 * counts[i]; n++)
            found += lookup(&r.cache, n, 40, &hit) == CACHE_HIT;
        assert_int_equal(found, use.entries);
        verify(&r.cache);
        free(in_shard);
        region_free(&r);
    }
}

static void test_format_takes_only_what_is_enough(void **state)
{
    (void)state;
    static const uint32_t good[] = {1, 2, 3, 5, 64, 255, CACHE_SHARDS_MAX};
    static struct cache cache;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        size_t least = cache_size_min(good[i]);
        struct region r = region_of(least);
        assert_int_equal(cache_format(&cache, r.bytes, least - 1, good[i], 1), -1);
        assert_int_equal(cache_format(&cache, r.bytes, least, good[i], 1), 0);
        assert_int_equal(cache.size, least);
        assert_int_equal(cache.shard_count, good[i]);
        assert_int_equal(cache.seed, 1);
        verify(&cache);
        region_free(&r);
    }
    struct region r = region_of((size_t)1 << 20);
    assert_int_equal(cache_format(&cache, r.bytes, r.size, 0, 1), -1);
    assert_int_equal(cache_format(&cache, r.bytes, (size_t)1 << 40, CACHE_SHARDS_MAX + 1, 1), -1);
    assert_int_equal(cache_format(&cache, r.bytes, cache_size_max(1) + 1, 1, 1), -1);
    assert_int_equal(cache_format(&cache, r.bytes, 0, 1, 1), -1);
    assert_int_equal(cache_format(&cache, r.bytes + 8, r.size - 64, 1, 1), -1);
    region_free(&r);
}

// What another process has formatted is opened as it is, and what differs in one octet of any
// shard's header is not.
static void test_open_takes_only_what_was_formatted(void **state)
{
    (void)state;
    static struct cache cache, again;
    size_t size = cache_size_min(3) + 4096;
    struct region r = region_of(size);
    assert_int_equal(cache_open(&again, r.bytes, size), -1);
    assert_int_equal(cache_format(&cache, r.bytes, size, 3, 7), 0);
    assert_int_equal(cache_open(&again, r.bytes, size), 0);
    assert_memory_equal(&again, &cache, sizeof cache);
    assert_int_equal(cache_open(&again, r.bytes, size - 4096), -1);
    assert_int_equal(cache_open(&again, r.bytes, 16), -1);
    assert_int_equal(cache_open(&again, r.bytes + 8, size - 64), -1);
    for (uint32_t shard = 0; shard < 3; shard++) {
        for (size_t at = 0; at < sizeof(struct layout_header); at++) {
            uint8_t *octet = r.bytes + shard * cache.shard_stride + at;
            *octet ^= 0x10;
            assert_int_equal(cache_open(&again, r.bytes, size), -1);
            *octet ^= 0x10;
        }
    }
    // Of the version before it would be read as it is not meant.
    struct layout_header *header = (void *)r.bytes;
    header->version--;
    assert_int_equal(cache_open(&again, r.bytes, size), -1);
    header->version++;
    assert_int_equal(cache_open(&again, r.bytes, size), 0);
    region_free(&r);
}

// A shard is a multiple of 4096 octets, and what that leaves over is never touched. At the largest
// size for so many shards each is as large as a shard may be.
static void test_every_shard_describes_itself(void **state)
{
    (void)state;
    static const struct {
        size_t size, stride;
        uint32_t shards;
    } rows[] = {
        {256 * 1024, 256 * 1024, 1},
        {256 * 1024 + 4095, 256 * 1024, 1},
        {256 * 1024 + 4096, 260 * 1024, 1},
        {3 * 256 * 1024 + 3 * 4095, 256 * 1024, 3},
        {3 * 256 * 1024 + 3 * 4096, 260 * 1024, 3},
        {(size_t)16 << 20, (size_t)2 << 20, 8},
        {((size_t)512 << 20) + 4095, (size_t)512 << 20, 1},
        {2 * (((size_t)512 << 20) + 4096) - 1, (size_t)512 << 20, 2},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct region r = formatted(rows[i].size, rows[i].shards);
        assert_int_equal(r.cache.size, rows[i].size);
        assert_int_equal(r.cache.shard_stride, rows[i].stride);
        assert_in_range(rows[i].size, cache_size_min(rows[i].shards),
                        cache_size_max(rows[i].shards));
        for (uint32_t n = 0; n < rows[i].shards; n++) {
            const struct layout_header *header = (void *)(r.bytes + n * rows[i].stride);
            assert_int_equal(header->magic, LAYOUT_MAGIC);
            assert_int_equal(header->version, LAYOUT_VERSION);
            assert_int_equal(header->shard_index, n);
            assert_int_equal(header->shard_count, rows[i].shards);
            assert_int_equal(header->shard_stride, rows[i].stride);
            assert_int_equal(header->main_start + header->main_size, rows[i].stride);
        }
        region_free(&r);
    }
    assert_int_equal(cache_size_max(1), ((size_t)512 << 20) + 4095);
}

// Offsets count from the shard's beginning, so a shard can be carried elsewhere and is still good.
static void test_shard_can_be_carried_elsewhere(void **state)
{
    (void)state;
    enum { SHARDS = 3, NAMES = 3000 };
    struct region r = formatted(cache_size_min(SHARDS), SHARDS), other = region_of(r.size);
    for (uint64_t n = 0; n < NAMES; n++)
        insert_good(&r.cache, n, 40);
    size_t stride = r.cache.shard_stride;
    for (size_t n = 0; n < SHARDS; n++)
        memcpy(other.bytes + n * stride, r.bytes + n * stride, stride);
    struct cache carried = r.cache;
    carried.region = other.bytes;
    struct cache_hit hit;
    memset(r.bytes, 0, r.size);
    for (uint64_t n = 0; n < NAMES; n++)
        assert_int_equal(lookup(&carried, n, 40, &hit), CACHE_HIT);
    verify(&carried);
    region_free(&other);
    region_free(&r);
}

// Sizes around every border of words, lines and pages; small entries until the log has gone round
// several times, with the largest in between.
static void test_no_size_is_left(void **state)
{
    (void)state;
    for (size_t more = 0; more < 6000; more += more < 140 ? 7 : 997) {
        uint32_t shards = 1 + (uint32_t)(more % 4);
        struct region r = formatted(cache_size_min(shards) + more, shards);
        struct cache_inserted inserted;
        for (uint64_t n = 0; n < 3000 * shards; n++) {
            uint32_t len = n % 97 == 0 ? (uint32_t)(r.cache.main_size / 4 - 32) : 1 + n * 13 % 700;
            assert_int_equal(insert(&r.cache, n, len, 1000, 2000, &inserted), 0);
        }
        verify(&r.cache);
        struct cache_use use;
        cache_use(&r.cache, &use);
        // Of the region only the headers, the index and what rounding leaves are not log.
        assert_in_range(use.capacity, (r.size - 2 * 4096 * shards) * 8 / 10, r.size);
        region_free(&r);
    }
}

// Whatever has happened since the first stages of a lookup, the last one gives what is there now,
// or sends to cache_lookup.
static void test_lookup_in_stages_is_of_the_last_one(void **state)
{
    (void)state;
    struct region r = formatted(cache_size_min(2), 2);
    unsigned found = 0;
    for (uint64_t n = 0; n < 10000; n++) {
        struct cache_key key = key_of(&n);
        struct cache_seek before, after;
        struct cache_hit hit;
        uint8_t value[200];
        cache_prefetch_bucket(&r.cache, key.hash);
        cache_seek_bucket(&r.cache, key.hash, &before);
        cache_seek_entry(&r.cache, key.hash, &before);
        insert_good(&r.cache, n, 100);
        assert_false(cache_seek_end(&r.cache, &before, &key, value, sizeof value, &hit));
        cache_seek_bucket(&r.cache, key.hash, &after);
        cache_seek_entry(&r.cache, key.hash, &after);
        // Without room for the value and its key, whole words.
        assert_false(cache_seek_end(&r.cache, &after, &key, value, 100 + sizeof n, &hit));
        if (cache_seek_end(&r.cache, &after, &key, value, 104 + sizeof n, &hit)) {
            assert_int_equal(hit.value_len, 100);
            assert_int_equal(hit.asked, 0);
            assert_int_equal(cache_lookup(&r.cache, &key, value, sizeof value, &hit), CACHE_HIT);
            assert_int_equal(hit.asked, 1);
            found++;
        }
        insert_good(&r.cache, n, 101);
        assert_false(cache_seek_end(&r.cache, &after, &key, value, sizeof value, &hit));
        cache_seek_entry(&r.cache, key.hash, &after);
        assert_true(cache_remove(&r.cache, &key));
        assert_false(cache_seek_end(&r.cache, &after, &key, value, sizeof value, &hit));
        insert_good(&r.cache, n, 100);
    }
    assert_in_range(found, 7000, 10000); // the others are in their second buckets
    region_free(&r);
}

// cache_verify has to find what is wrong, or the other tests prove little.
static void test_verify_finds_damage(void **state)
{
    (void)state;
    struct region r = formatted(cache_size_min(1), 1);
    for (uint64_t n = 0; n < 100; n++)
        insert_good(&r.cache, n, 100);
    struct layout_shard *shard = (struct layout_shard *)(void *)r.bytes;
    uint64_t *header = (uint64_t *)(void *)r.bytes;
    uint64_t *buckets = (uint64_t *)(void *)(r.bytes + LAYOUT_HEADER_LEN);
    uint64_t *entry = (uint64_t *)(void *)(r.bytes + r.cache.small_start);
    // Of an entry's lengths and hash not every bit can be seen to be wrong.
    const struct {
        uint64_t *word;
        unsigned bit;
    } damage[] = {
        {&shard->small_head, 3}, {&shard->small_head, 20}, {&shard->small_head, 47},
        {&shard->small_tail, 3}, {&shard->small_tail, 47}, {&shard->entries, 0},
        {&shard->entries, 40},   {&entry[0], 3},           {&entry[0], 8},
        {&entry[0], 20},         {&entry[0], 30},          {&entry[0], 31},
        {&entry[0], 60},         {&entry[0], 63},          {&buckets[0], 0},
        {&buckets[0], 3},        {&header[0], 0},          {&header[1], 0},
        {&header[1], 32},        {&header[2], 12},         {&header[3], 63},
        {&header[4], 12},        {&header[5], 0},          {&header[5], 33},
        {&header[6], 5},         {&header[7], 6},          {&header[8], 6},
        {&header[9], 6},         {&header[10], 6},         {&header[11], 6},
    };
    for (size_t i = 0; i < COUNT_OF(damage); i++) {
        *damage[i].word ^= (uint64_t)1 << damage[i].bit;
        if (!cache_verify(&r.cache, 0))
            fail_msg("damage %zu was not seen", i);
        *damage[i].word ^= (uint64_t)1 << damage[i].bit;
    }
    verify(&r.cache);
    // A slot that leads nowhere, and one that leads to another's entry.
    uint64_t *slot = buckets;
    while (*slot == 0 || slot[1] != 0 || (size_t)(slot - buckets) % 8 == 0 ||
           (size_t)(slot - buckets) % 8 == 7)
        slot++;
    uint64_t kept = *slot;
    *slot = 0;
    assert_non_null(cache_verify(&r.cache, 0));
    *slot = kept ^ 8;
    assert_non_null(cache_verify(&r.cache, 0));
    *slot = kept;
    slot[1] = kept;
    assert_non_null(cache_verify(&r.cache, 0));
    slot[1] = 0;
    verify(&r.cache);
    region_free(&r);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty_cache_has_nothing),
        cmocka_unit_test(test_value_comes_back_with_its_times),
        cmocka_unit_test(test_lookup_copies_no_more_than_there_is_room),
        cmocka_unit_test(test_peek_finds_the_same_and_is_no_hit),
        cmocka_unit_test(test_insert_under_the_same_key_replaces),
        cmocka_unit_test(test_removed_value_is_gone_until_inserted_again),
        cmocka_unit_test(test_values_of_every_length_come_back),
        cmocka_unit_test(test_keys_of_every_length_and_alignment_are_told_apart),
        cmocka_unit_test(test_out_of_bounds_is_refused_and_changes_nothing),
        cmocka_unit_test(test_entry_above_a_quarter_of_the_log_is_refused),
        cmocka_unit_test(test_sweep_drops_what_matches_and_nothing_else),
        cmocka_unit_test(test_walk_copies_each_entry_once),
        cmocka_unit_test(test_batch_finds_what_single_lookups_find),
        cmocka_unit_test(test_shards_are_used_evenly_and_keep_to_themselves),
        cmocka_unit_test(test_format_takes_only_what_is_enough),
        cmocka_unit_test(test_open_takes_only_what_was_formatted),
        cmocka_unit_test(test_every_shard_describes_itself),
        cmocka_unit_test(test_shard_can_be_carried_elsewhere),
        cmocka_unit_test(test_no_size_is_left),
        cmocka_unit_test(test_lookup_in_stages_is_of_the_last_one),
        cmocka_unit_test(test_verify_finds_damage),
    };
    return cmocka_run_group_tests_name("cache", tests, NULL, NULL);
}
