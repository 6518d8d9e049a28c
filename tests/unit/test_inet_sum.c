// SPDX-License-Identifier: MIT
#include "core/wire/inet_sum.h"

#include "tests/unit/packet.h"

// The sum as RFC 1071 says it in words.
static uint16_t plain_sum(const uint8_t *octets, size_t len)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < len; i++) {
        sum += i % 2 ? octets[i] : (uint32_t)octets[i] << 8;
        if (sum > 0xffff)
            sum -= 0xffff;
    }
    return (uint16_t)sum;
}

// RFC 1071 3.
static void test_the_example_of_the_rfc(void **state)
{
    (void)state;
    static const uint8_t octets[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
    assert_int_equal(inet_sum(octets, sizeof octets), 0xddf2);
    assert_int_equal(inet_sum(octets, 0), 0);
    assert_int_equal(inet_sum(octets + 2, 1), 0xf200);
}

static void test_sums_are_those_of_a_plain_computation(void **state)
{
    (void)state;
    static uint8_t octets[65535];
    uint64_t random = 1;
    for (size_t i = 0; i < sizeof octets; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        octets[i] = (uint8_t)(random >> 56);
    }
    for (size_t len = 0; len < 300; len++) {
        for (size_t at = 0; at < 8; at++)
            assert_int_equal(inet_sum(octets + at, len), plain_sum(octets + at, len));
    }
    assert_int_equal(inet_sum(octets, sizeof octets), plain_sum(octets, sizeof octets));
    // The most that can be carried.
    memset(octets, 0xff, sizeof octets);
    assert_int_equal(inet_sum(octets, sizeof octets - 1), 0xffff);
    assert_int_equal(inet_sum(octets, sizeof octets), plain_sum(octets, sizeof octets));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_example_of_the_rfc),
        cmocka_unit_test(test_sums_are_those_of_a_plain_computation),
    };
    return cmocka_run_group_tests_name("inet_sum", tests, NULL, NULL);
}
