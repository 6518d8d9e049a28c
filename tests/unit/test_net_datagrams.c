// SPDX-License-Identifier: MIT
#include "tests/unit/net_bench.h"

#include <errno.h>

// What net.h promises of datagrams, of each engine and on real sockets.

static void test_datagrams_come_in_order_with_their_senders(void **state)
{
    struct net *net = net_make(state);
    struct net_event events[EVENTS];
    struct sockaddr_in6 to;
    struct sockaddr_in own;
    socklen_t len = sizeof own;
    int fd = hearer("127.0.0.1", &to), client = client_to(&to);
    assert_int_equal(getsockname(client, (struct sockaddr *)&own, &len), 0);
    assert_int_equal(net_place(net, 1, fd), 0);
    net_receive_from(net, 1, DATAGRAMS, false, TAG);
    uint32_t next = 0;
    for (uint32_t sent = 0; next < 200;) {
        for (unsigned i = 0; i < BUFFERS && sent < 200; i++)
            number_send(client, sent++);
        int count = net_wait(net, WAIT_US, events, EVENTS);
        for (int i = 0; i < count; i++) {
            if (!events[i].lent) { // the buffers ran out
                net_receive_from(net, 1, DATAGRAMS, false, TAG);
                continue;
            }
            const struct sockaddr_in *from =
                (const struct sockaddr_in *)(const void *)events[i].from;
            assert_int_equal(events[i].tag, TAG);
            assert_int_equal(number_of(&events[i]), next++);
            assert_int_equal(from->sin_port, own.sin_port);
            assert_int_equal(from->sin_addr.s_addr, own.sin_addr.s_addr);
            assert_false(events[i].cut);
            assert_null(events[i].local);
            net_buffer_return(net, DATAGRAMS, events[i].buffer);
        }
    }
    close(client);
    close(fd);
    net_finish(net);
}

static void local_of(void **state, const char *wildcard, const char *asked)
{
    struct net *net = net_make(state);
    struct net_event event;
    struct sockaddr_in6 to, from = {0};
    struct address address;
    uint8_t local[16] = {0}, octets[8];
    assert_true(address_parse(&address, asked, strlen(asked), 0));
    int fd = hearer(wildcard, &to);
    address.port = ntohs(((struct sockaddr_in *)(void *)&to)->sin_port);
    sockaddr_write(&to, &address);
    int client = client_to(&to);
    assert_int_equal(net_place(net, 0, fd), 0);
    net_receive_from(net, 0, DATAGRAMS, true, TAG);
    number_send(client, 1);
    assert_true(event_next(net, &event));
    assert_int_equal(number_of(&event), 1);
    assert_non_null(event.local);
    memcpy(local, event.local, address.family == ADDRESS_IPV4 ? 4 : 16);
    assert_memory_equal(local, address.ip, 16);
    net_send_from(net, 0, "reply", 5, event.from, local, OTHER_TAG);
    memset(local, 0xff, sizeof local);
    nothing_expect(net);
    net_buffer_return(net, DATAGRAMS, event.buffer);
    // A socket that is connected hears it from nowhere else.
    socklen_t len = sizeof from;
    assert_int_equal(recvfrom(client, octets, sizeof octets, 0, (struct sockaddr *)&from, &len), 5);
    close(client);
    close(fd);
    net_finish(net);
}

static void test_replies_leave_from_the_address_that_was_asked(void **state)
{
    local_of(state, "0.0.0.0", "127.0.0.7");
    local_of(state, "::", "::1");
}

static void test_datagrams_that_are_too_long_are_cut(void **state)
{
    static uint8_t octets[1000];
    struct net *net = net_make(state);
    struct net_event event;
    struct sockaddr_in6 to;
    int fd = hearer("127.0.0.1", &to), client = client_to(&to);
    assert_int_equal(net_place(net, 0, fd), 0);
    net_receive_from(net, 0, DATAGRAMS, false, TAG);
    assert_int_equal(send(client, octets, sizeof octets, 0), sizeof octets);
    number_send(client, 5);
    assert_true(event_next(net, &event));
    assert_true(event.cut && event.from);
    assert_in_range(event.result, 448 - NET_DATAGRAM_HEAD, 448);
    assert_true(event_next(net, &event));
    assert_false(event.cut);
    assert_int_equal(number_of(&event), 5);
    assert_int_equal(send(client, octets, 0, 0), 0);
    assert_true(event_next(net, &event));
    assert_true(event.lent && event.from);
    assert_int_equal(event.result, 0);
    close(client);
    close(fd);
    net_finish(net);
}

static void test_what_finds_no_buffer_comes_later(void **state)
{
    enum { SENT = 3 * BUFFERS };
    struct net *net = net_make(state);
    struct net_event event;
    struct sockaddr_in6 to;
    uint16_t lent[BUFFERS];
    unsigned got = 0;
    int fd = hearer("127.0.0.1", &to), client = client_to(&to);
    assert_int_equal(net_place(net, 0, fd), 0);
    net_receive_from(net, 0, DATAGRAMS, false, TAG);
    for (uint32_t i = 0; i < SENT; i++)
        number_send(client, i);
    while (got < SENT) {
        unsigned count = 0;
        bool armed = true;
        while (event_next(net, &event)) {
            armed = event.more;
            if (event.lent) {
                assert_in_range(count, 0, BUFFERS - 1);
                assert_int_equal(number_of(&event), got++);
                lent[count++] = event.buffer;
            } else {
                assert_int_equal(event.result, -ENOBUFS);
            }
        }
        assert_int_equal(count, BUFFERS);
        for (unsigned i = 0; i < count; i++)
            net_buffer_return(net, DATAGRAMS, lent[i]);
        if (!armed)
            net_receive_from(net, 0, DATAGRAMS, false, TAG);
    }
    close(client);
    close(fd);
    net_finish(net);
}

// One that cannot be sent makes an event; those before and behind it leave.
static void test_only_what_fails_makes_an_event(void **state)
{
    enum { SENT = 100, BAD = 41 };
    static uint8_t octets[70000];
    struct net *net = net_make(state);
    struct sockaddr_in6 to, at;
    uint8_t number;
    int fd = hearer("127.0.0.1", &to), sender = hearer("127.0.0.1", &at);
    assert_int_equal(net_place(net, 2, sender), 0);
    for (unsigned i = 0; i < SENT; i++) {
        octets[i] = (uint8_t)i;
        net_send_to(net, 2, octets + i, i % BAD == 0 ? 69000 : 1, (const struct sockaddr *)&to,
                    1000 + i);
    }
    event_expect(net, 1000, -EMSGSIZE);
    event_expect(net, 1000 + BAD, -EMSGSIZE);
    event_expect(net, 1000 + 2 * BAD, -EMSGSIZE);
    nothing_expect(net);
    for (unsigned i = 0; i < SENT; i++) {
        if (i % BAD == 0)
            continue;
        assert_int_equal(recv(fd, &number, 1, MSG_DONTWAIT), 1);
        assert_int_equal(number, i);
    }
    close(fd);
    close(sender);
    net_finish(net);
}

// Connected sockets and a place, by turns and in runs, and the place with the number of a socket:
// each datagram leaves from its own socket in its own order, and what fails is told by its own tag.
static void test_sends_of_several_sockets_do_not_mix(void **state)
{
    enum { SENT = 480, BAD = 37, SOCKETS = 3, LONG = 69000 };
    static uint8_t octets[SENT][LONG];
    struct net *net = net_make(state);
    struct sockaddr_in6 to[SOCKETS], at;
    int fds[SOCKETS], from[SOCKETS], place;
    unsigned whose[SENT];
    for (unsigned i = 0; i < SOCKETS; i++) {
        fds[i] = hearer("127.0.0.1", &to[i]);
        from[i] = i == 0 ? hearer("127.0.0.1", &at) : client_to(&to[i]);
    }
    place = from[1];
    assert_in_range(place, 0, PLACES - 1);
    assert_int_equal(net_place(net, (unsigned)place, from[0]), 0);
    for (unsigned i = 0; i < SENT; i++) {
        size_t len = i % BAD == 0 ? sizeof octets[i] : 2;
        whose[i] = i < SENT / 2 ? i % SOCKETS : i / 50 % SOCKETS;
        octets[i][0] = (uint8_t)(i >> 8);
        octets[i][1] = (uint8_t)i;
        if (whose[i] == 0)
            net_send_to(net, (unsigned)place, octets[i], len, (const struct sockaddr *)&to[0],
                        1000 + i);
        else
            net_send(net, from[whose[i]], octets[i], len, 1000 + i);
    }
    for (unsigned i = 0; i < SENT; i += BAD)
        event_expect(net, 1000 + i, -EMSGSIZE);
    nothing_expect(net);
    for (unsigned i = 0; i < SENT; i++) {
        uint8_t number[2];
        if (i % BAD == 0)
            continue;
        assert_int_equal(recv(fds[whose[i]], number, 2, MSG_DONTWAIT), 2);
        assert_int_equal(number[0] << 8 | number[1], i);
    }
    for (unsigned i = 0; i < SOCKETS; i++) {
        close(fds[i]);
        close(from[i]);
    }
    net_finish(net);
}

static void test_more_than_the_queue_holds_leaves(void **state)
{
    enum { SENT = 3 * NET_QUEUE_MAX };
    static uint32_t numbers[SENT];
    struct net *net = net_make(state);
    struct sockaddr_in6 to, at;
    uint32_t number;
    int fd = hearer("127.0.0.1", &to), sender = hearer("127.0.0.1", &at);
    assert_int_equal(net_place(net, 2, sender), 0);
    for (uint32_t i = 0; i < SENT; i++) {
        numbers[i] = i;
        net_send_to(net, 2, &numbers[i], sizeof numbers[i], (const struct sockaddr *)&to, TAG);
    }
    nothing_expect(net);
    for (uint32_t i = 0; i < SENT; i++) {
        assert_int_equal(recv(fd, &number, sizeof number, MSG_DONTWAIT), sizeof number);
        assert_int_equal(number, i);
    }
    close(fd);
    close(sender);
    net_finish(net);
}

static void test_a_full_socket_loses_datagrams_and_says_so(void **state)
{
    enum { SENT = 400 };
    struct net *net = net_make(state);
    struct net_event event;
    int fds[2];
    unsigned failed = 0, arrived = 0;
    uint8_t octet;
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds), 0);
    for (unsigned i = 0; i < SENT; i++)
        net_send(net, fds[0], "x", 1, TAG);
    while (event_next(net, &event)) {
        assert_int_equal(event.tag, TAG);
        assert_true(event.result == -EAGAIN || event.result == -ENOBUFS);
        failed++;
    }
    while (recv(fds[1], &octet, 1, MSG_DONTWAIT) == 1)
        arrived++;
    assert_true(failed > 0 && arrived > 0);
    assert_int_equal(failed + arrived, SENT);
    close(fds[0]);
    close(fds[1]);
    net_finish(net);
}

static void test_icmp_errors_are_reported(void **state)
{
    struct net *net = net_make(state);
    struct net_event event;
    struct sockaddr_in6 to;
    int fd = hearer("127.0.0.1", &to);
    close(fd); // nothing listens there
    int client = client_to(&to);
    net_receive(net, client, OCTETS, TAG);
    for (unsigned i = 0; i < 3; i++) {
        net_send(net, client, "x", 1, OTHER_TAG);
        bool armed = true;
        while (armed && event_next(net, &event)) {
            assert_int_equal(event.result, -ECONNREFUSED);
            armed = event.tag != TAG;
        }
        assert_false(armed);
        net_receive(net, client, OCTETS, TAG);
    }
    nothing_expect(net);
    close(client);
    net_finish(net);
}

// A socket that never runs dry does not keep others from being heard.
static void test_a_busy_socket_does_not_starve_others(void **state)
{
    struct net *net = net_make(state);
    struct net_event events[EVENTS];
    struct sockaddr_in6 to[2];
    int fds[2], clients[2];
    bool heard = false;
    for (unsigned i = 0; i < 2; i++) {
        fds[i] = hearer("127.0.0.1", &to[i]);
        clients[i] = client_to(&to[i]);
        assert_int_equal(net_place(net, i, fds[i]), 0);
        net_receive_from(net, i, DATAGRAMS, false, i);
    }
    for (unsigned i = 0; i < 300; i++)
        number_send(clients[0], i);
    number_send(clients[1], 1);
    for (unsigned round = 0; round < 60 && !heard; round++) {
        int count = net_wait(net, WAIT_US, events, EVENTS);
        assert_true(count >= 0);
        for (int i = 0; i < count; i++) {
            heard |= events[i].tag == 1 && events[i].lent;
            if (events[i].lent)
                net_buffer_return(net, DATAGRAMS, events[i].buffer);
            if (!events[i].more)
                net_receive_from(net, (unsigned)events[i].tag, DATAGRAMS, false, events[i].tag);
            number_send(clients[0], 0);
        }
    }
    assert_true(heard);
    for (unsigned i = 0; i < 2; i++) {
        close(fds[i]);
        close(clients[i]);
    }
    net_finish(net);
}

static void test_a_receive_that_is_cancelled_ends_and_can_be_made_again(void **state)
{
    struct net *net = net_make(state);
    struct net_event event;
    struct sockaddr_in6 to;
    int fd = hearer("127.0.0.1", &to), client = client_to(&to);
    assert_int_equal(net_place(net, 0, fd), 0);
    net_receive_from(net, 0, DATAGRAMS, false, TAG);
    nothing_expect(net);
    net_cancel_from(net, 0, TAG, CANCEL_TAG);
    event_expect(net, TAG, -ECANCELED);
    number_send(client, 3);
    nothing_expect(net);
    net_receive_from(net, 0, DATAGRAMS, false, OTHER_TAG);
    assert_true(event_next(net, &event));
    assert_int_equal(event.tag, OTHER_TAG);
    assert_int_equal(number_of(&event), 3);
    close(client);
    close(fd);
    net_finish(net);
}

// A place may name a socket at which another one receives, and be emptied meanwhile.
static void test_two_places_may_name_one_socket(void **state)
{
    struct net *net = net_make(state);
    struct net_event event;
    struct sockaddr_in6 to;
    int fd = hearer("127.0.0.1", &to), client = client_to(&to);
    assert_int_equal(net_place(net, 0, fd), 0);
    assert_int_equal(net_place(net, 1, fd), 0);
    net_receive_from(net, 0, DATAGRAMS, false, TAG);
    nothing_expect(net);
    net_send_to(net, 1, "x", 1, (const struct sockaddr *)&to, OTHER_TAG);
    assert_int_equal(net_place(net, 1, -1), 0);
    assert_true(event_next(net, &event));
    assert_int_equal(event.result, 1);
    number_send(client, 4);
    assert_true(event_next(net, &event));
    assert_int_equal(number_of(&event), 4);
    close(client);
    close(fd);
    net_finish(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BOTH_ENGINES(test_datagrams_come_in_order_with_their_senders),
        WITH_BOTH_ENGINES(test_replies_leave_from_the_address_that_was_asked),
        WITH_BOTH_ENGINES(test_datagrams_that_are_too_long_are_cut),
        WITH_BOTH_ENGINES(test_what_finds_no_buffer_comes_later),
        WITH_BOTH_ENGINES(test_only_what_fails_makes_an_event),
        WITH_BOTH_ENGINES(test_sends_of_several_sockets_do_not_mix),
        WITH_BOTH_ENGINES(test_more_than_the_queue_holds_leaves),
        WITH_BOTH_ENGINES(test_a_full_socket_loses_datagrams_and_says_so),
        WITH_BOTH_ENGINES(test_icmp_errors_are_reported),
        WITH_BOTH_ENGINES(test_a_busy_socket_does_not_starve_others),
        WITH_BOTH_ENGINES(test_a_receive_that_is_cancelled_ends_and_can_be_made_again),
        WITH_BOTH_ENGINES(test_two_places_may_name_one_socket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
