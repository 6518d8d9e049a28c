// SPDX-License-Identifier: MIT
#include "io/engine/steering.h"

#include "io/net/sockaddr.h"
#include "io/net/udp.h"
#include "tests/unit/packet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

// Which of several sockets with one address hears a datagram, by the kernel itself.

enum { SOCKETS = 3, DATAGRAMS = 300 };

struct group {
    struct address address;
    int fds[SOCKETS];
    int sender;
    unsigned heard[SOCKETS];
};

static void group_open(struct group *g)
{
    struct sockaddr_in6 to;
    socklen_t len = sizeof to;
    *g = (struct group){.address = {.ip = {127, 0, 0, 1}, .family = ADDRESS_IPV4}};
    g->fds[0] = udp_listen(&g->address);
    assert_true(g->fds[0] >= 0);
    assert_return_code(getsockname(g->fds[0], (struct sockaddr *)&to, &len), errno);
    assert_true(sockaddr_read(&g->address, (struct sockaddr *)&to));
    for (unsigned i = 1; i < SOCKETS; i++)
        assert_true((g->fds[i] = udp_listen(&g->address)) >= 0);
    g->sender = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_return_code(connect(g->sender, (struct sockaddr *)&to, len), errno);
}

static void group_close(struct group *g)
{
    for (unsigned i = 0; i < SOCKETS; i++)
        close(g->fds[i]);
    close(g->sender);
}

// Sends from one port, each datagram when the one before has come.
static void all_send(struct group *g)
{
    struct pollfd polls[SOCKETS];
    char octet;
    memset(g->heard, 0, sizeof g->heard);
    for (unsigned i = 0; i < SOCKETS; i++)
        polls[i] = (struct pollfd){.fd = g->fds[i], .events = POLLIN};
    for (unsigned sent = 0; sent < DATAGRAMS; sent++) {
        assert_int_equal(send(g->sender, "x", 1, 0), 1);
        assert_int_equal(poll(polls, SOCKETS, 5000), 1);
        for (unsigned i = 0; i < SOCKETS; i++) {
            if (polls[i].revents & POLLIN)
                g->heard[i] += recv(g->fds[i], &octet, 1, MSG_DONTWAIT) == 1;
        }
    }
}

static unsigned most_heard(const struct group *g)
{
    unsigned most = 0;
    for (unsigned i = 0; i < SOCKETS; i++)
        most = g->heard[i] > most ? g->heard[i] : most;
    return most;
}

static void test_same_one(void **state)
{
    struct group g;
    struct steering steering;
    (void)state;
    group_open(&g);
    assert_int_equal(steering_init(&steering, STEERING_FLOW, SOCKETS), 0);
    assert_int_equal(steering_attach(&steering, g.fds[0]), 0);
    all_send(&g);
    assert_int_equal(most_heard(&g), DATAGRAMS);
    group_close(&g);
}

static void test_any_one(void **state)
{
    struct group g;
    struct steering steering;
    (void)state;
    group_open(&g);
    assert_int_equal(steering_init(&steering, STEERING_RANDOM, SOCKETS), 0);
    assert_int_equal(steering_attach(&steering, g.fds[0]), 0);
    all_send(&g);
    // The chance that one of three gets fewer than 40 of 300 is below 1e-13.
    for (unsigned i = 0; i < SOCKETS; i++)
        assert_in_range(g.heard[i], 40, DATAGRAMS);
    // Back to the kernel's own choice, as after an upgrade with other settings.
    assert_int_equal(steering_init(&steering, STEERING_FLOW, SOCKETS), 0);
    assert_int_equal(steering_attach(&steering, g.fds[0]), 0);
    all_send(&g);
    assert_int_equal(most_heard(&g), DATAGRAMS);
    group_close(&g);
}

// On loopback a datagram comes in at the processor that it was sent from.
static void test_processors_own(void **state)
{
    struct group g;
    struct steering steering;
    cpu_set_t before, one;
    (void)state;
    assert_return_code(sched_getaffinity(0, sizeof before, &before), errno);
    assert_int_equal(steering_init(&steering, STEERING_FLOW, 1), 0);
    unsigned workers = steering.cpu_count < SOCKETS ? steering.cpu_count : SOCKETS;
    assert_int_equal(steering_init(&steering, STEERING_CPU, workers), 0);
    group_open(&g);
    assert_int_equal(steering_attach(&steering, g.fds[0]), 0);
    for (unsigned i = 0; i < steering.cpu_count && i < 16; i++) {
        CPU_ZERO(&one);
        CPU_SET(steering.cpus[i], &one);
        assert_return_code(sched_setaffinity(0, sizeof one, &one), errno);
        all_send(&g);
        assert_int_equal(g.heard[i % workers], DATAGRAMS);
    }
    assert_return_code(sched_setaffinity(0, sizeof before, &before), errno);
    group_close(&g);
}

static void test_stays_on_its_processor(void **state)
{
    struct steering steering;
    cpu_set_t before, now;
    (void)state;
    assert_return_code(sched_getaffinity(0, sizeof before, &before), errno);
    assert_int_equal(steering_init(&steering, STEERING_RANDOM, 1), 0);
    steering_pin(&steering, 0);
    assert_return_code(sched_getaffinity(0, sizeof now, &now), errno);
    assert_true(CPU_EQUAL(&before, &now));
    unsigned workers = steering.cpu_count;
    assert_int_equal(steering_init(&steering, STEERING_CPU, workers), 0);
    steering_pin(&steering, workers - 1);
    assert_return_code(sched_getaffinity(0, sizeof now, &now), errno);
    assert_int_equal(CPU_COUNT(&now), 1);
    assert_true(CPU_ISSET(steering.cpus[workers - 1], &now));
    assert_return_code(sched_setaffinity(0, sizeof before, &before), errno);
}

static void test_too_many_workers(void **state)
{
    struct steering steering;
    (void)state;
    assert_int_equal(steering_init(&steering, STEERING_CPU, CPU_SETSIZE + 1), -ERANGE);
    assert_int_equal(steering_init(&steering, STEERING_RANDOM, CPU_SETSIZE + 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_one),         cmocka_unit_test(test_any_one),
        cmocka_unit_test(test_processors_own),   cmocka_unit_test(test_stays_on_its_processor),
        cmocka_unit_test(test_too_many_workers),
    };
    return cmocka_run_group_tests_name("steering", tests, NULL, NULL);
}
