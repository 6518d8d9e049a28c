// SPDX-License-Identifier: MIT
#include "io/engine/overflow.h"

#include "tests/unit/packet.h"

struct taker {
    uint16_t full; // worker for which there is no room
    unsigned count;
    uint32_t taken[64]; // connections
};

static bool take(void *context, enum queued_kind kind, const struct client *client,
                 const uint8_t *bytes, size_t len)
{
    struct taker *taker = context;
    if (client->worker == taker->full)
        return false;
    assert_int_equal(kind, QUEUED_ANSWER);
    assert_int_equal(len, 3);
    assert_memory_equal(bytes, "abc", 3);
    taker->taken[taker->count++] = client->connection;
    return true;
}

static struct client client_of(uint8_t network, uint16_t worker, uint32_t connection)
{
    return (struct client){.from = {.ip = {10, network}, .family = ADDRESS_IPV4},
                           .transport = TRANSPORT_TCP,
                           .worker = worker,
                           .connection = connection};
}

static void test_things_wait_in_their_order_for_each_worker(void **state)
{
    (void)state;
    struct overflow o;
    assert_int_equal(overflow_open(&o), 0);
    for (uint32_t i = 0; i < 8; i++) {
        struct client client = client_of(1, i % 2, i);
        assert_true(overflow_add(&o, QUEUED_ANSWER, &client, (const uint8_t *)"abc", 3));
    }
    struct taker taker = {.full = 1};
    overflow_flush(&o, take, &taker);
    assert_int_equal(taker.count, 4);
    assert_int_equal(o.count, 4);
    taker.full = 9;
    overflow_flush(&o, take, &taker);
    static const uint32_t order[] = {0, 2, 4, 6, 1, 3, 5, 7};
    assert_int_equal(taker.count, COUNT_OF(order));
    assert_memory_equal(taker.taken, order, sizeof order);
    assert_int_equal(o.count, 0);
    assert_int_equal(o.octets, 0);
    overflow_flush(&o, take, &taker);
    struct client client = client_of(1, 0, 8);
    assert_true(overflow_add(&o, QUEUED_ANSWER, &client, (const uint8_t *)"abc", 3));
    overflow_close(&o);
}

static void test_a_network_has_a_share_of_the_octets(void **state)
{
    (void)state;
    static uint8_t answer[65000];
    struct overflow o;
    assert_int_equal(overflow_open(&o), 0);
    struct client hog = client_of(1, 0, 0), other = client_of(2, 0, 0);
    unsigned count = 0;
    while (overflow_add(&o, QUEUED_ANSWER, &hog, answer, sizeof answer))
        count++;
    assert_int_equal(count, OVERFLOW_OCTETS_MOST / sizeof answer);
    assert_true(overflow_add(&o, QUEUED_ANSWER, &other, answer, sizeof answer));
    while (overflow_add(&o, QUEUED_NO_REPLY, &hog, answer, 1))
        count++;
    assert_in_range(o.count, count, OVERFLOW_COUNT_MAX);
    overflow_close(&o);
}

// What has hardly any octets counts as well, as the news that there is no answer.
static void test_a_network_has_a_share_of_the_things(void **state)
{
    (void)state;
    struct overflow o;
    assert_int_equal(overflow_open(&o), 0);
    struct client hog = client_of(1, 0, 0), other = client_of(2, 0, 0);
    unsigned count = 0;
    while (overflow_add(&o, QUEUED_NO_REPLY, &hog, (const uint8_t *)"", 1))
        count++;
    assert_in_range(count, OVERFLOW_COUNT_MAX / SHARE_PART, OVERFLOW_COUNT_MAX / 2);
    for (unsigned i = 0; i < OVERFLOW_COUNT_MAX / SHARE_PART; i++)
        assert_true(overflow_add(&o, QUEUED_NO_REPLY, &other, (const uint8_t *)"", 1));
    overflow_close(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_things_wait_in_their_order_for_each_worker),
        cmocka_unit_test(test_a_network_has_a_share_of_the_octets),
        cmocka_unit_test(test_a_network_has_a_share_of_the_things),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
