// SPDX-License-Identifier: MIT
#include "tests/unit/region.h"

// What goes when room is made and what stays, and the counts by which that is decided.

static void test_full_log_drops_the_oldest_first(void **state)
{
    (void)state;
    struct region r = formatted(cache_size_min(1), 1);
    struct cache_inserted inserted;
    struct cache_hit hit;
    uint64_t evicted = 0, count = 40000;
    for (uint64_t i = 0; i < count; i++) {
        assert_int_equal(insert(&r.cache, i, 64, 1000, 2000, &inserted), 0);
        assert_int_equal(inserted.expired, 0);
        evicted += inserted.evicted;
        assert_int_equal(lookup(&r.cache, i, 64, &hit), CACHE_HIT);
    }
    struct cache_use use;
    cache_use(&r.cache, &use);
    assert_int_equal(use.entries + evicted, count);
    assert_in_range(use.used, use.capacity - 200, use.capacity);
    // Those that the log cannot hold any more are gone, and all of the youngest are there but for
    // the few that a full bucket cost.
    uint64_t found = 0, held = use.capacity / 88;
    for (uint64_t i = 0; i + held + 1 < count; i++)
        assert_int_equal(lookup(&r.cache, i, 64, &hit), CACHE_MISS);
    for (uint64_t i = count - held; i < count; i++)
        found += lookup(&r.cache, i, 64, &hit) == CACHE_HIT;
    assert_int_equal(found, use.entries);
    assert_in_range(found, held * 8 / 10, held);
    verify(&r.cache);
    region_free(&r);
}

static void test_evicted_and_expired_are_told_apart(void **state)
{
    (void)state;
    struct region r = formatted(cache_size_min(1), 1);
    struct cache_inserted inserted;
    uint64_t evicted = 0, expired = 0, number = 0;
    // First those that live to 2000, then those that live to 3000.
    for (; number < 1000; number++)
        assert_int_equal(insert(&r.cache, number, 64, 1000, 2000, &inserted), 0);
    for (; number < 2000; number++)
        assert_int_equal(insert(&r.cache, number, 64, 1000, 3000, &inserted), 0);
    for (; number < 20000; number++) {
        assert_int_equal(insert(&r.cache, number, 64, 2000, 4000, &inserted), 0);
        expired += inserted.expired;
        evicted += inserted.evicted;
    }
    assert_in_range(expired, 900, 1000);
    assert_in_range(evicted, 10000, 19000);
    region_free(&r);
}

// Fourteen entries of one hash fill its two buckets. Room is then made in the first one, by what is
// over, else by what was hit least.
static void test_full_buckets_give_up_what_is_worth_least(void **state)
{
    (void)state;
    enum { SLOTS = 14, OVER = 3 };
    struct region r = formatted(cache_size_min(1), 1);
    struct cache_inserted inserted;
    struct cache_hit hit;
    uint8_t byte;
    for (unsigned i = 0; i < SLOTS + 2; i++) {
        struct cache_key key = {
            .hash = 5, .bytes = (const uint8_t *)"0123456789abcdef" + i, .len = 1};
        struct cache_value value = {
            .bytes = &byte, .len = 1, .birth_s = 1000, .expiry_s = i == OVER ? 1200 : 5000};
        byte = (uint8_t)i;
        assert_int_equal(cache_insert(&r.cache, &key, &value, 1250, &inserted), 0);
        assert_int_equal(inserted.expired, i == SLOTS);
        assert_int_equal(inserted.evicted, i == SLOTS + 1);
        assert_int_equal(inserted.crowded, i == SLOTS + 1);
        if (i != 1)
            assert_int_equal(cache_lookup(&r.cache, &key, &byte, 1, &hit), CACHE_HIT);
        verify(&r.cache);
    }
    struct cache_use use;
    cache_use(&r.cache, &use);
    assert_int_equal(use.entries, SLOTS);
    for (unsigned i = 0; i < SLOTS + 2; i++) {
        struct cache_key key = {
            .hash = 5, .bytes = (const uint8_t *)"0123456789abcdef" + i, .len = 1};
        bool gone = i == OVER || i == 1;
        assert_int_equal(cache_lookup(&r.cache, &key, &byte, 1, &hit),
                         gone ? CACHE_MISS : CACHE_HIT);
        if (!gone)
            assert_int_equal(byte, i);
    }
    region_free(&r);
}

// --- crowded buckets -----------------------------------------------------------------------------

struct low_search {
    const struct cache *cache;
    uint64_t random;
};

// A hash that has this first and this second bucket; UINT32_MAX stands for any other.
static uint64_t hash_for(struct low_search *search, uint32_t first, uint32_t second)
{
    uint32_t count = search->cache->bucket_count;
    for (;;) {
        uint32_t low = (uint32_t)test_random(&search->random);
        uint32_t second_of = layout_second_bucket(low, count);
        if (layout_first_bucket(low, count) == first && second_of != first &&
            (second == UINT32_MAX || second_of == second))
            return low;
    }
}

static struct cache_inserted insert_hash(struct cache *cache, uint64_t hash)
{
    struct cache_key key = {.hash = hash, .bytes = (const uint8_t *)&hash, .len = sizeof hash};
    struct cache_value value = {.bytes = &hash, .len = 8, .birth_s = 1000, .expiry_s = 2000};
    struct cache_inserted inserted;
    assert_int_equal(cache_insert(cache, &key, &value, 1000, &inserted), 0);
    verify(cache);
    return inserted;
}

static bool has_hash(const struct cache *cache, uint64_t hash)
{
    struct cache_key key = {.hash = hash, .bytes = (const uint8_t *)&hash, .len = sizeof hash};
    uint64_t value;
    struct cache_hit hit;
    return cache_lookup(cache, &key, &value, sizeof value, &hit) == CACHE_HIT && value == hash;
}

static bool remove_hash(struct cache *cache, uint64_t hash)
{
    struct cache_key key = {.hash = hash, .bytes = (const uint8_t *)&hash, .len = sizeof hash};
    return cache_remove(cache, &key);
}

static uint64_t overflow_of(const struct region *r, uint32_t bucket)
{
    const struct layout_bucket *buckets = (const void *)(r->bytes + LAYOUT_HEADER_LEN);
    return buckets[bucket].sequence & LAYOUT_OVERFLOW_MASK;
}

enum { FIRST = 100, SECOND = 50, THIRD = 200 };

// Seven entries at home in each of two buckets, all of which could be elsewhere: in a bucket that
// lies further back, or before.
static void pair_fill(struct low_search *search, struct cache *cache, uint64_t hashes[14],
                      uint32_t other)
{
    for (unsigned i = 0; i < 14; i++) {
        hashes[i] = hash_for(search, i < 7 ? FIRST : SECOND, other);
        assert_int_equal(insert_hash(cache, hashes[i]).evicted, 0);
    }
}

static void test_full_pair_sends_one_to_its_other_bucket(void **state)
{
    (void)state;
    struct region r = formatted(cache_size_min(1), 1);
    struct low_search search = {&r.cache, 1};
    uint64_t hashes[16];
    pair_fill(&search, &r.cache, hashes, UINT32_MAX);
    for (unsigned i = 14; i < 16; i++) {
        hashes[i] = hash_for(&search, FIRST, SECOND);
        struct cache_inserted inserted = insert_hash(&r.cache, hashes[i]);
        assert_int_equal(inserted.evicted + inserted.expired + inserted.crowded, 0);
    }
    for (unsigned i = 0; i < 16; i++)
        assert_true(has_hash(&r.cache, hashes[i]));
    assert_int_equal(overflow_of(&r, FIRST), 2); // the new ones stand there, others had to go
    for (unsigned i = 0; i < 16; i++)
        assert_true(remove_hash(&r.cache, hashes[i]));
    assert_int_equal(overflow_of(&r, FIRST) + overflow_of(&r, SECOND), 0);
    verify(&r.cache);
    region_free(&r);
}

// An entry in its second bucket returns to its first if it can, before any other is evicted.
static void test_full_pair_sends_home_first(void **state)
{
    (void)state;
    struct region r = formatted(cache_size_min(1), 1);
    struct low_search search = {&r.cache, 2};
    uint64_t third[7], hashes[14], stranger;
    for (unsigned i = 0; i < 7; i++) {
        third[i] = hash_for(&search, THIRD, UINT32_MAX);
        insert_hash(&r.cache, third[i]);
    }
    stranger = hash_for(&search, THIRD, SECOND);
    insert_hash(&r.cache, stranger);
    assert_int_equal(overflow_of(&r, THIRD), 1);
    for (unsigned i = 0; i < 13; i++) {
        hashes[i] = hash_for(&search, i < 7 ? FIRST : SECOND, UINT32_MAX);
        insert_hash(&r.cache, hashes[i]);
    }
    assert_true(remove_hash(&r.cache, third[3]));
    hashes[13] = hash_for(&search, FIRST, SECOND);
    assert_int_equal(insert_hash(&r.cache, hashes[13]).evicted, 0);
    assert_int_equal(overflow_of(&r, THIRD), 0);
    assert_int_equal(overflow_of(&r, FIRST), 1); // the new one took the stranger's place
    assert_int_equal(overflow_of(&r, SECOND), 0);
    for (unsigned i = 0; i < 14; i++)
        assert_true(has_hash(&r.cache, hashes[i]));
    assert_true(has_hash(&r.cache, stranger));
    region_free(&r);
}

static bool no_key(const void *context, const struct cache_entry *entry)
{
    return context != NULL && entry->key_len == 0;
}

// While a sweep is under way nothing moves to where it has been.
static void test_nothing_moves_back_while_a_sweep_is_under_way(void **state)
{
    (void)state;
    struct region r = formatted(cache_size_min(1), 1);
    struct low_search search = {&r.cache, 3};
    uint64_t hashes[14], pair = hash_for(&search, FIRST, SECOND);
    pair_fill(&search, &r.cache, hashes, 10); // all could go to bucket 10 and nowhere else
    struct cache_sweep sweep = {0};
    assert_true(cache_sweep(&r.cache, &sweep, 1, no_key, NULL));
    struct cache_inserted inserted = insert_hash(&r.cache, pair);
    assert_true(inserted.crowded);
    assert_int_equal(inserted.evicted, 1);
    while (cache_sweep(&r.cache, &sweep, 100, no_key, NULL))
        continue;
    assert_false(cache_sweep(&r.cache, &sweep, 100, no_key, NULL)); // it has ended, once
    assert_int_equal(overflow_of(&r, FIRST) + overflow_of(&r, SECOND), 0);
    inserted = insert_hash(&r.cache, hash_for(&search, FIRST, SECOND));
    assert_int_equal(inserted.evicted + inserted.crowded, 0);
    assert_int_equal(overflow_of(&r, FIRST), 1); // in bucket 10
    region_free(&r);
}

// Inserts `count` entries that are never looked up.
static void flood(struct cache *cache, uint64_t first, uint64_t count)
{
    struct cache_inserted inserted;
    for (uint64_t i = first; i < first + count; i++)
        assert_int_equal(insert(cache, i, 120, 1000, 2000, &inserted), 0);
}

static void test_what_is_asked_again_outlives_a_flood_of_what_is_not(void **state)
{
    (void)state;
    enum { ASKED = 500, ROUNDS = 40, FLOOD = 700 }; // the ghosts reach back some 1600 entries
    struct region r = formatted(cache_size_min(1), 1);
    struct cache_hit hit;
    flood(&r.cache, 1000000, 5000); // fills both logs, so that places have to be earned
    for (uint64_t round = 0; round < ROUNDS; round++) {
        for (uint64_t i = 0; i < ASKED; i++) {
            if (lookup(&r.cache, i, 120, &hit) == CACHE_MISS)
                insert_good(&r.cache, i, 120);
        }
        flood(&r.cache, 2000000 + round * FLOOD, FLOOD);
    }
    for (uint64_t i = 0; i < ASKED; i++)
        assert_int_equal(lookup(&r.cache, i, 120, &hit), CACHE_HIT);
    verify(&r.cache);
    region_free(&r);
}

static void test_ghost_goes_where_floods_do_not_reach(void **state)
{
    (void)state;
    struct region r = formatted(cache_size_min(1), 1);
    struct cache_hit hit;
    enum { KEYS = 100 };
    uint64_t small = r.cache.small_size / 144, stayed = 0, back = 0, fresh = 0;
    flood(&r.cache, 1000000, 5000);
    for (uint64_t i = 0; i < KEYS; i++)
        insert_good(&r.cache, i, 120);
    flood(&r.cache, 2000000, small + 10);
    for (uint64_t i = 0; i < KEYS; i++) {
        stayed += lookup(&r.cache, i, 120, &hit) == CACHE_HIT;
        insert_good(&r.cache, i, 120);       // it comes back soon: a ghost remembers it
        insert_good(&r.cache, 500 + i, 120); // this one is new
    }
    flood(&r.cache, 3000000, 2 * small);
    for (uint64_t i = 0; i < KEYS; i++) {
        back += lookup(&r.cache, i, 120, &hit) == CACHE_HIT;
        fresh += lookup(&r.cache, 500 + i, 120, &hit) == CACHE_HIT;
    }
    // A ghost's place is sometimes another's by then; and where a full bucket has cost the main log
    // an entry, its room goes to the next one that leaves the small log.
    assert_in_range(stayed, 0, KEYS / 50);
    assert_in_range(fresh, 0, KEYS / 50);
    assert_in_range(back, KEYS * 7 / 10, KEYS);
    verify(&r.cache);
    region_free(&r);
}

// Finds a number's entry by walking, which counts as no hit.
static struct cache_copy *copy_of(const struct cache *cache, uint64_t number)
{
    static struct cache_copy copy;
    struct cache_cursor cursor = {0};
    while (cache_walk(cache, &cursor, &copy)) {
        if (memcmp(copy.bytes + copy.value_len, &number, sizeof number) == 0)
            return &copy;
    }
    fail_msg("there is no %llu", (unsigned long long)number);
    return NULL;
}

static void test_asked_counts_the_hits_before_in_this_life(void **state)
{
    (void)state;
    struct region r = formatted(cache_size_min(1), 1);
    struct cache_hit hit;
    insert_good(&r.cache, 8, 120);
    for (unsigned life = 0; life < 3; life++) {
        insert_good(&r.cache, 7, 120);
        assert_int_equal(copy_of(&r.cache, 7)->asked, 0);
        assert_int_equal(copy_of(&r.cache, 7)->hits, life ? CACHE_HITS_MAX : 0); // inherited
        for (unsigned before = 0; before < 6; before++) {
            unsigned counted = before < CACHE_HITS_MAX ? before : CACHE_HITS_MAX;
            assert_int_equal(lookup(&r.cache, 7, 120, &hit), CACHE_HIT);
            assert_int_equal(hit.asked, counted);
            counted += counted < CACHE_HITS_MAX;
            assert_int_equal(copy_of(&r.cache, 7)->asked, counted);
        }
    }
    assert_int_equal(copy_of(&r.cache, 8)->asked, 0);
    verify(&r.cache);
    region_free(&r);
}

static bool in_small(const struct region *r, const struct cache_hit *hit)
{
    return hit->offset < r->cache.small_start + r->cache.small_size;
}

// An entry that is asked for twice leaves the small log and then has nothing left that would carry
// it on; but what it was asked for stays with it, from place to place.
static void test_asked_outlives_the_moves_that_cost_hits(void **state)
{
    (void)state;
    struct region r = formatted(cache_size_min(1), 1);
    struct cache_hit hit;
    uint64_t small = r.cache.small_size / 144, main = r.cache.main_size / 144, rounds = 0;
    flood(&r.cache, 1000000, 5000);
    insert_good(&r.cache, 7, 120);
    assert_int_equal(lookup(&r.cache, 7, 120, &hit), CACHE_HIT);
    assert_true(in_small(&r, &hit));
    assert_true(cache_mark(&r.cache, &(struct cache_key){hash_of(7), (uint8_t[8]){7}, 8}, 1, 2));
    flood(&r.cache, 2000000, small + 10);
    assert_int_equal(copy_of(&r.cache, 7)->hits, 0);
    assert_int_equal(copy_of(&r.cache, 7)->asked, 2);
    assert_int_equal(lookup(&r.cache, 7, 120, &hit), CACHE_HIT);
    assert_false(in_small(&r, &hit));
    assert_int_equal(hit.asked, 2);
    // Now rounds of the main log: what goes there is asked for once each time.
    for (uint64_t i = 0; i < 6 * main && copy_of(&r.cache, 7)->hits > 0; i++) {
        struct cache_hit other;
        insert_good(&r.cache, 5000000 + i, 120);
        assert_int_equal(lookup(&r.cache, 5000000 + i, 120, &other), CACHE_HIT);
        rounds += i % main == 0;
    }
    assert_true(rounds > 0);
    assert_int_equal(copy_of(&r.cache, 7)->hits, 0);
    assert_int_equal(copy_of(&r.cache, 7)->asked, 3);
    assert_int_equal(lookup(&r.cache, 7, 120, &hit), CACHE_HIT);
    assert_int_equal(hit.asked, 3);
    verify(&r.cache);
    region_free(&r);
}

// A hit writes only while there is something to count: in memory that cannot be written.
static void test_hits_that_are_counted_already_write_nothing(void **state)
{
    (void)state;
    struct region r = formatted((size_t)1 << 20, 1);
    struct cache_hit hit;
    insert_good(&r.cache, 7, 10);
    for (unsigned i = 0; i < CACHE_HITS_MAX; i++)
        assert_int_equal(lookup(&r.cache, 7, 10, &hit), CACHE_HIT);
    assert_int_equal(mprotect(r.bytes, r.size, PROT_READ), 0);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(lookup(&r.cache, 7, 10, &hit), CACHE_HIT);
    assert_int_equal(mprotect(r.bytes, r.size, PROT_READ | PROT_WRITE), 0);
    // Either count is reason enough to write.
    for (unsigned i = 0; i < 2; i++) {
        struct cache_key key = key_of(&(uint64_t){7});
        assert_true(cache_mark(&r.cache, &key, i ? 3 : 2, i ? 1 : 3));
        assert_int_equal(lookup(&r.cache, 7, 10, &hit), CACHE_HIT);
        assert_int_equal(copy_of(&r.cache, 7)->hits, 3);
        assert_int_equal(copy_of(&r.cache, 7)->asked, i ? 2 : 3);
    }
    assert_false(cache_mark(&r.cache, &(struct cache_key){1, (uint8_t[8]){9}, 8}, 1, 1));
    verify(&r.cache);
    region_free(&r);
}

// What changes is the octets that are named, wherever they lie in a word.
static void test_octets_are_overwritten_where_they_stand(void **state)
{
    (void)state;
    struct region r = formatted((size_t)1 << 20, 1);
    uint64_t number = 7;
    struct cache_key key = key_of(&number);
    uint8_t before[30], after[30];
    struct cache_hit hit, later;
    insert_good(&r.cache, number, sizeof before);
    for (uint32_t at = 0; at + 4 <= sizeof before; at++) {
        assert_int_equal(cache_peek(&r.cache, &key, before, sizeof before, &hit), CACHE_HIT);
        assert_true(cache_overwrite(&r.cache, &key, at, "\xa1\xb2\xc3\xd4", 4));
        memcpy(before + at, "\xa1\xb2\xc3\xd4", 4);
        assert_int_equal(cache_peek(&r.cache, &key, after, sizeof after, &later), CACHE_HIT);
        assert_memory_equal(before, after, sizeof before);
        assert_int_equal(later.value_len, hit.value_len);
        assert_int_equal(later.expiry_s, hit.expiry_s);
        assert_int_equal(later.offset, hit.offset);
    }
    assert_false(cache_overwrite(&r.cache, &key, sizeof before - 3, "\1\1\1\1", 4));
    assert_false(cache_overwrite(&r.cache, &key, UINT32_MAX, "\1\1\1\1", 4));
    number = 8;
    struct cache_key absent = key_of(&number);
    assert_false(cache_overwrite(&r.cache, &absent, 0, "\1", 1));
    verify(&r.cache);
    region_free(&r);
}

static void test_stale_window_keeps_expired_entries(void **state)
{
    (void)state;
    struct cache_inserted inserted;
    struct cache_hit hit;
    for (uint32_t stale_s = 0; stale_s <= 1000; stale_s += 1000) {
        struct region r = formatted(cache_size_min(1), 1);
        r.cache.stale_s = stale_s;
        flood(&r.cache, 1000000, 5000);
        assert_int_equal(insert(&r.cache, 7, 64, 1000, 1100, &inserted), 0);
        assert_int_equal(lookup(&r.cache, 7, 64, &hit), CACHE_HIT);
        // At 1200 it is expired; hit as it was, it moves to the main log only within the window.
        for (uint64_t i = 0; i < 2 * r.cache.small_size / 88; i++)
            assert_int_equal(insert(&r.cache, 3000000 + i, 64, 1200, 2000, &inserted), 0);
        assert_int_equal(lookup(&r.cache, 7, 64, &hit), stale_s ? CACHE_HIT : CACHE_MISS);
        region_free(&r);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_log_drops_the_oldest_first),
        cmocka_unit_test(test_evicted_and_expired_are_told_apart),
        cmocka_unit_test(test_full_buckets_give_up_what_is_worth_least),
        cmocka_unit_test(test_full_pair_sends_one_to_its_other_bucket),
        cmocka_unit_test(test_full_pair_sends_home_first),
        cmocka_unit_test(test_nothing_moves_back_while_a_sweep_is_under_way),
        cmocka_unit_test(test_what_is_asked_again_outlives_a_flood_of_what_is_not),
        cmocka_unit_test(test_ghost_goes_where_floods_do_not_reach),
        cmocka_unit_test(test_asked_counts_the_hits_before_in_this_life),
        cmocka_unit_test(test_asked_outlives_the_moves_that_cost_hits),
        cmocka_unit_test(test_hits_that_are_counted_already_write_nothing),
        cmocka_unit_test(test_octets_are_overwritten_where_they_stand),
        cmocka_unit_test(test_stale_window_keeps_expired_entries),
    };
    return cmocka_run_group_tests_name("eviction", tests, NULL, NULL);
}
