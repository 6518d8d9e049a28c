// SPDX-License-Identifier: MIT
#include "io/engine/engine.h"

#include "io/engine/engine_region.h"

#include "cache/layout.h"

#include <setjmp.h>
#include <stdarg.h>

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

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shard_count_is_the_least_multiple_that_is_enough),
        cmocka_unit_test(test_every_size_and_number_of_workers_has_shards),
    };
    return cmocka_run_group_tests_name("engine", tests, NULL, NULL);
}
