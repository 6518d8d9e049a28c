// SPDX-License-Identifier: MIT
#include "core/forward/stalling.h"

#include "tests/unit/packet.h"

enum { NOW_US = 1000000000, FAMILY = 4 };

static void charge(struct stalling *stalling, uint64_t network, unsigned charges, uint64_t now_us)
{
    for (unsigned i = 0; i < charges; i++)
        stalling_charge(stalling, network, FAMILY, now_us);
}

static void test_it_takes_several_charges_and_ends(void **state)
{
    (void)state;
    struct stalling stalling = {0};
    charge(&stalling, 7, STALLING_CHARGES - 1, NOW_US);
    assert_false(stalling_has(&stalling, 7, FAMILY, NOW_US));
    charge(&stalling, 7, 1, NOW_US + 1);
    assert_true(stalling_has(&stalling, 7, FAMILY, NOW_US + 1));
    assert_true(stalling_has(&stalling, 7, FAMILY, NOW_US + STALLING_US));
    assert_false(stalling_has(&stalling, 7, FAMILY, NOW_US + 1 + STALLING_US));
    charge(&stalling, 7, 1, NOW_US + 1 + STALLING_US);
    assert_false(stalling_has(&stalling, 7, FAMILY, NOW_US + 1 + STALLING_US));
}

// An IPv4 address and an IPv6 network of the same octets are two.
static void test_networks_are_told_apart(void **state)
{
    (void)state;
    struct stalling stalling = {0};
    charge(&stalling, 7, STALLING_CHARGES, NOW_US);
    assert_false(stalling_has(&stalling, 8, FAMILY, NOW_US));
    assert_false(stalling_has(&stalling, 7, FAMILY + 2, NOW_US));
    assert_false(stalling_has(&stalling, 0, 0, NOW_US));
}

static void test_the_oldest_makes_room(void **state)
{
    (void)state;
    struct stalling stalling = {0};
    for (uint64_t i = 0; i <= STALLING_NETWORKS; i++)
        charge(&stalling, 100 + i, STALLING_CHARGES, NOW_US + i);
    uint64_t now_us = NOW_US + STALLING_NETWORKS;
    assert_false(stalling_has(&stalling, 100, FAMILY, now_us));
    for (uint64_t i = 1; i <= STALLING_NETWORKS; i++)
        assert_true(stalling_has(&stalling, 100 + i, FAMILY, now_us));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_takes_several_charges_and_ends),
        cmocka_unit_test(test_networks_are_told_apart),
        cmocka_unit_test(test_the_oldest_makes_room),
    };
    return cmocka_run_group_tests_name("stalling", tests, NULL, NULL);
}
