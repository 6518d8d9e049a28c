// SPDX-License-Identifier: MIT
#include "cache/cache.h"
#include "cache/layout.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

// Writers and readers at once: one writer for each shard, readers on all cores, all of them in two
// caches by turns. One is so small that what is read is overwritten all the time. In the other all
// keys have to share a few buckets. In a third one, with a writer of its own, an entry goes to and
// fro between its two buckets as fast as it can, and readers look for that one only.
//
// Each value says whose it is, which version, how long, and carries a checksum; each reader
// remembers the newest version that it has seen of a key, and an older one must not come back.
// Writers flush all the time, a part or everything, in pieces; a reader that begins when a flush
// has ended must not see what was stored before it began. So nothing torn, nothing of another key,
// nothing stale, nothing flushed. And what is there all the time should be found: only a reader
// under which the buckets change in each of its tries may give up.
//
//   stress_cache [SECONDS]   default 2; TAP
//
// Built with -fsanitize=thread it must stay silent as well.

enum {
    SHARDS = 2,
    WORLDS = 2,
    KEYS_MAX = 4000,
    READERS_MAX = 64,
    VALUE_WORDS = 500,
    GROUPS = 8, // of keys, by number; a flush is for one of them or for all
    CROWDED_BUCKETS = 16,
    CROWDED_KEYS = 128, // in each shard: more than these have places
};

// Lookups in a million that may give up. ThreadSanitizer makes a try last many times as long, so
// the buckets change under more of them.
#ifdef __has_feature
#define UNDER_TSAN __has_feature(thread_sanitizer)
#else
#define UNDER_TSAN 0 // or of gcc, which need not be told apart
#endif
enum { GIVEN_UP_PM = UNDER_TSAN ? 200 : 20 };

// The keys of the third cache, and how many there are of each.
enum {
    DANCER = 0,
    AT_FIRST = 1,   // 6 that share the dancer's first bucket and cannot leave it
    AT_SECOND = 7,  // 6 that share its second one
    AT_THIRD = 13,  // 7 that fill a third
    AT_FOURTH = 20, // 7 that fill a fourth
    AT_FIFTH = 27,  // 7 that fill the fifth, which is the other bucket of all but the dancer
    DISPLACER = 34, // its buckets are the first and the third, so the dancer has to go from there
    RETURNER = 35,  // the second and the fourth
    DANCE_KEYS = 36,
};

struct value {
    uint64_t key;
    uint64_t version;
    uint64_t words; // of all
    uint64_t checksum;
    uint64_t rest[VALUE_WORDS - 4];
};

// Shared by all threads. Only writers change what is atomic here, each for its shard.
struct world {
    struct cache cache;
    uint32_t key_count;
    uint32_t words_max; // of a value
    uint64_t hashes[KEYS_MAX];
    uint64_t stamps[KEYS_MAX];       // atomic: odd as long as the key is there ...
    uint64_t trusted[KEYS_MAX];      // atomic: ... and the losses are still this number
    uint64_t floors[SHARDS][GROUPS]; // atomic: versions up to this one were flushed
    uint64_t losses[SHARDS];         // atomic: operations in which something had to go
    uint64_t operations[SHARDS];     // atomic
};

struct flush {
    bool under_way;
    uint32_t group; // GROUPS: all
    uint64_t version;
    struct cache_sweep sweep;
};

struct writer {
    struct world *worlds;
    uint32_t shard;
    uint64_t random;
    uint64_t versions[WORLDS];
    struct flush flushes[WORLDS];
    uint64_t inserted, removed, failed, crowded, flushed, flush_count;
    struct value value;
};

struct dance {
    struct world *world;
    uint64_t rounds;
};

struct reader {
    struct world *worlds;
    struct world *dance;
    uint64_t random;
    uint64_t dance_hits, dance_misses;
    uint64_t hits, misses, torn, wrong, stale, flushed, passed;
    uint64_t newest[WORLDS][KEYS_MAX];
    struct value value;
};

static bool stop; // set once by main

static bool stopping(void)
{
    return __atomic_load_n(&stop, __ATOMIC_RELAXED);
}

static uint64_t shared(const uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void share(uint64_t *word, uint64_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint64_t random_of(uint64_t *state)
{
    return mix(*state += 0x9e3779b97f4a7c15u);
}

static struct cache_key key_of(const struct world *world, const uint64_t *number)
{
    return (struct cache_key){
        .hash = world->hashes[*number], .bytes = (const uint8_t *)number, .len = sizeof *number};
}

static uint32_t shard_of(const struct world *world, uint64_t number)
{
    return cache_shard_of(&world->cache, world->hashes[number]);
}

// Half of all goes to a few keys, which are thus replaced while they are read.
static uint64_t number_draw(const struct world *world, uint64_t drawn)
{
    return (uint32_t)drawn % (drawn >> 32 & 1 ? world->key_count : 16);
}

// --- values --------------------------------------------------------------------------------------

static uint64_t checksum(const struct value *value)
{
    uint64_t sum = mix(value->key + 1) ^ mix(value->version + 2) ^ mix(value->words + 3);
    for (size_t i = 0; i + 4 < value->words; i++)
        sum = (sum ^ value->rest[i]) * 0x100000001b3u + i;
    return sum;
}

static void value_make(struct value *value, uint64_t key, uint64_t version, uint64_t words)
{
    value->key = key;
    value->version = version;
    value->words = words;
    uint64_t word = mix(key << 32 ^ version);
    for (size_t i = 0; i + 4 < words; i++)
        value->rest[i] = word = word * 6364136223846793005u + 1442695040888963407u;
    value->checksum = checksum(value);
}

// --- writers -------------------------------------------------------------------------------------

static bool in_flush(const struct flush *flush, uint64_t number)
{
    return flush->group == GROUPS || number % GROUPS == flush->group;
}

static bool flush_matches(const void *context, const struct cache_entry *entry)
{
    uint64_t number;
    if (entry->key_len != sizeof number)
        abort();
    memcpy(&number, entry->key, sizeof number);
    return in_flush(context, number);
}

// The key is there no longer, as far as readers may rely on it.
static void stamp_take(struct world *world, uint64_t number)
{
    if (world->stamps[number] & 1)
        share(&world->stamps[number], world->stamps[number] + 1);
}

static void flush_begin(struct writer *writer, unsigned w, uint64_t drawn)
{
    struct world *world = &writer->worlds[w];
    struct flush *flush = &writer->flushes[w];
    *flush = (struct flush){
        .under_way = true,
        .group = drawn % 4 ? (uint32_t)(drawn >> 8) % GROUPS : GROUPS,
        .version = writer->versions[w],
        .sweep.shard = writer->shard,
    };
    for (uint64_t number = 0; number < world->key_count; number++) {
        if (in_flush(flush, number) && shard_of(world, number) == writer->shard)
            stamp_take(world, number);
    }
}

static void flush_piece(struct writer *writer, unsigned w, uint64_t drawn)
{
    struct world *world = &writer->worlds[w];
    struct flush *flush = &writer->flushes[w];
    if (cache_sweep(&world->cache, &flush->sweep, 1 + drawn % 32, flush_matches, flush))
        return;
    flush->under_way = false;
    writer->flush_count++;
    writer->flushed += flush->sweep.removed;
    for (uint32_t group = 0; group < GROUPS; group++) {
        if (in_flush(flush, group))
            share(&world->floors[writer->shard][group], flush->version);
    }
}

static void insert(struct writer *writer, unsigned w, uint64_t number, uint64_t drawn)
{
    struct world *world = &writer->worlds[w];
    struct cache_key key = key_of(world, &number);
    uint64_t words = 4 + drawn % (world->words_max - 4), stamp = world->stamps[number];
    value_make(&writer->value, number, ++writer->versions[w], words);
    struct cache_value value = {
        .bytes = &writer->value, .len = (uint32_t)(words * 8), .birth_s = 1, .expiry_s = 2};
    struct cache_inserted inserted;
    if (cache_insert(&world->cache, &key, &value, 1, &inserted) != 0) {
        writer->failed++;
        return;
    }
    writer->inserted++;
    writer->crowded += inserted.crowded;
    if (inserted.evicted + inserted.expired > 0)
        share(&world->losses[writer->shard], world->losses[writer->shard] + 1);
    // What a flush that is under way may still take is not relied upon.
    if (writer->flushes[w].under_way && in_flush(&writer->flushes[w], number))
        return;
    uint64_t losses = world->losses[writer->shard];
    if (stamp & 1 && inserted.replaced && world->trusted[number] == losses)
        return; // as before
    share(&world->trusted[number], losses);
    share(&world->stamps[number], (stamp | 1) + (stamp & 1 ? 2 : 0));
}

static void write_one(struct writer *writer, unsigned w, uint64_t drawn)
{
    struct world *world = &writer->worlds[w];
    struct flush *flush = &writer->flushes[w];
    uint64_t number = number_draw(world, drawn);
    if (flush->under_way && drawn >> 40 & 1)
        flush_piece(writer, w, drawn >> 41);
    else if (!flush->under_way && (drawn >> 40) % 512 == 0)
        flush_begin(writer, w, drawn >> 49);
    if (shard_of(world, number) != writer->shard)
        return;
    if ((drawn >> 36) % 16 == 0) {
        struct cache_key key = key_of(world, &number);
        stamp_take(world, number);
        writer->removed += cache_remove(&world->cache, &key);
    } else {
        insert(writer, w, number, drawn >> 48);
    }
    share(&world->operations[writer->shard], world->operations[writer->shard] + 1);
}

static void *write_all(void *given)
{
    struct writer *writer = given;
    for (uint64_t i = 0; !stopping(); i++)
        write_one(writer, i >> 8 & 1, random_of(&writer->random));
    // Until then readers may wait for what was begun.
    for (unsigned w = 0; w < WORLDS; w++)
        share(&writer->worlds[w].operations[writer->shard], UINT64_MAX);
    return NULL;
}

// --- readers -------------------------------------------------------------------------------------

static void check(struct reader *reader, unsigned w, uint64_t number, uint64_t floor,
                  const struct cache_hit *hit)
{
    const struct value *value = &reader->value;
    if (value->words < 4 || value->words > VALUE_WORDS || hit->value_len != value->words * 8 ||
        hit->birth_s != 1 || hit->expiry_s != 2 || hit->asked > CACHE_HITS_MAX ||
        value->checksum != checksum(value))
        reader->torn++;
    else if (value->key != number)
        reader->wrong++;
    else if (value->version < reader->newest[w][number])
        reader->stale++;
    else if (value->version <= floor)
        reader->flushed++;
    else
        reader->newest[w][number] = value->version;
}

// Was it there all the time? The operation under way has to end before its writer says what had to
// go in it.
static bool was_there(const struct world *world, uint64_t number, uint64_t stamp, uint64_t losses)
{
    uint32_t shard = shard_of(world, number);
    uint64_t begun = shared(&world->operations[shard]);
    while (shared(&world->operations[shard]) < begun + 2 && begun < UINT64_MAX - 2)
        sched_yield();
    return shared(&world->stamps[number]) == stamp && shared(&world->losses[shard]) == losses;
}

static void read_one(struct reader *reader, unsigned w, uint64_t drawn)
{
    struct world *world = &reader->worlds[w];
    uint64_t number = number_draw(world, drawn);
    uint32_t shard = shard_of(world, number);
    struct cache_key key = key_of(world, &number);
    struct cache_hit hit;
    struct cache_seek seek;
    bool staged = drawn >> 33 & 1;
    if (staged) {
        cache_seek_bucket(&world->cache, key.hash, &seek);
        cache_seek_entry(&world->cache, key.hash, &seek);
    }
    uint64_t floor = shared(&world->floors[shard][number % GROUPS]);
    uint64_t stamp = shared(&world->stamps[number]), trusted = shared(&world->trusted[number]);
    uint64_t losses = shared(&world->losses[shard]);
    size_t room = sizeof reader->value;
    if ((staged && cache_seek_end(&world->cache, &seek, &key, &reader->value, room, &hit)) ||
        cache_lookup(&world->cache, &key, &reader->value, room, &hit) == CACHE_HIT) {
        reader->hits++;
        check(reader, w, number, floor, &hit);
    } else {
        reader->misses++;
        reader->passed += stamp & 1 && trusted == losses && was_there(world, number, stamp, losses);
    }
    if ((drawn >> 34) % 1024 == 0) {
        struct cache_use use;
        cache_use(&world->cache, &use);
        reader->wrong += use.entries > UINT64_MAX / 2;
    }
}

static void dance_watch(struct reader *reader)
{
    struct cache_key key = key_of(reader->dance, &(uint64_t){DANCER});
    uint64_t value;
    struct cache_hit hit;
    if (cache_lookup(&reader->dance->cache, &key, &value, sizeof value, &hit) == CACHE_MISS)
        reader->dance_misses++;
    else if (hit.value_len != sizeof value || value != DANCER)
        reader->torn++;
    else
        reader->dance_hits++;
}

static void *read_all(void *given)
{
    struct reader *reader = given;
    for (uint64_t i = 0; !stopping(); i++) {
        if (i >> 8 & 2)
            dance_watch(reader);
        else
            read_one(reader, i >> 8 & 1, random_of(&reader->random));
    }
    return NULL;
}

// --- the dance -----------------------------------------------------------------------------------

static void dance_insert(struct world *world, uint64_t number)
{
    struct cache_key key = key_of(world, &number);
    struct cache_value value = {&number, sizeof number, 1, UINT32_MAX};
    struct cache_inserted inserted;
    if (cache_insert(&world->cache, &key, &value, 1, &inserted) != 0 || inserted.evicted > 0)
        abort();
}

static void dance_remove(struct world *world, uint64_t number)
{
    struct cache_key key = key_of(world, &number);
    if (!cache_remove(&world->cache, &key))
        abort();
}

// Between the steps a reader has time for some tries, so that it need not give up.
static void dance_rest(uint64_t *random)
{
    for (uint64_t i = random_of(random) % 4000; i > 0; i--)
        __asm__ volatile("");
}

static void *dance_on(void *given)
{
    struct dance *dance = given;
    uint64_t random = 1;
    for (; !stopping(); dance->rounds++) {
        dance_insert(dance->world, DISPLACER); // the dancer goes to its second bucket
        dance_remove(dance->world, DISPLACER);
        dance_rest(&random);
        dance_insert(dance->world, RETURNER); // and comes home
        dance_remove(dance->world, RETURNER);
        dance_rest(&random);
    }
    return NULL;
}

static void dance_make(struct world *world)
{
    static const uint8_t buckets[][3] = {
        // from this number on, first and second bucket
        {DANCER, 10, 20},    {AT_FIRST, 10, 50}, {AT_SECOND, 20, 50}, {AT_THIRD, 30, 50},
        {AT_FOURTH, 40, 50}, {AT_FIFTH, 50, 60}, {DISPLACER, 10, 30}, {RETURNER, 20, 40},
    };
    size_t size = cache_size_min(1), row = 0;
    void *region = aligned_alloc(64, size);
    uint64_t random = 1;
    memset(world, 0, sizeof *world);
    if (!region)
        exit(2);
    memset(region, 0, size);
    if (cache_format(&world->cache, region, size, 1, 1) != 0)
        exit(2);
    uint32_t count = world->cache.bucket_count;
    for (uint64_t number = 0; number < DANCE_KEYS; number++) {
        if (row + 1 < sizeof buckets / sizeof *buckets && buckets[row + 1][0] == number)
            row++;
        uint32_t low;
        do
            low = (uint32_t)random_of(&random);
        while (layout_first_bucket(low, count) != buckets[row][1] ||
               layout_second_bucket(low, count) != buckets[row][2]);
        world->hashes[number] = random_of(&random) << 32 | low;
        if (number < DISPLACER)
            dance_insert(world, number);
    }
}

// --- the two caches ------------------------------------------------------------------------------

// A hash for a key whose two buckets are both among the few, which lie all over the index, so that
// a sweep is between them for most of its time.
static uint64_t crowded_hash(const struct world *world, uint64_t number, uint64_t *random)
{
    uint32_t count = world->cache.bucket_count, step = count / CROWDED_BUCKETS, low;
    do
        low = (uint32_t)random_of(random);
    while (layout_first_bucket(low, count) % step || layout_second_bucket(low, count) % step);
    uint64_t high = number % SHARDS ? 0xffff0000 : 0;
    return (high | (random_of(random) & 0xffff)) << 32 | low;
}

static void world_make(struct world *world, bool crowded)
{
    size_t size = cache_size_min(SHARDS) * (crowded ? 4 : 1);
    void *region = aligned_alloc(64, size);
    uint64_t random = 1;
    memset(world, 0, sizeof *world);
    if (!region)
        exit(2);
    memset(region, 0, size);
    if (cache_format(&world->cache, region, size, SHARDS, 1) != 0)
        exit(2);
    world->key_count = crowded ? SHARDS * CROWDED_KEYS : KEYS_MAX;
    world->words_max = crowded ? 20 : VALUE_WORDS;
    for (uint64_t number = 0; number < world->key_count; number++)
        world->hashes[number] = crowded ? crowded_hash(world, number, &random) : mix(number + 1);
}

// --- what comes out ------------------------------------------------------------------------------

static unsigned case_number;

static bool tell(bool good, const char *what, uint64_t count)
{
    printf("%s %u - %s: %llu\n", good ? "ok" : "not ok", ++case_number, what,
           (unsigned long long)count);
    return good;
}

static bool report(const struct writer *w, const struct reader *r, uint64_t rounds, const char *why)
{
    bool good = tell(w->inserted > 1000, "values inserted", w->inserted);
    good &= tell(w->removed > 0, "values removed", w->removed);
    good &= tell(w->failed == 0, "values that could not be inserted", w->failed);
    good &= tell(w->flush_count > 10, "flushes", w->flush_count);
    good &= tell(w->flushed > 10, "values flushed", w->flushed);
    good &= tell(w->crowded > 0, "values that went because their buckets were full", w->crowded);
    good &= tell(r->hits > 1000, "hits", r->hits);
    good &= tell(r->misses > 1000, "misses", r->misses);
    good &= tell(r->torn == 0, "torn values", r->torn);
    good &= tell(r->wrong == 0, "values of another key", r->wrong);
    good &= tell(r->stale == 0, "values older than one seen before", r->stale);
    good &= tell(r->flushed == 0, "values from before a flush that had ended", r->flushed);
    good &=
        tell(r->passed <= r->hits / 1000000, "misses of what was there all the time", r->passed);
    good &= tell(rounds > 1000, "times that one entry went to and fro", rounds);
    good &= tell(r->dance_hits > 1000, "hits of it", r->dance_hits);
    good &= tell(r->dance_misses <= r->dance_hits / 1000000 * GIVEN_UP_PM + 10, "misses of it",
                 r->dance_misses);
    good &= tell(!why, "invariants broken", why != NULL);
    printf("1..%u\n", case_number);
    return good;
}

static bool judge(const struct world *worlds, const struct dance *dance,
                  const struct writer *writers, const struct reader *readers, size_t reader_count)
{
    static struct writer w;
    static struct reader r;
    const char *why = cache_verify(&dance->world->cache, 0);
    for (uint32_t i = 0; i < SHARDS; i++) {
        w.inserted += writers[i].inserted;
        w.removed += writers[i].removed;
        w.failed += writers[i].failed;
        w.crowded += writers[i].crowded;
        w.flushed += writers[i].flushed;
        w.flush_count += writers[i].flush_count;
        for (unsigned j = 0; j < WORLDS && !why; j++)
            why = cache_verify(&worlds[j].cache, i);
    }
    for (size_t i = 0; i < reader_count; i++) {
        r.hits += readers[i].hits;
        r.misses += readers[i].misses;
        r.torn += readers[i].torn;
        r.wrong += readers[i].wrong;
        r.stale += readers[i].stale;
        r.flushed += readers[i].flushed;
        r.passed += readers[i].passed;
        r.dance_hits += readers[i].dance_hits;
        r.dance_misses += readers[i].dance_misses;
    }
    if (why)
        printf("# %s\n", why);
    return report(&w, &r, dance->rounds, why);
}

static void pause_for(double seconds)
{
    struct timespec left = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    while (nanosleep(&left, &left) != 0)
        ;
}

static void start(pthread_t *thread, void *(*run)(void *), void *given)
{
    if (pthread_create(thread, NULL, run, given) != 0) {
        fprintf(stderr, "stress_cache: no thread\n");
        exit(1);
    }
}

int main(int argument_count, char **arguments)
{
    double seconds = argument_count > 1 ? strtod(arguments[1], NULL) : 2;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    size_t reader_count = cores < 2 ? 2 : cores > READERS_MAX ? READERS_MAX : (size_t)cores;
    struct world *worlds = calloc(WORLDS + 1, sizeof *worlds);
    struct writer *writers = calloc(SHARDS, sizeof *writers);
    struct reader *readers = calloc(reader_count, sizeof *readers);
    struct dance dance = {.world = worlds + WORLDS};
    pthread_t threads[SHARDS + 1 + READERS_MAX];
    size_t thread_count = 0;
    if (!worlds || !writers || !readers || seconds <= 0)
        return 2;
    for (unsigned w = 0; w < WORLDS; w++)
        world_make(&worlds[w], w == 1);
    dance_make(dance.world);
    for (uint32_t i = 0; i < SHARDS; i++) {
        writers[i].worlds = worlds;
        writers[i].shard = i;
        writers[i].random = i;
        start(&threads[thread_count++], write_all, &writers[i]);
    }
    start(&threads[thread_count++], dance_on, &dance);
    for (size_t i = 0; i < reader_count; i++) {
        readers[i].worlds = worlds;
        readers[i].dance = dance.world;
        readers[i].random = 1000 + i;
        start(&threads[thread_count++], read_all, &readers[i]);
    }
    pause_for(seconds);
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    for (size_t i = 0; i < thread_count; i++)
        pthread_join(threads[i], NULL);
    bool good = judge(worlds, &dance, writers, readers, reader_count);
    for (unsigned w = 0; w <= WORLDS; w++)
        free(worlds[w].cache.region);
    free(readers);
    free(writers);
    free(worlds);
    return good ? 0 : 1;
}
