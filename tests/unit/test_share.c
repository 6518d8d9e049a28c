// SPDX-License-Identifier: MIT
#include "core/share.h"

#include "tests/unit/packet.h"

struct bench {
    struct share_table table;
    void *memory;
};

// The memory is of the exact size, so that a sanitizer sees what reaches out of it.
static struct bench begin(uint32_t count)
{
    struct bench bench = {.memory = malloc(share_size(count))};
    assert_non_null(bench.memory);
    memset(bench.memory, 0xa5, share_size(count));
    share_init(&bench.table, bench.memory, count, (uint64_t[2]){3, 5});
    return bench;
}

static void end(struct bench *bench)
{
    free(bench->memory);
}

static struct address address_of(const char *text)
{
    struct address address;
    assert_true(address_parse(&address, text, strlen(text), 53));
    return address;
}

// A household has one IPv4 address or a /56.
static void test_share_is_that_of_a_household(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool same;
    } rows[] = {
        {"192.0.2.1:1000", "192.0.2.1:2000", true},
        {"192.0.2.1", "192.0.2.2", false},
        {"10.0.0.1", "11.0.0.1", false},
        {"[2001:db8:0:1ff::1]:53", "[2001:db8:0:100:ffff::9]:99", true},
        {"2001:db8:0:100::1", "2001:db8:0:200::1", false},
        {"2001:db8::1", "3001:db8::1", false},
        {"192.0.2.1", "c000:201::", false}, // the same octets in front
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct bench b = begin(2);
        struct address first = address_of(rows[i].a), second = address_of(rows[i].b);
        assert_int_equal(share_held(&b.table, &first), 0);
        uint32_t share = share_reserve(&b.table, &first);
        assert_int_equal(share_held(&b.table, &first), 1);
        assert_int_equal(share_held(&b.table, &second), rows[i].same);
        assert_int_equal(share_reserve(&b.table, &second) == share, rows[i].same);
        end(&b);
    }
}

// Whatever the order in which networks come and go, each holds what it has taken and not given.
static void test_shares_are_counted_as_in_a_plain_list(void **state)
{
    (void)state;
    enum { NETWORKS = 40, THINGS = 64, ROUNDS = 40000 };
    struct bench b = begin(THINGS);
    uint32_t held[NETWORKS] = {0}, shares[NETWORKS], things = 0;
    uint64_t seed = 7;
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned which = (unsigned)(test_random(&seed) % NETWORKS);
        struct address address = {.ip = {(uint8_t)which, 1}, .family = ADDRESS_IPV4};
        if (things < THINGS && test_random(&seed) % 2) {
            uint32_t share = share_reserve(&b.table, &address);
            assert_true(held[which] == 0 || share == shares[which]);
            assert_true(held[which] > 0 || b.table.shares[share].octets == 0);
            shares[which] = share;
            b.table.shares[share].octets++;
            held[which]++;
            things++;
        } else if (held[which] > 0) {
            share_release(&b.table, shares[which]);
            held[which]--;
            things--;
        }
        assert_int_equal(share_held(&b.table, &address), held[which]);
        assert_int_equal(share_find(&b.table, &address) == SHARE_NONE, held[which] == 0);
    }
    end(&b);
}

// As many networks as there is room for, none of them sharing a count.
static void test_a_full_table_knows_each_network(void **state)
{
    (void)state;
    enum { THINGS = 4096 };
    struct bench b = begin(THINGS);
    for (unsigned i = 0; i < THINGS; i++) {
        struct address address = {.ip = {10, 1, (uint8_t)(i >> 8), (uint8_t)i},
                                  .family = i % 2 ? ADDRESS_IPV6 : ADDRESS_IPV4};
        assert_int_equal(share_held(&b.table, &address), 0);
        (void)share_reserve(&b.table, &address);
        assert_int_equal(share_held(&b.table, &address), 1);
    }
    assert_int_equal(b.table.free, SHARE_NONE);
    end(&b);
}

// What counts apart keeps the share of a network that holds nothing else any more.
static void test_a_share_stays_for_what_counts_apart(void **state)
{
    (void)state;
    struct bench b = begin(8);
    struct address address = {.ip = {10, 1, 2, 3}, .family = ADDRESS_IPV4};
    uint32_t share = share_reserve(&b.table, &address);
    share_reserve_apart(&b.table, share);
    share_reserve_apart(&b.table, share);
    assert_int_equal(share_held(&b.table, &address), 1);
    share_release(&b.table, share);
    assert_int_equal(share_find(&b.table, &address), share);
    assert_int_equal(share_held(&b.table, &address), 0);
    assert_int_equal(b.table.shares[share].apart, 2);
    share_release_apart(&b.table, share);
    assert_int_equal(share_reserve(&b.table, &address), share);
    share_release_apart(&b.table, share);
    assert_int_equal(share_find(&b.table, &address), share);
    share_release(&b.table, share);
    assert_int_equal(share_find(&b.table, &address), SHARE_NONE);
    end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_share_is_that_of_a_household),
        cmocka_unit_test(test_shares_are_counted_as_in_a_plain_list),
        cmocka_unit_test(test_a_full_table_knows_each_network),
        cmocka_unit_test(test_a_share_stays_for_what_counts_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
