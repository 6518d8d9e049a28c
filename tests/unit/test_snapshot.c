// SPDX-License-Identifier: MIT
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/answer.h"
#include "io/edge/snapshot_read.h"
#include "io/edge/snapshot_write.h"
#include "tests/unit/packet.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { NOW_S = 1000000, HEADER_LEN = 64, SMALL = 100, LARGE = 5000, ROOM = 4 << 20 };

static char directory[] = "/tmp/ouzel-snapshot-XXXXXX";
static char path[64], path_new[64];

static int directory_make(void **state)
{
    (void)state;
    if (!mkdtemp(directory))
        return -1;
    snprintf(path, sizeof path, "%s/cache", directory);
    snprintf(path_new, sizeof path_new, "%s/cache.new", directory);
    return 0;
}

static int directory_clear(void **state)
{
    (void)state;
    unlink(path);
    unlink(path_new);
    return 0;
}

static int directory_remove(void **state)
{
    (void)state;
    return rmdir(directory);
}

static void cache_make(struct cache *cache, size_t size, uint32_t shards, uint64_t seed)
{
    void *region = aligned_alloc(64, size);
    assert_non_null(region);
    memset(region, 0, size);
    assert_int_equal(cache_format(cache, region, size, shards, seed), 0);
}

static void key_of(struct key *key, uint64_t number, uint64_t seed)
{
    char text[64];
    uint8_t bytes[MESSAGE_UDP_MIN];
    struct name name;
    struct query query;
    int len = snprintf(text, sizeof text, "n%llu.example", (unsigned long long)number);
    assert_true(name_parse(&name, text, (size_t)len));
    struct upstream_query asked = {
        .name = name.bytes,
        .name_len = name.len,
        .type = TYPE_A,
        .class = CLASS_IN,
        .udp_size = 1232,
        .checking_disabled = number & 1,
        .dnssec_ok = number & 2,
    };
    size_t query_len = upstream_query_write(bytes, &asked);
    assert_int_equal(query_read(&query, bytes, query_len), QUERY_GOOD);
    key_make(key, &query, seed);
}

// What an upstream says to "n<number>.example A": one address, which is the number.
static void answer_of(struct answer *answer, const struct key *key, uint64_t number, uint32_t ttl_s)
{
    static const struct answer_limits limits = {
        .ttl_max_s = UINT32_MAX >> 1, .ttl_negative_max_s = 3600, .udp_payload_max = 1232};
    uint8_t bytes[MESSAGE_UDP_MIN];
    struct writer w = writer_over(bytes, sizeof bytes);
    struct packet head = packet_of("0000 8180 0001 0001 0000 0000");
    write_bytes(&w, head.bytes, head.len);
    write_bytes(&w, key_name(key), key_name_len(key));
    write_u16(&w, key_type(key));
    write_u16(&w, key_class(key));
    struct packet record = packet_of("c00c 0001 0001");
    write_bytes(&w, record.bytes, record.len);
    write_u32(&w, ttl_s);
    write_u16(&w, 4);
    write_u32(&w, (uint32_t)number);
    assert_false(w.failed);
    assert_int_equal(answer_parse(answer, bytes, w.at, key, &limits), REPLY_GOOD);
    assert_int_equal(answer->lifetime_s, ttl_s);
}

static void store(struct cache *cache, uint64_t number, uint32_t birth_s, uint32_t ttl_s,
                  unsigned hits)
{
    static uint8_t room[ANSWER_SIZE_MAX];
    struct answer answer = {.value = room};
    struct key key;
    key_of(&key, number, cache->seed);
    answer_of(&answer, &key, number, ttl_s);
    struct cache_key cache_key = key_for_cache(&key);
    struct cache_value value = {room, answer.len, birth_s, birth_s + ttl_s};
    struct cache_inserted inserted;
    assert_int_equal(cache_insert(cache, &cache_key, &value, birth_s, &inserted), 0);
    struct cache_hit hit;
    for (unsigned i = 0; i < hits; i++)
        assert_int_equal(cache_lookup(cache, &cache_key, room, 0, &hit), CACHE_HIT);
}

// Some have lost hits to rounds of the log since they were asked for, and some have inherited them.
static void fill(struct cache *cache, uint64_t count)
{
    for (uint64_t number = 0; number < count; number++) {
        store(cache, number, NOW_S - (uint32_t)(number % 50), 300, number % 4);
        struct key key;
        key_of(&key, number, cache->seed);
        struct cache_key cache_key = key_for_cache(&key);
        if (number % 3 == 0)
            assert_true(cache_mark(cache, &cache_key, number % 4, number / 4 % 4));
    }
}

static bool holds(const struct cache *cache, uint64_t number)
{
    struct key key;
    uint8_t value[512];
    struct cache_hit hit;
    key_of(&key, number, cache->seed);
    struct cache_key cache_key = key_for_cache(&key);
    return cache_lookup(cache, &cache_key, value, sizeof value, &hit) == CACHE_HIT;
}

static uint64_t entries_of(const struct cache *cache)
{
    struct cache_use use;
    for (uint32_t shard = 0; shard < cache->shard_count; shard++)
        assert_null(cache_verify(cache, shard));
    cache_use(cache, &use);
    return use.entries;
}

// Finds a key's entry by walking, which leaves its hits alone.
static bool entry_find(const struct cache *cache, const uint8_t *key, uint32_t key_len,
                       struct cache_copy *copy)
{
    struct cache_cursor cursor = {0};
    while (cache_walk(cache, &cursor, copy)) {
        if (copy->key_len == key_len && memcmp(copy->bytes + copy->value_len, key, key_len) == 0)
            return true;
    }
    return false;
}

static void assert_same_entries(const struct cache *a, const struct cache *b)
{
    static struct cache_copy in_a, in_b;
    struct cache_cursor cursor = {0};
    assert_int_equal(entries_of(a), entries_of(b));
    while (cache_walk(a, &cursor, &in_a)) {
        assert_true(entry_find(b, in_a.bytes + in_a.value_len, in_a.key_len, &in_b));
        assert_int_equal(in_a.value_len, in_b.value_len);
        assert_memory_equal(in_a.bytes, in_b.bytes, in_a.value_len);
        assert_int_equal(in_a.birth_s, in_b.birth_s);
        assert_int_equal(in_a.expiry_s, in_b.expiry_s);
        assert_int_equal(in_a.hits, in_b.hits);
        assert_int_equal(in_a.asked, in_b.asked);
    }
}

static struct snapshot_result write_well(const struct cache *cache)
{
    struct snapshot_result result;
    char why[SNAPSHOT_WHY_SIZE] = "";
    if (snapshot_write(cache, path, NOW_S, &result, why) != 0)
        fail_msg("%s", why);
    struct stat stat_of;
    assert_int_equal(stat(path, &stat_of), 0);
    assert_int_equal(stat_of.st_size, result.octets);
    assert_int_equal(result.begun_s, NOW_S);
    assert_int_equal(access(path_new, F_OK), -1);
    return result;
}

static struct snapshot_result read_well(struct cache *cache, uint32_t now_s)
{
    struct snapshot_result result;
    char why[SNAPSHOT_WHY_SIZE] = "";
    if (snapshot_read(cache, path, now_s, NULL, &result, why) != 0)
        fail_msg("%s", why);
    assert_int_equal(result.begun_s, NOW_S);
    assert_int_equal(result.entries, entries_of(cache));
    return result;
}

static void assert_refused(uint32_t now_s, int error, const char *sentence)
{
    struct cache cache;
    struct snapshot_result result;
    char why[SNAPSHOT_WHY_SIZE] = "", wanted[SNAPSHOT_WHY_SIZE];
    cache_make(&cache, cache_size_min(1), 1, 3);
    assert_int_equal(snapshot_read(&cache, path, now_s, NULL, &result, why), error);
    snprintf(wanted, sizeof wanted, "the snapshot %s %s", path, sentence);
    assert_string_equal(why, wanted);
    assert_int_equal(entries_of(&cache), 0);
    assert_int_equal(result.entries + result.octets + result.begun_s, 0);
    free(cache.region);
}

// --- what is written and read ------------------------------------------------------------------

static void test_all_comes_back_as_it_was(void **state)
{
    static const uint64_t counts[] = {0, 1, SMALL};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        struct cache from, to;
        cache_make(&from, ROOM, 1, 1);
        cache_make(&to, ROOM, 1, 1);
        fill(&from, counts[i]);
        assert_int_equal(write_well(&from).entries, counts[i]);
        struct snapshot_result result = read_well(&to, NOW_S);
        assert_int_equal(result.entries, counts[i]);
        assert_int_equal(result.expired + result.future + result.unfit, 0);
        assert_same_entries(&from, &to);
        free(from.region);
        free(to.region);
    }
}

static const struct {
    size_t size;
    uint32_t shards;
    uint64_t seed;
} geometries[] = {{ROOM, 1, 2}, {ROOM, 4, 1}, {2 * ROOM, 7, 3}, {ROOM / 2, 2, 99}};

static void test_another_geometry_and_seed(void **state)
{
    (void)state;
    struct cache from, to;
    cache_make(&from, ROOM, 3, 1);
    fill(&from, LARGE);
    uint64_t entries = write_well(&from).entries;
    assert_in_range(entries, LARGE - 5, LARGE);
    for (size_t i = 0; i < COUNT_OF(geometries); i++) {
        cache_make(&to, geometries[i].size, geometries[i].shards, geometries[i].seed);
        struct snapshot_result result = read_well(&to, NOW_S);
        assert_int_equal(result.entries + result.unfit, entries);
        assert_in_range(result.unfit, 0, 5);
        free(to.region);
    }
    free(from.region);
}

// Where not all have room, those that were asked for again stay.
static void test_smaller_cache_keeps_the_popular(void **state)
{
    (void)state;
    struct cache from, to;
    cache_make(&from, 2 * ROOM, 1, 1);
    cache_make(&to, ROOM / 4, 1, 2);
    for (uint64_t number = 0; number < 4 * LARGE; number++)
        store(&from, number, NOW_S, 300, 0);
    for (uint64_t number = 0; number < 4 * LARGE; number += 10)
        (void)holds(&from, number);
    write_well(&from);
    struct snapshot_result result = read_well(&to, NOW_S);
    assert_in_range(result.entries, LARGE, 2 * LARGE);
    assert_in_range(result.unfit, 2 * LARGE, 3 * LARGE);
    unsigned popular = 0;
    for (uint64_t number = 0; number < 4 * LARGE; number += 10)
        popular += holds(&to, number);
    assert_in_range(popular, 4 * LARGE / 10 * 95 / 100, 4 * LARGE / 10);
    free(from.region);
    free(to.region);
}

static const struct {
    uint32_t later_s, stale_s;
    uint64_t alive; // of ten that have 10, 20 .. 100 s to live
} age_rows[] = {
    {0, 0, 10},
    {9, 0, 10},
    {10, 0, 9},
    {11, 0, 9},
    {95, 0, 1},
    {99, 0, 1},
    {100, 0, 0},
    {20, 10, 9},
    {19, 10, 10},
    {110, 10, 0},
    {109, 10, 1},
    {4000000000, 0, 0},
    {500, UINT32_MAX, 10},
};

static void test_entries_age_while_no_process_runs(void **state)
{
    (void)state;
    struct cache from, to;
    cache_make(&from, ROOM, 1, 1);
    for (uint64_t number = 1; number <= 10; number++)
        store(&from, number, NOW_S, (uint32_t)number * 10, 0);
    write_well(&from);
    for (size_t i = 0; i < COUNT_OF(age_rows); i++) {
        cache_make(&to, ROOM, 1, 1);
        to.stale_s = age_rows[i].stale_s;
        struct snapshot_result result = read_well(&to, NOW_S + age_rows[i].later_s);
        assert_int_equal(result.entries, age_rows[i].alive);
        assert_int_equal(result.expired, 10 - age_rows[i].alive);
        assert_int_equal(holds(&to, 10), age_rows[i].alive > 0);
        free(to.region);
    }
    free(from.region);
}

static void test_expired_answers_are_not_written(void **state)
{
    (void)state;
    struct cache from, to;
    cache_make(&from, ROOM, 1, 1);
    store(&from, 1, NOW_S - 100, 100, 0);
    store(&from, 2, NOW_S - 100, 101, 0);
    store(&from, 3, NOW_S - 100, 90, 0);
    struct snapshot_result result = write_well(&from);
    assert_int_equal(result.entries, 1);
    assert_int_equal(result.expired, 2);
    from.stale_s = 5;
    assert_int_equal(write_well(&from).entries, 2);
    cache_make(&to, ROOM, 1, 1);
    to.stale_s = 1;
    assert_int_equal(read_well(&to, NOW_S).entries, 2);
    assert_false(holds(&to, 3));
    free(from.region);
    free(to.region);
}

static void test_clock_that_was_set_back(void **state)
{
    (void)state;
    struct cache from, to;
    cache_make(&from, ROOM, 1, 1);
    store(&from, 1, NOW_S - 40, 1000, 0);
    store(&from, 2, NOW_S - 20, 1000, 0);
    store(&from, 3, NOW_S + 1, 1000, 0);
    write_well(&from);
    cache_make(&to, ROOM, 1, 1);
    struct snapshot_result result = read_well(&to, NOW_S - 30);
    assert_int_equal(result.entries, 1);
    assert_int_equal(result.future, 2);
    assert_true(holds(&to, 1));
    free(to.region);
    cache_make(&to, ROOM, 1, 1);
    assert_int_equal(read_well(&to, NOW_S - 60).entries, 0);
    assert_refused(NOW_S - 61, -EBADMSG,
                   "is from the future, by 61 s: this or that clock is wrong");
    free(from.region);
    free(to.region);
}

// What core/answer did not write must not get into a file, or all of it would be refused later.
static void test_what_is_no_answer_is_left_out(void **state)
{
    (void)state;
    struct cache from, to;
    struct key key;
    cache_make(&from, ROOM, 1, 1);
    fill(&from, SMALL);
    key_of(&key, 12345, 1);
    struct cache_key cache_key = key_for_cache(&key);
    struct cache_value value = {"0123456789012345678901234567890", 31, NOW_S, NOW_S + 100};
    struct cache_inserted inserted;
    assert_int_equal(cache_insert(&from, &cache_key, &value, NOW_S, &inserted), 0);
    struct snapshot_result result = write_well(&from);
    assert_int_equal(result.entries, SMALL);
    assert_int_equal(result.unfit, 1);
    cache_make(&to, ROOM, 1, 1);
    assert_int_equal(read_well(&to, NOW_S).entries, SMALL);
    free(from.region);
    free(to.region);
}

// --- what is refused ---------------------------------------------------------------------------

struct file {
    size_t len;
    uint8_t bytes[1 << 20];
};

static void file_load(struct file *file)
{
    FILE *from = fopen(path, "rb");
    assert_non_null(from);
    file->len = fread(file->bytes, 1, sizeof file->bytes, from);
    fclose(from);
}

static void file_save(const struct file *file)
{
    FILE *to = fopen(path, "wb");
    assert_non_null(to);
    assert_int_equal(fwrite(file->bytes, 1, file->len, to), file->len);
    fclose(to);
}

// The first block's checksum, and the header's.
static void checksums_fix(struct file *file)
{
    uint64_t id, checksum = XXH3_64bits_withSeed(file->bytes, HEADER_LEN - 8, 0);
    uint32_t len;
    memcpy(file->bytes + HEADER_LEN - 8, &checksum, sizeof checksum);
    memcpy(&id, file->bytes + 16, sizeof id);
    memcpy(&len, file->bytes + HEADER_LEN + 12, sizeof len);
    checksum = XXH3_64bits_withSeed(file->bytes + HEADER_LEN + 8, 32 + len - 8, id);
    memcpy(file->bytes + HEADER_LEN, &checksum, sizeof checksum);
}

static const struct {
    const char *sentence;
    int at;        // octet to change, from the end where negative
    uint8_t octet; // to this, or should it be that already, to another
    bool fix;      // make the checksums right again
    int len;       // cut to so many octets, or by so many where negative; 0: leave
    int longer;    // append so many
} refusals[] = {
    {.sentence = "is empty", .len = 1, .longer = -1},
    {.sentence = "is no snapshot of ouzel", .at = 0, .octet = 'x'},
    {.sentence = "is no snapshot of ouzel", .at = 7, .octet = 'x', .fix = true},
    {.sentence = "is cut: its header is not whole", .len = 8},
    {.sentence = "is cut: its header is not whole", .len = HEADER_LEN - 1},
    {.sentence = "is of a newer version, 4, and this ouzel reads 3", .at = 8, .octet = 4},
    {.sentence = "is of an older version, 2, and this ouzel reads 3", .at = 8, .octet = 2},
    {.sentence = "is damaged: its header has a wrong checksum", .at = 20, .octet = 0x5a},
    {.sentence = "has flags that this ouzel does not know: 0x4", .at = 12, .octet = 4, .fix = true},
    {.sentence = "is cut: it ends before block 0", .len = HEADER_LEN},
    {.sentence = "is cut: it ends within block 0", .len = HEADER_LEN + 1},
    {.sentence = "is cut: it ends within block 0", .len = HEADER_LEN + 100},
    {.sentence = "is cut: it ends within block 2", .len = -1},
    {.sentence = "is cut: it ends before block 2", .len = -48},
    {.sentence = "is damaged: it goes on for 3 octets at its end", .longer = 3},
    {.sentence = "is damaged: block 0 has a wrong checksum", .at = HEADER_LEN, .octet = 0x5a},
    {.sentence = "is damaged: block 0 has a wrong checksum", .at = 150, .octet = 0x5a},
    {.sentence = "is damaged: block 2 has a wrong checksum", .at = -1, .octet = 0x5a},
    {.sentence = "is damaged: block 0 has an impossible length", .at = HEADER_LEN + 15, .octet = 1},
    {.sentence = "is damaged: block 0 belongs in another place",
     .at = HEADER_LEN + 16,
     .octet = 1,
     .fix = true},
    {.sentence = "is damaged: block 0 is of a kind that does not exist",
     .at = HEADER_LEN + 8,
     .octet = 'x',
     .fix = true},
    {.sentence = "is damaged: block 0 has an impossible number of entries",
     .at = HEADER_LEN + 26,
     .octet = 1,
     .fix = true},
    {.sentence = "is damaged: block 0 holds more than its entries",
     .at = HEADER_LEN + 24,
     .octet = 1,
     .fix = true},
    {.sentence = "is damaged: block 0 ends within an entry",
     .at = HEADER_LEN + 24,
     .octet = 76,
     .fix = true},
    {.sentence = "is damaged: block 0 holds an entry of an impossible length",
     .at = HEADER_LEN + 32 + 2,
     .octet = 2,
     .fix = true},
    {.sentence = "is damaged: block 0 holds an entry of an impossible length",
     .at = HEADER_LEN + 32 + 4,
     .octet = 5,
     .fix = true},
    {.sentence = "is damaged: block 0 holds an entry with an impossible mark",
     .at = HEADER_LEN + 32 + 6,
     .octet = 4,
     .fix = true},
    {.sentence = "is damaged: block 0 holds an entry with an impossible mark",
     .at = HEADER_LEN + 32 + 7,
     .octet = 4,
     .fix = true},
    {.sentence = "is damaged: block 0 holds an entry that ends before it begins",
     .at = HEADER_LEN + 32 + 14,
     .octet = 0,
     .fix = true},
    {.sentence = "is damaged: block 0 holds a value that is no answer",
     .at = HEADER_LEN + 48 + 2,
     .octet = 0,
     .fix = true},
    {.sentence = "is damaged: block 0 holds an answer to another question than its key's",
     .at = HEADER_LEN + 48 + 13,
     .octet = 'z',
     .fix = true},
};

static void test_refusals(void **state)
{
    (void)state;
    static struct file good, bad;
    struct cache from;
    cache_make(&from, ROOM, 1, 1);
    fill(&from, SMALL);
    write_well(&from);
    file_load(&good);
    for (size_t i = 0; i < COUNT_OF(refusals); i++) {
        bad = good;
        if (refusals[i].len > 0)
            bad.len = (size_t)refusals[i].len;
        if (refusals[i].len < 0)
            bad.len -= (size_t)-refusals[i].len;
        bad.len += (size_t)refusals[i].longer;
        if (refusals[i].at != 0 || refusals[i].octet != 0) {
            ptrdiff_t end = refusals[i].at < 0 ? (ptrdiff_t)good.len : 0;
            uint8_t *octet = bad.bytes + (end + refusals[i].at);
            *octet = *octet == refusals[i].octet ? (uint8_t) ~*octet : refusals[i].octet;
        }
        if (refusals[i].fix)
            checksums_fix(&bad);
        file_save(&bad);
        assert_refused(NOW_S, -EBADMSG, refusals[i].sentence);
    }
    free(from.region);
}

static void test_blocks_of_two_snapshots_do_not_mix(void **state)
{
    (void)state;
    static struct file one, other;
    struct cache from;
    cache_make(&from, ROOM, 1, 1);
    fill(&from, SMALL);
    write_well(&from);
    file_load(&one);
    write_well(&from);
    file_load(&other);
    assert_int_equal(one.len, other.len);
    memcpy(one.bytes + HEADER_LEN, other.bytes + HEADER_LEN, one.len - HEADER_LEN);
    file_save(&one);
    assert_refused(NOW_S, -EBADMSG, "is damaged: block 0 has a wrong checksum");
    free(from.region);
}

static void test_no_file_and_no_regular_file(void **state)
{
    (void)state;
    char why[SNAPSHOT_WHY_SIZE];
    struct snapshot_result result;
    assert_refused(NOW_S, -ENOENT, "cannot be read: No such file or directory");
    assert_int_equal(mkdir(path, 0700), 0);
    assert_refused(NOW_S, -EEXIST, "is not read: it is a directory");
    struct cache cache;
    cache_make(&cache, ROOM, 1, 1);
    assert_int_equal(snapshot_write(&cache, path, NOW_S, &result, why), -EEXIST);
    assert_non_null(strstr(why, "is a directory"));
    assert_int_equal(access(path_new, F_OK), -1);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_refused(NOW_S, -EEXIST, "is not read: it is no regular file, and is not written over");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/etc/hostname", path), 0);
    assert_refused(NOW_S, -EEXIST, "is not read: it is a link, and is not written over");
    assert_int_equal(snapshot_write(&cache, "/nonexistent/cache", NOW_S, &result, why), -ENOENT);
    assert_string_equal(
        why, "the snapshot /nonexistent/cache cannot be written: No such file or directory");
    assert_int_equal(snapshot_write(&cache, "", NOW_S, &result, why), -EISDIR);
    assert_int_equal(snapshot_write(&cache, "/tmp/", NOW_S, &result, why), -EISDIR);
    free(cache.region);
}

// --- how the file is written -------------------------------------------------------------------

static void test_mode(void **state)
{
    (void)state;
    static const mode_t masks[] = {0, 022, 077};
    struct cache cache;
    struct stat stat_of;
    cache_make(&cache, ROOM, 1, 1);
    for (size_t i = 0; i < COUNT_OF(masks); i++) {
        mode_t before = umask(masks[i]);
        write_well(&cache);
        umask(before);
        assert_int_equal(stat(path, &stat_of), 0);
        assert_int_equal(stat_of.st_mode & 07777, 0640);
    }
    free(cache.region);
}

static void test_what_a_crash_left_is_no_hindrance(void **state)
{
    (void)state;
    struct cache cache;
    cache_make(&cache, ROOM, 1, 1);
    fill(&cache, SMALL);
    int fd = open(path_new, O_WRONLY | O_CREAT, 0600);
    assert_int_equal(ftruncate(fd, 1 << 20), 0);
    close(fd);
    write_well(&cache);
    struct cache to;
    cache_make(&to, ROOM, 1, 1);
    assert_int_equal(read_well(&to, NOW_S).entries, SMALL);
    free(cache.region);
    free(to.region);
}

static void test_two_writers_do_not_disturb_each_other(void **state)
{
    (void)state;
    struct cache cache;
    struct snapshot_result result;
    char why[SNAPSHOT_WHY_SIZE], wanted[SNAPSHOT_WHY_SIZE];
    cache_make(&cache, ROOM, 1, 1);
    int fd = open(path_new, O_WRONLY | O_CREAT, 0600);
    assert_int_equal(write(fd, "ouzelsnp half", 13), 13);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(snapshot_write(&cache, path, NOW_S, &result, why), -EBUSY);
    snprintf(wanted, sizeof wanted, "the snapshot %s is being written by another", path);
    assert_string_equal(why, wanted);
    assert_int_equal(lseek(fd, 0, SEEK_END), 13);
    assert_int_equal(access(path_new, F_OK), 0);
    assert_int_equal(access(path, F_OK), -1);
    close(fd);
    write_well(&cache);
    free(cache.region);
}

// The limit on the size of a file stands for a disk that is full.
static void test_full_disk_leaves_the_old_one(void **state)
{
    static const rlim_t limits[] = {0, 10, 64, 100, 4096, 300000};
    (void)state;
    struct cache small, large, to;
    struct snapshot_result result;
    struct rlimit before;
    char why[SNAPSHOT_WHY_SIZE];
    cache_make(&small, ROOM, 1, 1);
    cache_make(&large, ROOM, 1, 1);
    fill(&small, SMALL);
    fill(&large, LARGE);
    write_well(&small);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    for (size_t i = 0; i < COUNT_OF(limits); i++) {
        struct rlimit limit = {limits[i], before.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        int error = snapshot_write(&large, path, NOW_S, &result, why);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_int_equal(error, -EFBIG);
        assert_non_null(strstr(why, "cannot be written: File too large"));
        assert_int_equal(access(path_new, F_OK), -1);
        cache_make(&to, ROOM, 1, 1);
        assert_int_equal(read_well(&to, NOW_S).entries, SMALL);
        free(to.region);
    }
    signal(SIGXFSZ, SIG_DFL);
    free(small.region);
    free(large.region);
}

// Ends a process that does nothing but write snapshots, again and again, at any moment.
static void test_crash_at_any_moment_leaves_a_good_one(void **state)
{
    (void)state;
    struct cache caches[2], to;
    uint64_t counts[2], random = 1;
    unsigned seen[2] = {0, 0};
    struct snapshot_result result;
    char why[SNAPSHOT_WHY_SIZE];
    for (unsigned i = 0; i < 2; i++) {
        cache_make(&caches[i], ROOM, 1, 1);
        fill(&caches[i], i ? LARGE : SMALL);
        counts[i] = entries_of(&caches[i]);
    }
    write_well(&caches[0]);
    for (unsigned round = 0; round < 60 || (round < 600 && !(seen[0] && seen[1])); round++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            for (unsigned i = round;; i++)
                (void)snapshot_write(&caches[i % 2], path, NOW_S, &result, why);
        }
        // Longer and longer, should this machine be slow.
        uint64_t wait_max_ns = 20000000 * (1 + round / 60);
        struct timespec wait = {.tv_nsec = (long)(test_random(&random) % wait_max_ns)};
        nanosleep(&wait, NULL);
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
        cache_make(&to, ROOM, 1, 1);
        uint64_t entries = read_well(&to, NOW_S).entries;
        assert_true(entries == counts[0] || entries == counts[1]);
        seen[entries == counts[1]]++;
        free(to.region);
    }
    assert_true(seen[0] > 0 && seen[1] > 0);
    free(caches[0].region);
    free(caches[1].region);
}

struct worker {
    struct cache *cache;
    atomic_bool stop;
};

// Stores and drops without end: each name's answer is its number, so a torn one would be seen.
static void *worker_run(void *context)
{
    struct worker *worker = context;
    static uint8_t room[ANSWER_SIZE_MAX];
    uint64_t random = 1;
    while (!atomic_load(&worker->stop)) {
        uint64_t number = test_random(&random) % (4 * LARGE);
        struct answer answer = {.value = room};
        struct key key;
        key_of(&key, number, worker->cache->seed);
        answer_of(&answer, &key, number, 300);
        struct cache_key cache_key = key_for_cache(&key);
        struct cache_value value = {room, answer.len, NOW_S, NOW_S + 300};
        struct cache_inserted inserted;
        if (number % 8 == 0)
            (void)cache_remove(worker->cache, &cache_key);
        else
            (void)cache_insert(worker->cache, &cache_key, &value, NOW_S, &inserted);
    }
    return NULL;
}

static void test_while_a_worker_stores(void **state)
{
    (void)state;
    static struct cache_copy copy;
    static uint8_t room[ANSWER_SIZE_MAX];
    struct cache cache, to;
    cache_make(&cache, ROOM / 4, 1, 1); // too small for all: there is always an eviction
    fill(&cache, LARGE);
    struct worker worker = {.cache = &cache};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, worker_run, &worker), 0);
    for (unsigned round = 0; round < 30; round++) {
        struct snapshot_result result = write_well(&cache);
        assert_int_equal(result.unfit, 0);
        assert_true(result.entries > LARGE / 2);
        cache_make(&to, ROOM, 1, 2);
        assert_in_range(read_well(&to, NOW_S).entries, LARGE / 2, result.entries);
        struct cache_cursor cursor = {0};
        while (cache_walk(&to, &cursor, &copy)) {
            struct answer answer = {.value = room};
            struct key key = {.len = (uint16_t)copy.key_len};
            memcpy(key.bytes, copy.bytes + copy.value_len, key.len);
            unsigned long long number;
            assert_int_equal(sscanf((const char *)key_name(&key) + 2, "%llu", &number), 1);
            answer_of(&answer, &key, number, 300);
            assert_int_equal(answer.len, copy.value_len);
            assert_memory_equal(room, copy.bytes, answer.len);
        }
        free(to.region);
    }
    atomic_store(&worker.stop, true);
    pthread_join(thread, NULL);
    free(cache.region);
}

#define TEST(function) cmocka_unit_test_teardown(function, directory_clear)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(test_all_comes_back_as_it_was),
        TEST(test_another_geometry_and_seed),
        TEST(test_smaller_cache_keeps_the_popular),
        TEST(test_entries_age_while_no_process_runs),
        TEST(test_expired_answers_are_not_written),
        TEST(test_clock_that_was_set_back),
        TEST(test_what_is_no_answer_is_left_out),
        TEST(test_refusals),
        TEST(test_blocks_of_two_snapshots_do_not_mix),
        TEST(test_no_file_and_no_regular_file),
        TEST(test_mode),
        TEST(test_what_a_crash_left_is_no_hindrance),
        TEST(test_two_writers_do_not_disturb_each_other),
        TEST(test_full_disk_leaves_the_old_one),
        TEST(test_crash_at_any_moment_leaves_a_good_one),
        TEST(test_while_a_worker_stores),
    };
    return cmocka_run_group_tests_name("snapshot", tests, directory_make, directory_remove);
}
