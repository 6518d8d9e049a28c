// SPDX-License-Identifier: MIT
#include "cache/cache.h"
#include "cache/layout.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Random operations on a cache, held against a model that knows what was stored last under each
// key. The cache may forget, so a miss is always right, but then the model forgets too: what comes
// back later is an error. What is found must be the last value, whole, with its times and with the
// number of its hits. Flushes go on in pieces between the other operations, and when one has ended
// nothing that it was for may come back. And what had to go must have been what S3-FIFO lets go
// (see eviction_check).
//
//   prop_cache                      the runs of the test: many seeds, TAP
//   prop_cache --runs N [FIRST]     so many runs, from that seed on (1); 200 are 10,000,000
//                                   operations
//   prop_cache SEED COUNT           one run, as a failed one names it

#define KEYS          3000
#define GUARD         64 // octets before and behind the region, a cache line
#define BATCH_MAX     64
#define GUARD_OCTET   0xa5
#define RUNS          48
#define JUDGED_ONE_IN 64 // inserts of which eviction_check looks at one
#define RUN_COUNT     50000

struct known {
    uint64_t version; // of the value stored last
    uint32_t len;
    uint32_t birth_s;
    uint32_t expiry_s;
    uint32_t asked; // lookups that found it
    bool there;     // as far as is known: it may have been evicted since
};

// A flush that goes on in pieces: of the keys whose number leaves this rest.
struct flush {
    bool under_way;
    uint32_t divisor, rest;
    uint64_t version; // the last one stored before it began
    struct cache_sweep sweep;
};

// What stands in the index under a key.
struct standing {
    bool there;
    uint32_t bucket;
    uint32_t expiry_s;
    uint64_t offset;
    uint64_t len;
    uint64_t hits;
};

// How far a shard's logs have come.
struct ends {
    uint64_t small_tail, main_tail, main_head;
};

struct run {
    uint64_t seed;
    uint64_t random;
    uint64_t operation;
    uint64_t hash_mask; // few bits make full buckets and equal tags
    uint32_t value_max;
    uint32_t value_small; // of a hundred values so many have up to 400 octets
    uint32_t lives_max_s;
    bool flushes_on; // in half of the runs, so that the others fill up
    uint32_t now_s;
    uint64_t entries; // as the answers of the cache add up
    uint64_t version;
    uint64_t hits, misses, evicted, crowded;
    uint64_t flushes, flushed;
    uint64_t rounds_small, rounds_main; // of the logs of the shard that made the fewest
    // By eviction_check: inserts looked at, entries that had to go, and of those the ones that had
    // hits left.
    uint64_t judged, judged_gone, judged_unlucky;
    struct flush flush;
    struct cache cache;
    uint8_t *memory;
    size_t size;
    struct known known[KEYS];
    struct standing before[KEYS], after[KEYS];
    uint8_t wanted[CACHE_VALUE_MAX];
    uint8_t found[CACHE_VALUE_MAX];
    char why[200];
};

static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint64_t random_of(struct run *run)
{
    return mix(run->random += 0x9e3779b97f4a7c15u);
}

static uint32_t below(struct run *run, uint64_t bound)
{
    return (uint32_t)(random_of(run) % bound);
}

__attribute__((format(printf, 2, 3))) static bool wrong(struct run *run, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(run->why, sizeof run->why, format, arguments);
    va_end(arguments);
    return false;
}

// The octets of a key: its number and a tail, so that lengths differ and some keys begin alike.
struct key_bytes {
    uint8_t bytes[CACHE_KEY_MAX];
};

static struct cache_key key_make(const struct run *run, uint32_t number, struct key_bytes *room)
{
    uint64_t mixed = mix(number + 1);
    uint32_t len = 2 + (uint32_t)(mixed % (number % 50 == 0 ? CACHE_KEY_MAX - 1 : 40));
    memset(room->bytes, 'k', len);
    room->bytes[len - 2] = (uint8_t)(number >> 8);
    room->bytes[len - 1] = (uint8_t)number;
    return (struct cache_key){
        .hash = mix(mixed) & run->hash_mask, .bytes = room->bytes, .len = len};
}

static void value_make(uint8_t *to, uint32_t number, uint64_t version, size_t len)
{
    uint64_t word = mix(version << 16 ^ number);
    for (size_t i = 0; i < len; i += 8, word = word * 6364136223846793005u + 1442695040888963407u)
        memcpy(to + i, &word, len - i < 8 ? len - i : 8);
}

// In one stage or in three, of which the first two may have been long ago (`seek`) or are now.
static bool cache_finds(struct run *run, const struct cache_key *key, size_t size,
                        const struct cache_seek *seek, struct cache_hit *hit)
{
    struct cache_seek now;
    if (!seek && below(run, 2)) {
        cache_seek_bucket(&run->cache, key->hash, &now);
        cache_seek_entry(&run->cache, key->hash, &now);
        seek = &now;
    }
    return (seek && cache_seek_end(&run->cache, seek, key, run->found, size, hit)) ||
           cache_lookup(&run->cache, key, run->found, size, hit) == CACHE_HIT;
}

static bool look_up_from(struct run *run, uint32_t number, bool must_be_there,
                         const struct cache_seek *seek)
{
    struct known *known = &run->known[number];
    struct key_bytes room;
    struct cache_key key = key_make(run, number, &room);
    struct cache_hit hit;
    size_t size = below(run, 4) ? sizeof run->found : below(run, 200);
    if (!cache_finds(run, &key, size, seek, &hit)) {
        run->misses++;
        if (must_be_there)
            return wrong(run, "key %u is gone right after it was stored", number);
        known->there = false;
        return true;
    }
    run->hits++;
    if (!known->there)
        return wrong(run, "key %u is back from the dead", number);
    if (hit.value_len != known->len || hit.birth_s != known->birth_s ||
        hit.expiry_s != known->expiry_s)
        return wrong(run, "key %u: length or times are not those stored last", number);
    uint32_t asked = known->asked < CACHE_HITS_MAX ? known->asked : CACHE_HITS_MAX;
    if (hit.asked != asked)
        return wrong(run, "key %u was asked for %u times and says %u", number, asked, hit.asked);
    known->asked++;
    size_t len = size < known->len ? size : known->len;
    value_make(run->wanted, number, known->version, len);
    if (memcmp(run->found, run->wanted, len) != 0)
        return wrong(run, "key %u: the value is not the one stored last", number);
    return true;
}

static bool look_up(struct run *run, uint32_t number, bool must_be_there)
{
    return look_up_from(run, number, must_be_there, NULL);
}

// --- what had to go ------------------------------------------------------------------------------

static const struct layout_shard *shard_at(const struct run *run, uint32_t shard)
{
    return (const void *)(run->cache.region + shard * run->cache.shard_stride);
}

static struct ends ends_of(const struct layout_shard *shard)
{
    return (struct ends){shard->small_tail, shard->main_tail, shard->main_head};
}

// Reads what stands in a shard, without a lookup, which would count as a hit.
static void standing_read(const struct run *run, const struct layout_shard *shard,
                          struct standing standing[KEYS])
{
    const uint8_t *start = (const uint8_t *)shard;
    const struct layout_bucket *buckets = (const void *)(start + LAYOUT_HEADER_LEN);
    memset(standing, 0, KEYS * sizeof *standing);
    for (uint32_t b = 0; b < run->cache.bucket_count; b++) {
        for (unsigned i = 0; i < LAYOUT_SLOTS; i++) {
            uint64_t offset = buckets[b].slots[i] & LAYOUT_OFFSET_MASK;
            if (buckets[b].slots[i] == 0)
                continue;
            const uint64_t *entry = (const void *)(start + offset);
            const uint8_t *end = start + offset + LAYOUT_ENTRY_HEADER_LEN +
                                 layout_value_len(entry[0]) + layout_key_len(entry[0]);
            standing[end[-2] << 8 | end[-1]] = (struct standing){
                .there = true,
                .bucket = b,
                .expiry_s = (uint32_t)(entry[1] >> 32),
                .offset = offset,
                .len = layout_entry_len(entry[0]),
                .hits = layout_hits(entry[0]),
            };
        }
    }
}

// Whether a log's tail has passed what stood there.
static bool was_passed(uint64_t offset, uint64_t start, uint64_t size, uint64_t tail_before,
                       uint64_t tail_after)
{
    if (offset < start || offset - start >= size)
        return false;
    return (offset - start + size - tail_before % size) % size < tail_after - tail_before;
}

static bool is_over(const struct run *run, const struct standing *standing)
{
    return (uint64_t)standing->expiry_s + run->cache.stale_s <= run->now_s;
}

// An entry that no tail has passed went because its bucket was crowded: the new key's first bucket,
// and nothing that stands there now may be worth less.
static bool crowded_check(struct run *run, uint32_t gone, uint32_t number, uint32_t first_bucket)
{
    const struct standing *before = &run->before[gone];
    if (before->bucket != first_bucket)
        return wrong(run, "key %u went though no tail has passed it", gone);
    for (uint32_t other = 0; other < KEYS; other++) {
        const struct standing *after = &run->after[other];
        if (after->there && after->bucket == first_bucket && other != number &&
            !is_over(run, before) && (after->hits < before->hits || is_over(run, after)))
            return wrong(run, "key %u went with %llu hits and %u stayed", gone,
                         (unsigned long long)before->hits, other);
    }
    return true;
}

// What of an insert eviction_check needs to know.
struct judging {
    const struct cache_inserted *inserted;
    const struct ends *was;
    const struct layout_shard *shard;
    uint32_t number; // of the key that was stored
    uint32_t first_bucket;
    bool came_round; // the main log's tail has met again what was there before
    uint64_t gone, alive, crowded;
};

// Judges one entry that is gone.
static bool gone_check(struct run *run, struct judging *j, uint32_t gone)
{
    const struct cache *cache = &run->cache;
    const struct standing *before = &run->before[gone];
    bool main = was_passed(before->offset, cache->main_start, cache->main_size, j->was->main_tail,
                           j->shard->main_tail);
    bool small = was_passed(before->offset, cache->small_start, cache->small_size,
                            j->was->small_tail, j->shard->small_tail);
    j->gone++;
    j->alive += run->now_s < before->expiry_s;
    if (!main && !small) {
        j->crowded++;
        return crowded_check(run, gone, j->number, j->first_bucket);
    }
    if (before->hits == 0 || is_over(run, before) || j->came_round)
        return true;
    // It was moved, poorer in hits, and then its bucket was crowded.
    if (j->inserted->crowded && j->crowded == 0) {
        j->crowded++;
        return true;
    }
    // A filler goes where the entry stands only if that is where the log begins.
    run->judged_unlucky++;
    return (main && before->offset - cache->main_start < before->len) ||
           wrong(run, "key %u went with %llu hits left from the %s log", gone,
                 (unsigned long long)before->hits, main ? "main" : "small");
}

// S3-FIFO evicts what a tail meets that is expired or has no hits left, and nothing else. So after
// an insert everything that is gone has to have stood where a tail has passed meanwhile, and
// without hits; but for the one that a full bucket may cost, and but for one at the beginning of
// the main log, once in a round, if a filler at the log's end leaves no room to move it
// (main_tail_pass). Where the main log's tail has come round within the one insert its entries have
// lost hits on the way, and this cannot be seen.
static bool eviction_check(struct run *run, const struct cache_key *key, uint32_t number,
                           const struct ends *was, const struct cache_inserted *inserted)
{
    const struct layout_shard *shard = shard_at(run, cache_shard_of(&run->cache, key->hash));
    struct judging j = {
        .inserted = inserted,
        .was = was,
        .shard = shard,
        .number = number,
        .first_bucket = layout_first_bucket((uint32_t)key->hash, run->cache.bucket_count),
        .came_round = shard->main_tail - was->main_tail >= was->main_head - was->main_tail,
    };
    standing_read(run, shard, run->after);
    for (uint32_t i = 0; i < KEYS; i++) {
        bool stayed = i == number ? inserted->replaced : run->after[i].there;
        if (run->before[i].there && !stayed && !gone_check(run, &j, i))
            return false;
    }
    run->judged++;
    run->judged_gone += j.gone;
    if (j.gone != inserted->evicted + inserted->expired || j.alive != inserted->evicted)
        return wrong(run, "%llu went, %llu of them alive, and cache_insert says %u and %u",
                     (unsigned long long)j.gone, (unsigned long long)j.alive, inserted->evicted,
                     inserted->expired);
    if (j.crowded > 1)
        return wrong(run, "%llu went where no tail had passed", (unsigned long long)j.crowded);
    return true;
}

// --- operations ----------------------------------------------------------------------------------

static bool insert(struct run *run, uint32_t number)
{
    struct known *known = &run->known[number];
    struct key_bytes room;
    struct cache_key key = key_make(run, number, &room);
    uint32_t len = 1 + below(run, below(run, 100) < run->value_small ? 400 : run->value_max);
    uint32_t lives_s = 1 + below(run, run->lives_max_s);
    value_make(run->wanted, number, ++run->version, len);
    struct cache_value value = {
        .bytes = run->wanted, .len = len, .birth_s = run->now_s, .expiry_s = run->now_s + lives_s};
    struct cache_inserted inserted;
    uint64_t size = 16 + ((uint64_t)len + key.len + 7) / 8 * 8;
    const struct layout_shard *shard = shard_at(run, cache_shard_of(&run->cache, key.hash));
    struct ends was = ends_of(shard);
    bool judged = below(run, JUDGED_ONE_IN) == 0;
    if (judged)
        standing_read(run, shard, run->before);
    int result = cache_insert(&run->cache, &key, &value, run->now_s, &inserted);
    if ((result == 0) != (size <= run->cache.main_size / 4))
        return wrong(run, "key %u of %u octets: cache_insert says %d", number, len, result);
    if (result != 0)
        return look_up(run, number, false);
    if (inserted.replaced && !known->there)
        return wrong(run, "key %u is said to be replaced but was not there", number);
    if (judged && !eviction_check(run, &key, number, &was, &inserted))
        return false;
    run->entries += !inserted.replaced;
    run->entries -= inserted.evicted + inserted.expired;
    run->evicted += inserted.evicted;
    run->crowded += inserted.crowded;
    *known = (struct known){
        .version = run->version,
        .len = len,
        .birth_s = value.birth_s,
        .expiry_s = value.expiry_s,
        .there = true,
    };
    return look_up(run, number, true);
}

// Whether it is the flush's that the key is for; the number stands at its end.
static bool flush_matches(const void *context, const struct cache_entry *entry)
{
    const struct flush *flush = context;
    const uint8_t *end = entry->key + entry->key_len;
    return (uint32_t)(end[-2] << 8 | end[-1]) % flush->divisor == flush->rest;
}

static void flush_begin(struct run *run)
{
    struct flush *flush = &run->flush;
    *flush = (struct flush){.under_way = true, .version = run->version};
    flush->divisor = below(run, 2) ? 1 : 1 + below(run, 10); // everything, or a part
    flush->rest = below(run, flush->divisor);
}

// Carries the flush on; at its end the model forgets what it was for.
static void flush_piece(struct run *run)
{
    struct flush *flush = &run->flush;
    uint64_t removed = flush->sweep.removed;
    size_t budget = below(run, 2) ? 1 + below(run, 8) : 1 + run->cache.bucket_count / 8;
    bool more = cache_sweep(&run->cache, &flush->sweep, budget, flush_matches, flush);
    run->entries -= flush->sweep.removed - removed;
    run->flushed += flush->sweep.removed - removed;
    if (more)
        return;
    flush->sweep.bucket = 0;
    if (++flush->sweep.shard < run->cache.shard_count)
        return;
    for (uint32_t number = 0; number < KEYS; number++) {
        struct known *known = &run->known[number];
        if (number % flush->divisor == flush->rest && known->version <= flush->version)
            known->there = false;
    }
    flush->under_way = false;
    run->flushes++;
}

// Gives an entry other counts, as a snapshot that is read does.
static bool mark(struct run *run, uint32_t number)
{
    struct key_bytes room;
    struct cache_key key = key_make(run, number, &room);
    uint32_t asked = below(run, CACHE_HITS_MAX + 1);
    if (cache_mark(&run->cache, &key, below(run, CACHE_HITS_MAX + 1), asked)) {
        if (!run->known[number].there)
            return wrong(run, "key %u was marked but not there", number);
        run->known[number].asked = asked;
    }
    return look_up(run, number, false);
}

static bool take_out(struct run *run, uint32_t number)
{
    struct key_bytes room;
    struct cache_key key = key_make(run, number, &room);
    bool removed = cache_remove(&run->cache, &key);
    if (removed && !run->known[number].there)
        return wrong(run, "key %u was removed but not there", number);
    run->entries -= removed;
    run->known[number].there = false;
    return look_up(run, number, false);
}

static bool look_up_many(struct run *run)
{
    uint32_t numbers[BATCH_MAX];
    struct cache_seek seeks[BATCH_MAX];
    uint32_t count = 1 + below(run, BATCH_MAX);
    struct key_bytes room;
    for (uint32_t i = 0; i < count; i++) {
        numbers[i] = below(run, KEYS);
        cache_seek_bucket(&run->cache, key_make(run, numbers[i], &room).hash, &seeks[i]);
    }
    for (uint32_t i = 0; i < count; i++)
        cache_seek_entry(&run->cache, key_make(run, numbers[i], &room).hash, &seeks[i]);
    // Now and then something changes meanwhile.
    if (below(run, 8) == 0 && !take_out(run, numbers[below(run, count)]))
        return false;
    for (uint32_t i = 0; i < count; i++, run->operation++) {
        if (!look_up_from(run, numbers[i], false, &seeks[i]))
            return false;
    }
    return true;
}

static bool verify(struct run *run)
{
    for (uint32_t shard = 0; shard < run->cache.shard_count; shard++) {
        const char *why = cache_verify(&run->cache, shard);
        if (why)
            return wrong(run, "shard %u: %s", shard, why);
    }
    struct cache_use use;
    cache_use(&run->cache, &use);
    if (use.entries != run->entries)
        return wrong(run, "there are %llu entries; they add up to %llu",
                     (unsigned long long)use.entries, (unsigned long long)run->entries);
    if (use.used > use.capacity || use.capacity > run->size)
        return wrong(run, "more is used than there is");
    for (size_t i = 0; i < GUARD; i++) {
        if (run->memory[i] != GUARD_OCTET || run->memory[GUARD + run->size + i] != GUARD_OCTET)
            return wrong(run, "an octet outside of the region was written");
    }
    return true;
}

// All keys that can be found are all entries there are.
static bool count_all(struct run *run)
{
    uint64_t hits = run->hits;
    for (uint32_t number = 0; number < KEYS; number++) {
        if (!look_up(run, number, false))
            return false;
    }
    if (run->hits - hits != run->entries)
        return wrong(run, "%llu keys are found among %llu entries",
                     (unsigned long long)(run->hits - hits), (unsigned long long)run->entries);
    return true;
}

static bool operate(struct run *run)
{
    // Some keys are asked for much more often than others, as names are.
    uint32_t number = below(run, below(run, 2) ? KEYS : 50);
    uint32_t what = below(run, 100);
    if (below(run, 20) == 0)
        run->now_s += below(run, 10);
    if (run->flush.under_way && below(run, 4) == 0)
        flush_piece(run);
    else if (run->flushes_on && !run->flush.under_way && below(run, 3000) == 0)
        flush_begin(run);
    if (what < 45)
        return insert(run, number);
    if (what < 52)
        return take_out(run, number);
    if (what < 54)
        return look_up_many(run);
    if (what < 55)
        return mark(run, number);
    return look_up(run, number, false);
}

// Most regions are so small that everything happens in them often; some are large, and then values
// are, so that their logs come round as well.
static size_t size_draw(struct run *run, uint32_t shards)
{
    size_t least = cache_size_min(shards);
    run->value_max = below(run, 2) ? CACHE_VALUE_MAX : 3000;
    run->value_small = 98;
    uint32_t kind = below(run, 12);
    if (kind < 4)
        return least + below(run, 100);
    if (kind < 10)
        return least + below(run, 300000);
    run->value_max = CACHE_VALUE_MAX;
    run->value_small = 20;
    return ((size_t)(kind == 10 ? 8 : 32) << 20) + below(run, kind == 10 ? 24 << 20 : 32 << 20);
}

static bool begin(struct run *run, uint64_t seed)
{
    static const uint64_t masks[] = {UINT64_MAX, UINT64_MAX, 0xffffffff0000001f, 0xff00000fffffffff,
                                     0x00000000000000ff};
    *run = (struct run){.seed = seed, .random = seed, .now_s = 1000000};
    run->hash_mask = masks[below(run, sizeof masks / sizeof *masks)];
    run->lives_max_s = below(run, 2) ? 500 : 50000;
    uint32_t shards = 1 + below(run, 4);
    run->size = size_draw(run, shards);
    run->memory = aligned_alloc(64, (2 * GUARD + run->size + 63) / 64 * 64);
    if (!run->memory)
        return wrong(run, "no memory");
    memset(run->memory, GUARD_OCTET, 2 * GUARD + run->size);
    memset(run->memory + GUARD, 0, run->size);
    if (cache_format(&run->cache, run->memory + GUARD, run->size, shards, seed) != 0)
        return wrong(run, "cache_format refuses %zu octets", run->size);
    run->flushes_on = below(run, 2);
    run->cache.stale_s = below(run, 2) ? 0 : below(run, 300);
    return true;
}

// How often the logs have come round.
static void rounds_count(struct run *run)
{
    run->rounds_small = run->rounds_main = UINT64_MAX;
    for (uint32_t i = 0; i < run->cache.shard_count; i++) {
        const struct layout_shard *shard = shard_at(run, i);
        uint64_t small = shard->small_head / run->cache.small_size;
        uint64_t main = shard->main_head / run->cache.main_size;
        if (shard->small_head == 0) // no key has a hash for this one
            continue;
        run->rounds_small = small < run->rounds_small ? small : run->rounds_small;
        run->rounds_main = main < run->rounds_main ? main : run->rounds_main;
    }
}

static bool run_all(struct run *run, uint64_t seed, uint64_t count)
{
    bool good = begin(run, seed);
    uint64_t verified = 0;
    for (; good && run->operation < count; run->operation++) {
        good = operate(run);
        if (good && run->operation - verified >= 2000) {
            verified = run->operation;
            good = verify(run);
        }
    }
    while (good && run->flush.under_way)
        flush_piece(run);
    good = good && verify(run) && count_all(run);
    rounds_count(run);
    if (!good)
        printf("# operation %llu: %s; again with: prop_cache %llu %llu\n",
               (unsigned long long)run->operation, run->why, (unsigned long long)seed,
               (unsigned long long)count);
    free(run->memory);
    return good;
}

// --- what comes out ------------------------------------------------------------------------------

struct totals {
    uint64_t runs, failed, operations;
    uint64_t size_min, size_max;
    uint64_t round; // runs in which both logs came round, in each shard
    uint64_t hits, misses, evicted, crowded, flushes, flushed, judged, judged_gone, judged_unlucky;
    uint64_t rounds_small, rounds_main;
};

static void tell(const struct run *run, bool good, uint64_t number)
{
    printf("%s %llu - seed %llu: %llu operations on %u shards in %zu octets, "
           "%llu hits, %llu misses, %llu evicted, %llu flushes; rounds %llu and %llu\n",
           good ? "ok" : "not ok", (unsigned long long)number, (unsigned long long)run->seed,
           (unsigned long long)run->operation, run->cache.shard_count, run->size,
           (unsigned long long)run->hits, (unsigned long long)run->misses,
           (unsigned long long)run->evicted, (unsigned long long)run->flushes,
           (unsigned long long)run->rounds_small, (unsigned long long)run->rounds_main);
}

static void total_add(struct totals *t, const struct run *run, bool good)
{
    t->size_min = t->runs == 0 || run->size < t->size_min ? run->size : t->size_min;
    t->size_max = run->size > t->size_max ? run->size : t->size_max;
    t->runs++;
    t->failed += !good;
    t->operations += run->operation;
    t->round += run->rounds_small > 0 && run->rounds_main > 0;
    t->hits += run->hits;
    t->misses += run->misses;
    t->evicted += run->evicted;
    t->crowded += run->crowded;
    t->flushes += run->flushes;
    t->flushed += run->flushed;
    t->judged += run->judged;
    t->judged_gone += run->judged_gone;
    t->judged_unlucky += run->judged_unlucky;
    t->rounds_small += run->rounds_small;
    t->rounds_main += run->rounds_main;
}

static void comment(const char *what, uint64_t count)
{
    printf("# %-60s %llu\n", what, (unsigned long long)count);
}

// The figures of all runs, and that they have not missed what they are for.
static bool total_tell(const struct totals *t)
{
    comment("operations", t->operations);
    comment("runs", t->runs);
    comment("runs that found a difference", t->failed);
    comment("octets of the smallest region", t->size_min);
    comment("of the largest", t->size_max);
    comment("hits", t->hits);
    comment("misses", t->misses);
    comment("entries evicted", t->evicted);
    comment("of them because their buckets were full", t->crowded);
    comment("flushes, in pieces, from beginning to end", t->flushes);
    comment("entries flushed", t->flushed);
    comment("rounds of the small log, in the shard with the fewest", t->rounds_small);
    comment("rounds of the main log, in the shard with the fewest", t->rounds_main);
    comment("inserts of which all that went was looked at", t->judged);
    comment("entries that went there", t->judged_gone);
    comment("of them with hits left, for a filler", t->judged_unlucky);
    bool good = t->round >= t->runs * 3 / 4 && t->crowded > 0 && t->flushes > t->runs &&
                t->judged_gone > t->runs;
    printf("%s %llu - both logs came round in %llu of %llu runs\n1..%llu\n", good ? "ok" : "not ok",
           (unsigned long long)t->runs + 1, (unsigned long long)t->round,
           (unsigned long long)t->runs, (unsigned long long)t->runs + 1);
    return good && t->failed == 0;
}

static bool run_many(struct run *run, uint64_t runs, uint64_t first)
{
    struct totals totals = {0};
    for (uint64_t i = 0; i < runs; i++) {
        bool good = run_all(run, first + i, RUN_COUNT);
        tell(run, good, i + 1);
        total_add(&totals, run, good);
    }
    return total_tell(&totals);
}

int main(int argc, char **argv)
{
    struct run *run = malloc(sizeof *run);
    bool many = argc >= 3 && argc <= 4 && strcmp(argv[1], "--runs") == 0, good;
    if (!run || (argc != 1 && argc != 3 && !many)) {
        fprintf(stderr, "usage: prop_cache [--runs N [FIRST] | SEED COUNT]\n");
        free(run);
        return 2;
    }
    if (argc == 1) {
        good = run_many(run, RUNS, 1);
    } else if (many) {
        good =
            run_many(run, strtoull(argv[2], NULL, 0), argc == 4 ? strtoull(argv[3], NULL, 0) : 1);
    } else {
        good = run_all(run, strtoull(argv[1], NULL, 0), strtoull(argv[2], NULL, 0));
        tell(run, good, 1);
        printf("1..1\n");
    }
    free(run);
    return good ? 0 : 1;
}
