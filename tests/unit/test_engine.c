// SPDX-License-Identifier: MIT
#include "io/engine/engine.h"

#include "io/engine/engine_region.h"

#include "cache/layout.h"
#include "core/settings/parse.h"
#include "io/engine/engine_state.h"
#include "io/xdp/plane_passed.h"
#include "tests/unit/answer_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define MIB(count) ((uint64_t)(count) << 20)
#define GIB(count) ((uint64_t)(count) << 30)
#define TIB(count) ((uint64_t)(count) << 40)

static void test_shard_count_is_the_least_multiple_that_is_enough(void **state)
{
    (void)state;
    static const struct {
        uint64_t size;
        unsigned workers;
        uint32_t shards; // 0: there is none
    } rows[] = {
        {MIB(1), 1, 1},
        {MIB(1), 4, 4},
        {MIB(256), 1, 1},
        {MIB(256), 2, 2},
        {MIB(512), 1, 1},
        {MIB(512) + 4095, 1, 1}, // of which 4095 octets are left unused
        {MIB(512) + 4096, 1, 2},
        {MIB(512) + 4096, 3, 3},
        {GIB(1), 2, 2},
        {GIB(1) + 8192, 2, 4},
        {GIB(64), 16, 128},
        {TIB(1), 1, 2048},
        {TIB(1), 3, 2049},
        {TIB(1), 7, 2051},
        {TIB(1), 255, 2295},
        {TIB(1), 256, 2048},
        {TIB(2), 1, CACHE_SHARDS_MAX},
        {TIB(2) + MIB(16), 1, 0},
        {TIB(2), 3, 0}, // 4095 are a little too few
        {TIB(4), 256, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint32_t count = engine_shard_count(rows[i].size, rows[i].workers);
        if (count != rows[i].shards)
            fail_msg("row %zu: %u shards, not %u", i, count, rows[i].shards);
    }
}

// Whatever the settings allow: 1 to 256 workers and up to 1 TiB.
static void test_every_size_and_number_of_workers_has_shards(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 256; workers++) {
        for (uint64_t size = MIB(1); size <= TIB(1); size += size / 3 + 12345) {
            uint32_t count = engine_shard_count(size, workers);
            uint64_t stride = size / count / LAYOUT_STRIDE_STEP * LAYOUT_STRIDE_STEP;
            assert_in_range(count, workers, CACHE_SHARDS_MAX);
            assert_int_equal(count % workers, 0);
            assert_true(stride <= LAYOUT_SHARD_SIZE_MAX);
            assert_true(count == workers || size > cache_size_max(count - workers));
            assert_true(count == workers || size >= cache_size_min(count));
        }
    }
}

static void answer_store(struct cache *cache, const char *reply_text, uint32_t now_s)
{
    static uint8_t value[ANSWER_SIZE_MAX];
    struct packet reply = packet_of(reply_text);
    struct answer answer = {.value = value};
    struct cache_inserted inserted;
    struct name name = {0};
    struct key key;
    name.len = (uint8_t)name_length(reply.bytes + 12, reply.len - 12);
    memcpy(name.bytes, reply.bytes + 12, name.len);
    key_of_name(&key, &name, TYPE_A, cache->seed);
    assert_int_equal(answer_parse(&answer, reply.bytes, reply.len, &key, &usual), REPLY_GOOD);
    struct cache_key cache_key = key_for_cache(&key);
    struct cache_value stored = {value, answer.len, now_s, now_s + answer.lifetime_s};
    assert_int_equal(cache_insert(cache, &cache_key, &stored, now_s, &inserted), 0);
}

// The predecessor's plane cannot be taken over where it is of another form, or where this program
// was built without XDP: what is cached in its memory is copied.
static void test_answers_are_taken_from_a_plane_that_is_not(void **state)
{
    (void)state;
    enum { SHARDS = 1, SIZE = MIB(1) };
    struct settings settings;
    struct engine engine = {.settings = &settings, .worker_count = SHARDS, .region_fd = -1};
    struct engine_inheritance in;
    struct cache cache;
    struct cache_use use;
    char why[ENGINE_WHY_SIZE];
    int fds[] = {memfd_create("other", MFD_CLOEXEC), memfd_create("region", MFD_CLOEXEC)};
    settings_init(&settings);
    settings.cache_size = SIZE;
    assert_int_equal(ftruncate(fds[1], SIZE), 0);
    void *region = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fds[1], 0);
    assert_true(region != MAP_FAILED);
    assert_int_equal(cache_format(&cache, region, SIZE, SHARDS, 4711), 0);
    answer_store(&cache, REPLY C(1, 0, 0) ASK A(TTL_300), engine_now_s(&engine));
    struct plane_passed passed = {.form = UINT32_MAX, .shard_count = SHARDS, .shard_size = SIZE};
    engine_inheritance_init(&in, SHARDS);
    plane_passed_foreign(&in.plane, &passed, sizeof passed, fds, 2);
    assert_int_equal(region_open(&engine, &in, why), 0);
    cache_use(&engine.cache, &use);
    assert_int_equal(use.entries, 1);
    assert_true(engine.has_cache);
    region_close(&engine);
    engine_inheritance_free(&in);
    munmap(region, SIZE);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shard_count_is_the_least_multiple_that_is_enough),
        cmocka_unit_test(test_every_size_and_number_of_workers_has_shards),
        cmocka_unit_test(test_answers_are_taken_from_a_plane_that_is_not),
    };
    return cmocka_run_group_tests_name("engine", tests, NULL, NULL);
}
