// SPDX-License-Identifier: MIT
#include "core/forward/learned.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define NOW_US 1000000000u

static const struct address address = {.family = ADDRESS_IPV4, .ip = {192, 0, 2, 1}, .port = 53};

// An upstream of which much is known.
static struct upstream known(void)
{
    static const uint8_t seed[32] = {1};
    struct rng rng;
    struct upstream u;
    rng_seed(&rng, seed);
    upstream_init(&u, &rng, 5);
    for (unsigned i = 0; i < 100; i++) {
        upstream_sent(&u, TRANSPORT_UDP, NOW_US - 100000);
        upstream_replied(&u, 1, NOW_US - 100000, NOW_US - 100000 + 900 + i % 7, TRANSPORT_UDP,
                         true);
    }
    upstream_sent(&u, TRANSPORT_UDP, NOW_US);
    upstream_lost(&u, true);
    upstream_tcp_failed(&u, NOW_US);
    for (uint32_t kind = 1; kind <= KINDS_SEVERAL; kind++)
        support_edns_failed(&u.support, kind, NOW_US);
    support_forget_kinds(&u.support);
    support_case_kept(&u.support, NOW_US);
    u.cookie_server_len = 16;
    memset(u.cookie_server, 0x5a, 16);
    u.cookie_us = NOW_US - 1;
    return u;
}

static struct upstream unknown(void)
{
    return (struct upstream){.silent_since_us = NOW_US};
}

static void test_all_comes_over(void **state)
{
    (void)state;
    struct upstream from = known(), to = unknown();
    struct learned learned;
    learned_export(&learned, &from, &address);
    assert_true(address_equal(&learned.address, &address));
    assert_true(learned_import(&learned, &to, NOW_US));
    assert_int_equal(to.in_flight, 0);
    assert_int_equal(from.in_flight, 0);
    // Nothing else was set in it, so all else is equal.
    to.probe_us = from.probe_us;
    to.probes = from.probes;
    assert_memory_equal(&to, &from, sizeof to);
    assert_int_equal(upstream_early_us(&to), upstream_early_us(&from));
    assert_int_equal(upstream_cookie_len(&to, NOW_US), 16);
    assert_false(support_edns(&to.support, NOW_US));
}

static void test_dead_one_stays_dead(void **state)
{
    (void)state;
    struct upstream from = known(), to = unknown();
    struct learned learned;
    from.health = UPSTREAM_DEAD;
    learned_export(&learned, &from, &address);
    assert_true(learned_import(&learned, &to, NOW_US));
    assert_int_equal(to.health, UPSTREAM_DEAD);
}

static void spoil_form(struct learned *l)
{
    l->form++;
}

static void spoil_health(struct learned *l)
{
    l->health = 3;
}

static void spoil_loss(struct learned *l)
{
    l->loss_pm = 1001;
}

static void spoil_counts(struct learned *l)
{
    l->latency.counts[3]++;
}

static void spoil_cookie(struct learned *l)
{
    l->cookie_server_len = 33;
}

static void spoil_short_cookie(struct learned *l)
{
    l->cookie_server_len = 7;
}

static void spoil_time(struct learned *l)
{
    l->reply_us = NOW_US + 1;
}

static void spoil_cookie_time(struct learned *l)
{
    l->cookie_us = UINT64_MAX;
}

static void test_what_cannot_be_is_not_taken(void **state)
{
    (void)state;
    static void (*const spoils[])(struct learned *) = {
        spoil_form,   spoil_health,       spoil_loss, spoil_counts,
        spoil_cookie, spoil_short_cookie, spoil_time, spoil_cookie_time,
    };
    for (size_t i = 0; i < sizeof spoils / sizeof *spoils; i++) {
        struct upstream from = known(), to = unknown(), before = to;
        struct learned learned;
        learned_export(&learned, &from, &address);
        spoils[i](&learned);
        assert_false(learned_import(&learned, &to, NOW_US));
        assert_memory_equal(&to, &before, sizeof to);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_comes_over),
        cmocka_unit_test(test_dead_one_stays_dead),
        cmocka_unit_test(test_what_cannot_be_is_not_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
