// SPDX-License-Identifier: MIT
// The block function is not for others to call, so it is reached through its file.
#include "core/forward/rng.c"

#include "tests/unit/packet.h"

#define ZEROS24 "000000000000000000000000000000000000000000000000"

// RFC 8439 A.1, test vectors 1 to 4: those whose nonce is zero, as ours always is.
static const struct {
    const char *name;
    const char *key;
    uint32_t count;
    const char *block;
} blocks[] = {
    {"RFC 8439 A.1 vector 1", ZEROS24 "0000000000000000", 0,
     "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
     "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"},
    {"RFC 8439 A.1 vector 2", ZEROS24 "0000000000000000", 1,
     "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed"
     "29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f"},
    {"RFC 8439 A.1 vector 3", ZEROS24 "0000000000000001", 1,
     "3aeb5224ecf849929b9d828db1ced4dd832025e8018b8160b82284f3c949aa5a"
     "8eca00bbb4a73bdad192b5c42f73f2fd4e273644c8b36125a64addeb006c13a0"},
    {"RFC 8439 A.1 vector 4", "00ff000000000000" ZEROS24, 2,
     "72d54dfbf12ec44b362692df94137f328fea8da73990265ec1bbbea1ae9af0ca"
     "13b25aa26cb4a648cb9b9d1be65b2c0924a66c54d545ec1b7374f4872e99f096"},
};

static void test_blocks_are_those_of_the_rfc(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        struct packet octets = packet_of(blocks[i].key);
        uint32_t key[8];
        uint8_t out[BLOCK];
        memcpy(key, octets.bytes, sizeof key);
        chacha_block(key, blocks[i].count, out);
        assert_packet(out, sizeof out, blocks[i].block);
    }
}

// RFC 8439 2.1.1.
static void test_quarter_round_is_that_of_the_rfc(void **state)
{
    (void)state;
    uint32_t x[4] = {0x11111111, 0x01020304, 0x9b8d6f43, 0x01234567};
    static const uint32_t wanted[4] = {0xea2a92f4, 0xcb1cf8ce, 0x4581472e, 0x5881c4bb};
    quarter_round(x, 0, 1, 2, 3);
    assert_memory_equal(x, wanted, sizeof x);
}

// RFC 8439 2.3.2, with a nonce: the rounds alone, from the state given there to the one after them.
static void test_rounds_of_the_block_function_are_those_of_the_rfc(void **state)
{
    (void)state;
    uint32_t x[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, 0x03020100, 0x07060504,
                      0x0b0a0908, 0x0f0e0d0c, 0x13121110, 0x17161514, 0x1b1a1918, 0x1f1e1d1c,
                      0x00000001, 0x09000000, 0x4a000000, 0x00000000};
    static const uint32_t wanted[16] = {0x837778ab, 0xe238d763, 0xa67ae21e, 0x5950bb2f,
                                        0xc4f2d0c7, 0xfc62bb2f, 0x8fa018fc, 0x3f5ec7b7,
                                        0x335271c2, 0xf29489f3, 0xeabda8fc, 0x82e46ebd,
                                        0xd19c12b4, 0xb04e16de, 0x9e83d0cb, 0x4e3c50a2};
    for (unsigned round = 0; round < ROUNDS; round += 2) {
        for (unsigned i = 0; i < 4; i++)
            quarter_round(x, i, 4 + i, 8 + i, 12 + i);
        for (unsigned i = 0; i < 4; i++)
            quarter_round(x, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4);
    }
    assert_memory_equal(x, wanted, sizeof x);
}

static void seed(struct rng *rng, uint8_t first)
{
    uint8_t octets[32] = {first};
    rng_seed(rng, octets);
}

static void test_equal_seeds_give_equal_numbers(void **state)
{
    (void)state;
    struct rng a, b, c;
    unsigned same = 0;
    seed(&a, 1);
    seed(&b, 1);
    seed(&c, 2);
    for (unsigned i = 0; i < 10000; i++) {
        uint64_t number = rng_u64(&a);
        assert_true(number == rng_u64(&b));
        same += number == rng_u64(&c);
    }
    assert_int_equal(same, 0);
}

static void test_every_octet_of_a_seed_counts(void **state)
{
    (void)state;
    uint64_t numbers[33];
    for (unsigned i = 0; i < 33; i++) {
        uint8_t octets[32] = {0};
        struct rng rng;
        if (i < 32)
            octets[i] = 1;
        rng_seed(&rng, octets);
        numbers[i] = rng_u64(&rng);
        for (unsigned k = 0; k < i; k++)
            assert_true(numbers[i] != numbers[k]);
    }
}

// However the octets are fetched, they are the same stream, also across refills.
static void test_stream_does_not_depend_on_how_it_is_cut(void **state)
{
    (void)state;
    uint8_t whole[5000], pieces[5000];
    struct rng rng;
    uint64_t random = 1;
    seed(&rng, 3);
    rng_bytes(&rng, whole, sizeof whole);
    seed(&rng, 3);
    for (size_t at = 0; at < sizeof pieces;) {
        size_t take = test_random(&random) % 400;
        take = take < sizeof pieces - at ? take : sizeof pieces - at;
        rng_bytes(&rng, pieces + at, take);
        at += take;
    }
    assert_memory_equal(whole, pieces, sizeof whole);
    seed(&rng, 3);
    assert_true(rng_u16(&rng) == (whole[0] | whole[1] << 8));
}

// Fast key erasure: what was given out stands nowhere in the state.
static void test_given_numbers_cannot_be_read_from_the_state(void **state)
{
    (void)state;
    struct rng rng;
    uint8_t octets[32] = {9}, given[16];
    rng_seed(&rng, octets);
    assert_memory_not_equal(rng.key, octets, sizeof rng.key);
    for (unsigned i = 0; i < 100; i++) {
        rng_bytes(&rng, given, sizeof given);
        const uint8_t *bytes = (const uint8_t *)&rng;
        for (size_t at = 0; at + sizeof given <= sizeof rng; at++)
            assert_memory_not_equal(bytes + at, given, sizeof given);
    }
}

// Chi-squared far beyond what chance would do; a bound is checked exactly.
static void test_numbers_below_a_bound_are_equally_likely(void **state)
{
    (void)state;
    static const uint32_t bounds[] = {1, 2, 3, 5, 7, 10, 16, 64, 100, 255, 256, 1000};
    struct rng rng;
    seed(&rng, 5);
    for (size_t i = 0; i < COUNT_OF(bounds); i++) {
        uint32_t bound = bounds[i];
        uint32_t *seen = calloc(bound, sizeof *seen);
        assert_non_null(seen);
        uint32_t draws = 2000 * bound;
        for (uint32_t k = 0; k < draws; k++) {
            uint32_t number = rng_below(&rng, bound);
            assert_in_range(number, 0, bound - 1);
            seen[number]++;
        }
        double chi = 0;
        for (uint32_t k = 0; k < bound; k++)
            chi += ((double)seen[k] - 2000) * ((double)seen[k] - 2000) / 2000;
        // Mean is bound - 1, variance twice that; five deviations and a little for small bounds.
        double excess = chi - (bound - 1);
        assert_true(excess * excess <= 25 * 2.0 * bound + 50);
        free(seen);
    }
}

// Where a bound does not divide 2^32 plain multiplication would favour some: near 2^32 by half.
static void test_large_bounds_are_not_skewed(void **state)
{
    (void)state;
    static const uint32_t bounds[] = {0xc0000000, 0x80000001, 0xaaaaaaab, 0xffffffff, 0xfffffffe};
    struct rng rng;
    seed(&rng, 6);
    for (size_t i = 0; i < COUNT_OF(bounds); i++) {
        uint32_t thirds[3] = {0}, odd = 0;
        for (unsigned k = 0; k < 60000; k++) {
            uint32_t number = rng_below(&rng, bounds[i]);
            assert_true(number < bounds[i]);
            thirds[(uint64_t)number * 3 / bounds[i]]++;
            // Three of four inputs map to multiples of 3 and their neighbours unevenly.
            odd += number % 3 == 0;
        }
        for (unsigned k = 0; k < 3; k++)
            assert_in_range(thirds[k], 19300, 20700);
        assert_in_range(odd, 19300, 20700);
    }
}

static void test_every_bit_of_a_number_is_set_half_the_time(void **state)
{
    (void)state;
    struct rng rng;
    unsigned set[64] = {0}, ids[65536 / 256] = {0};
    seed(&rng, 7);
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t number = rng_u64(&rng);
        for (unsigned bit = 0; bit < 64; bit++)
            set[bit] += number >> bit & 1;
    }
    for (unsigned bit = 0; bit < 64; bit++)
        assert_in_range(set[bit], 9600, 10400);
    for (unsigned i = 0; i < 256000; i++)
        ids[rng_u16(&rng) >> 8]++;
    for (unsigned i = 0; i < 256; i++)
        assert_in_range(ids[i], 800, 1200);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_are_those_of_the_rfc),
        cmocka_unit_test(test_quarter_round_is_that_of_the_rfc),
        cmocka_unit_test(test_rounds_of_the_block_function_are_those_of_the_rfc),
        cmocka_unit_test(test_equal_seeds_give_equal_numbers),
        cmocka_unit_test(test_every_octet_of_a_seed_counts),
        cmocka_unit_test(test_stream_does_not_depend_on_how_it_is_cut),
        cmocka_unit_test(test_given_numbers_cannot_be_read_from_the_state),
        cmocka_unit_test(test_numbers_below_a_bound_are_equally_likely),
        cmocka_unit_test(test_large_bounds_are_not_skewed),
        cmocka_unit_test(test_every_bit_of_a_number_is_set_half_the_time),
    };
    return cmocka_run_group_tests_name("rng", tests, NULL, NULL);
}
