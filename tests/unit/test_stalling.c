// SPDX-License-Identifier: MIT
#include "core/forward/stalling.h"

#include "tests/unit/packet.h"

enum { NOW_US = 1000000000 };

static struct network network_at(uint64_t octets)
{
    return (struct network){octets, ADDRESS_IPV4};
}

static void charge(struct stalling *stalling, uint64_t octets, unsigned charges, uint64_t now_us)
{
    struct network network = network_at(octets);
    for (unsigned i = 0; i < charges; i++)
        stalling_charge(stalling, &network, now_us);
}

static bool has(struct stalling *stalling, uint64_t octets, uint64_t now_us)
{
    struct network network = network_at(octets);
    return stalling_has(stalling, &network, now_us);
}

static void test_it_takes_several_charges_and_ends(void **state)
{
    (void)state;
    struct stalling stalling = {0};
    charge(&stalling, 7, STALLING_CHARGES - 1, NOW_US);
    assert_false(has(&stalling, 7, NOW_US));
    charge(&stalling, 7, 1, NOW_US + 1);
    assert_true(has(&stalling, 7, NOW_US + 1));
    assert_true(has(&stalling, 7, NOW_US + STALLING_US));
    assert_false(has(&stalling, 7, NOW_US + 1 + STALLING_US));
    charge(&stalling, 7, 1, NOW_US + 1 + STALLING_US);
    assert_false(has(&stalling, 7, NOW_US + 1 + STALLING_US));
}

static void test_what_was_only_slow_is_forgiven(void **state)
{
    (void)state;
    struct stalling stalling = {0};
    struct network network = network_at(7);
    stalling_forgive(&stalling, &network); // of one that is not there nothing comes
    charge(&stalling, 7, STALLING_CHARGES, NOW_US);
    stalling_forgive(&stalling, &network);
    assert_false(has(&stalling, 7, NOW_US));
    charge(&stalling, 7, 1, NOW_US);
    assert_true(has(&stalling, 7, NOW_US));
    for (unsigned i = 0; i < 2 * STALLING_FORGIVEN; i++)
        stalling_forgive(&stalling, &network);
    // That has an end, until it has stalled nothing for a while.
    charge(&stalling, 7, 1, NOW_US);
    charge(&stalling, 7, STALLING_CHARGES - 2, NOW_US + 1);
    assert_true(has(&stalling, 7, NOW_US + 1));
    stalling_forgive(&stalling, &network);
    assert_true(has(&stalling, 7, NOW_US + 1));
    charge(&stalling, 7, STALLING_CHARGES, NOW_US + 1 + STALLING_US);
    stalling_forgive(&stalling, &network);
    assert_false(has(&stalling, 7, NOW_US + 1 + STALLING_US));
}

// An IPv4 address and an IPv6 network of the same octets are two, and no client is one as well.
static void test_networks_are_told_apart(void **state)
{
    (void)state;
    struct stalling stalling = {0};
    struct network other = {7, ADDRESS_IPV6}, nobody = {0};
    charge(&stalling, 7, STALLING_CHARGES, NOW_US);
    assert_false(has(&stalling, 8, NOW_US));
    assert_false(stalling_has(&stalling, &other, NOW_US));
    assert_false(stalling_has(&stalling, &nobody, NOW_US));
    for (unsigned i = 0; i < STALLING_CHARGES; i++)
        stalling_charge(&stalling, &nobody, NOW_US);
    assert_true(stalling_has(&stalling, &nobody, NOW_US));
    assert_true(has(&stalling, 7, NOW_US));
}

static void test_the_oldest_makes_room(void **state)
{
    (void)state;
    struct stalling stalling = {0};
    for (uint64_t i = 0; i <= STALLING_NETWORKS; i++)
        charge(&stalling, 100 + i, STALLING_CHARGES, NOW_US + i);
    uint64_t now_us = NOW_US + STALLING_NETWORKS;
    assert_false(has(&stalling, 100, now_us));
    for (uint64_t i = 1; i <= STALLING_NETWORKS; i++)
        assert_true(has(&stalling, 100 + i, now_us));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_takes_several_charges_and_ends),
        cmocka_unit_test(test_what_was_only_slow_is_forgiven),
        cmocka_unit_test(test_networks_are_told_apart),
        cmocka_unit_test(test_the_oldest_makes_room),
    };
    return cmocka_run_group_tests_name("stalling", tests, NULL, NULL);
}
