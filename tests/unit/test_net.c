// SPDX-License-Identifier: MIT
#include "io/net/sockaddr.h"
#include "io/net/udp.h"
#include "io/net/wake.h"

#include "tests/unit/engines.h"
#include "tests/unit/packet.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

// What net.h promises, of each engine and on real sockets.

enum {
    DATAGRAMS = 0, // groups
    OCTETS = 1,
    BUFFERS = 16,
    PLACES = 64,
    WAIT_US = 20000,
    EVENTS = 32,
    TAG = 7, // of what a test is about
    OTHER_TAG = 8,
    CANCEL_TAG = 9,
    WAKE_TAG = 10,
};

static struct net *net_make(void **state)
{
    struct net *net;
    struct net_config config = {
        .engine = engine_of(state),
        .places = PLACES,
        .wake_tag = WAKE_TAG,
        .groups[DATAGRAMS] = {BUFFERS, 448, .addresses = true},
        .groups[OCTETS] = {BUFFERS, 4096, .addresses = false},
    };
    assert_int_equal(net_open(&net, &config), 0);
    assert_int_equal(net_start(net), 0);
    return net;
}

static void net_finish(struct net *net)
{
    net_end(net);
    net_close(net);
}

// A socket that hears at a free port of this address; fills `to` with where that is.
static int hearer(const char *text, struct sockaddr_in6 *to)
{
    struct address address;
    assert_true(address_parse(&address, text, strlen(text), 0));
    int fd = udp_listen(&address);
    assert_true(fd >= 0);
    struct sockaddr_in6 at;
    socklen_t len = sizeof at;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    address.port = ntohs(((struct sockaddr_in *)(void *)&at)->sin_port);
    sockaddr_write(to, &address);
    return fd;
}

static int client_to(const struct sockaddr_in6 *to)
{
    int fd = socket(to->sin6_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    socklen_t len = to->sin6_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof *to;
    assert_int_equal(connect(fd, (const struct sockaddr *)to, len), 0);
    return fd;
}

static void number_send(int fd, uint32_t number)
{
    assert_int_equal(send(fd, &number, sizeof number, 0), sizeof number);
}

static uint32_t number_of(const struct net_event *event)
{
    uint32_t number;
    assert_true(event->lent);
    assert_int_equal(event->result, sizeof number);
    memcpy(&number, event->bytes, sizeof number);
    return number;
}

// The next event but those of cancels; false: none comes.
static bool event_next(struct net *net, struct net_event *event)
{
    for (unsigned i = 0; i < 50; i++) {
        int count = net_wait(net, WAIT_US, event, 1);
        assert_true(count >= 0);
        if (count == 1 && event->tag != CANCEL_TAG)
            return true;
        if (count == 0 && i > 1)
            return false;
    }
    return false;
}

static void event_expect(struct net *net, uint64_t tag, int result)
{
    struct net_event event;
    assert_true(event_next(net, &event));
    assert_int_equal(event.tag, tag);
    assert_int_equal(event.result, result);
    assert_false(event.more || event.lent);
}

static void nothing_expect(struct net *net)
{
    struct net_event event;
    assert_false(event_next(net, &event));
}

// --- datagrams ---------------------------------------------------------------------------------

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

// --- connections -------------------------------------------------------------------------------

static void stream_pair(int fds[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
}

// A TCP listener at a free port, and where it is.
static int acceptor(struct sockaddr_in6 *to)
{
    struct address address = {.ip = {127, 0, 0, 1}, .family = ADDRESS_IPV4};
    struct sockaddr_in at;
    socklen_t len = sizeof at;
    int fd = tcp_listen(&address);
    assert_true(fd >= 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    address.port = ntohs(at.sin_port);
    sockaddr_write(to, &address);
    return fd;
}

static int tcp_client(const struct sockaddr_in6 *to)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)to, sizeof(struct sockaddr_in)), 0);
    return fd;
}

// What is more than the socket takes goes on as the other side reads.
static void test_octets_wait_for_room(void **state)
{
    enum { LEN = 1 << 20 };
    static uint8_t octets[LEN], read_back[LEN];
    struct net *net = net_make(state);
    int fds[2];
    size_t sent = 0, got = 0;
    bool sending = false;
    stream_pair(fds);
    for (unsigned i = 0; i < LEN; i++)
        octets[i] = (uint8_t)(i * 7 + i / 251);
    while (got < LEN) {
        struct net_event event;
        if (!sending && sent < LEN)
            net_connection_send(net, fds[0], octets + sent, LEN - sent, TAG);
        sending |= sent < LEN;
        if (net_wait(net, 1000, &event, 1) == 1) {
            assert_int_equal(event.tag, TAG);
            assert_true(event.result > 0 && (size_t)event.result <= LEN - sent);
            sent += (size_t)event.result;
            sending = false;
        }
        ssize_t len =
            recv(fds[1], read_back + got, LEN - got < 40000 ? LEN - got : 40000, MSG_DONTWAIT);
        got += len > 0 ? (size_t)len : 0;
    }
    assert_memory_equal(octets, read_back, LEN);
    close(fds[0]);
    close(fds[1]);
    net_finish(net);
}

// Also where both have come before anything was asked for.
static void test_the_end_comes_behind_the_octets(void **state)
{
    struct net *net = net_make(state);
    struct net_event event;
    struct sockaddr_in6 to;
    int listener = acceptor(&to);
    for (unsigned late = 0; late < 2; late++) {
        int client = tcp_client(&to);
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        assert_true(fd >= 0);
        if (!late) {
            net_connection_receive(net, fd, OCTETS, TAG);
            nothing_expect(net);
        }
        assert_int_equal(send(client, "octets", 6, 0), 6);
        assert_int_equal(shutdown(client, SHUT_WR), 0);
        if (late)
            net_connection_receive(net, fd, OCTETS, TAG);
        assert_true(event_next(net, &event));
        assert_int_equal(event.result, 6);
        assert_memory_equal(event.bytes, "octets", 6);
        assert_false(event.more);
        net_buffer_return(net, OCTETS, event.buffer);
        nothing_expect(net); // it was not asked for
        for (unsigned i = 0; i < 2; i++) {
            net_connection_receive(net, fd, OCTETS, TAG);
            assert_true(event_next(net, &event));
            assert_int_equal(event.result, 0);
            if (event.lent)
                net_buffer_return(net, OCTETS, event.buffer);
        }
        net_close_fd(net, fd, OTHER_TAG);
        close(client);
    }
    close(listener);
    net_finish(net);
}

static void test_connections_are_accepted_until_descriptors_run_out(void **state)
{
    enum { CLIENTS = 40 };
    struct net *net = net_make(state);
    struct net_event event;
    struct rlimit limit, low;
    struct sockaddr_in6 to;
    int clients[CLIENTS], listener = acceptor(&to);
    unsigned accepted = 0;
    for (unsigned i = 0; i < CLIENTS; i++)
        clients[i] = tcp_client(&to);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    low = limit;
    low.rlim_cur = (rlim_t)clients[CLIENTS - 1] + 10;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    net_accept(net, listener, TAG);
    do {
        assert_true(event_next(net, &event));
        assert_int_equal(event.tag, TAG);
        accepted += event.result >= 0;
    } while (event.result >= 0);
    assert_int_equal(event.result, -EMFILE);
    assert_false(event.more);
    assert_in_range(accepted, 1, 10);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    nothing_expect(net);
    net_accept(net, listener, OTHER_TAG);
    while (event_next(net, &event)) {
        assert_true(event.result >= 0 && event.more);
        accepted++;
        net_close_fd(net, event.result, CANCEL_TAG);
    }
    assert_int_equal(accepted, CLIENTS);
    net_cancel(net, listener, OTHER_TAG, CANCEL_TAG);
    event_expect(net, OTHER_TAG, -ECANCELED);
    for (unsigned i = 0; i < CLIENTS; i++)
        close(clients[i]);
    close(listener);
    net_finish(net);
}

// What accept4() fails with; 0: it is the kernel's. Of epoll alone, as io_uring does not call it.
static int accept_error;

int accept4(int fd, struct sockaddr *from, socklen_t *len, int flags)
{
    if (accept_error == 0)
        return (int)syscall(SYS_accept4, fd, from, len, flags);
    errno = accept_error;
    return -1;
}

// Such as by a security module, or by a filter that says that there is no such call. Or the net
// would be busy with it for ever.
static void test_an_accept_that_is_refused_ends(void **state)
{
    static const int errors[] = {EACCES, ENOSYS, EPERM};
    struct net *net = net_make(state);
    struct sockaddr_in6 to;
    int listener = acceptor(&to), client = tcp_client(&to);
    for (unsigned i = 0; i < sizeof errors / sizeof *errors; i++) {
        accept_error = errors[i];
        net_accept(net, listener, TAG);
        event_expect(net, TAG, -errors[i]);
        nothing_expect(net);
    }
    accept_error = 0;
    close(client);
    close(listener);
    net_finish(net);
}

static void test_connects_end_with_one_event(void **state)
{
    struct net *net = net_make(state);
    struct sockaddr_in6 to;
    struct address address = {.family = ADDRESS_IPV4};
    int listener = acceptor(&to), fd = tcp_socket(&address);
    assert_true(fd >= 0);
    net_connect(net, fd, (const struct sockaddr *)&to, TAG);
    event_expect(net, TAG, 0);
    nothing_expect(net);
    net_close_fd(net, fd, OTHER_TAG);
    close(listener);
    fd = tcp_socket(&address);
    net_connect(net, fd, (const struct sockaddr *)&to, TAG);
    event_expect(net, TAG, -ECONNREFUSED);
    nothing_expect(net);
    close(fd);
    net_finish(net);
}

// --- all sockets -------------------------------------------------------------------------------

// Connections that always have something to say, so that there is an event before each wait:
// datagrams and what is watched are seen all the same.
static void test_what_is_ready_at_once_does_not_starve_the_rest(void **state)
{
    enum { PAIRS = 4, DATAGRAM = PAIRS, WATCHED, ROUNDS = 200 };
    struct net *net = net_make(state);
    struct net_event event;
    struct sockaddr_in6 to;
    int pairs[PAIRS][2], fd = hearer("127.0.0.1", &to), client = client_to(&to);
    int watched = wake_open();
    bool seen[WATCHED + 1] = {false};
    assert_int_equal(net_place(net, 0, fd), 0);
    net_receive_from(net, 0, DATAGRAMS, false, DATAGRAM);
    net_watch(net, watched, WATCHED);
    for (unsigned i = 0; i < PAIRS; i++) {
        stream_pair(pairs[i]);
        number_send(pairs[i][1], 0);
        net_connection_receive(net, pairs[i][0], OCTETS, i);
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        assert_int_equal(net_wait(net, WAIT_US, &event, 1), 1);
        seen[event.tag] = true;
        if (event.lent)
            net_buffer_return(net, event.tag == DATAGRAM ? DATAGRAMS : OCTETS, event.buffer);
        if (event.tag < PAIRS) {
            number_send(pairs[event.tag][1], 0);
            net_connection_receive(net, pairs[event.tag][0], OCTETS, event.tag);
        }
        if (round == 20) {
            assert_false(seen[DATAGRAM] || seen[WATCHED]);
            number_send(client, 0);
            wake_send(watched);
        }
    }
    for (unsigned i = 0; i <= WATCHED; i++)
        assert_true(seen[i]);
    for (unsigned i = 0; i < PAIRS; i++) {
        close(pairs[i][0]);
        close(pairs[i][1]);
    }
    close(watched);
    close(client);
    close(fd);
    net_finish(net);
}

// A number that is used again at once is another socket, even where the first one lives on in
// another process, which a second descriptor stands for.
static void test_a_number_that_is_used_again_is_another_socket(void **state)
{
    struct net *net = net_make(state);
    struct net_event event;
    int first[2], second[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, first), 0);
    net_receive(net, first[0], OCTETS, TAG);
    nothing_expect(net);
    int held = fcntl(first[0], F_DUPFD_CLOEXEC, 100);
    net_cancel(net, first[0], TAG, CANCEL_TAG);
    net_close_fd(net, first[0], CANCEL_TAG);
    event_expect(net, TAG, -ECANCELED);
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, second), 0);
    assert_int_equal(second[0], first[0]);
    net_receive(net, second[0], OCTETS, OTHER_TAG);
    assert_int_equal(send(first[1], "first", 5, 0), 5);
    nothing_expect(net);
    assert_int_equal(send(second[1], "second", 6, 0), 6);
    assert_true(event_next(net, &event));
    assert_int_equal(event.tag, OTHER_TAG);
    assert_memory_equal(event.bytes, "second", 6);
    close(first[1]);
    close(second[0]);
    close(second[1]);
    close(held);
    net_finish(net);
}

static void test_a_closed_descriptor_sends_no_more(void **state)
{
    struct net *net = net_make(state);
    int fds[2];
    uint8_t octet;
    stream_pair(fds);
    net_close_fd(net, fds[0], OTHER_TAG);
    net_connection_send(net, fds[0], "x", 1, TAG);
    event_expect(net, TAG, -EBADF);
    assert_int_equal(recv(fds[1], &octet, 1, MSG_DONTWAIT), 0);
    close(fds[1]);
    net_finish(net);
}

static void test_a_net_wakes_another(void **state)
{
    struct net *net = net_make(state), *other = net_make(state);
    struct net_event event;
    for (unsigned i = 0; i < 3; i++) {
        net_wake(net, other, OTHER_TAG);
        net_wake(net, other, OTHER_TAG);
        nothing_expect(net);
        assert_true(event_next(other, &event));
        assert_int_equal(event.tag, WAKE_TAG);
        while (event_next(other, &event))
            assert_int_equal(event.tag, WAKE_TAG);
    }
    net_finish(net);
    net_finish(other);
}

static void test_a_watched_descriptor_is_reported_once(void **state)
{
    struct net *net = net_make(state);
    struct net_event event;
    int fd = wake_open();
    assert_true(fd >= 0);
    net_watch(net, fd, TAG);
    nothing_expect(net);
    for (unsigned i = 0; i < 3; i++) {
        wake_send(fd);
        assert_true(event_next(net, &event));
        assert_int_equal(event.tag, TAG);
        assert_true(event.result >= 0);
        wake_send(fd);
        nothing_expect(net);
        net_watch(net, fd, TAG); // it still has something to read
        assert_true(event_next(net, &event));
        wake_receive(fd);
        net_watch(net, fd, TAG);
        nothing_expect(net);
    }
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
        WITH_BOTH_ENGINES(test_octets_wait_for_room),
        WITH_BOTH_ENGINES(test_the_end_comes_behind_the_octets),
        WITH_BOTH_ENGINES(test_connections_are_accepted_until_descriptors_run_out),
        {"epoll: test_an_accept_that_is_refused_ends", test_an_accept_that_is_refused_ends, NULL,
         NULL, (void *)(uintptr_t)&net_epoll},
        WITH_BOTH_ENGINES(test_connects_end_with_one_event),
        WITH_BOTH_ENGINES(test_what_is_ready_at_once_does_not_starve_the_rest),
        WITH_BOTH_ENGINES(test_a_number_that_is_used_again_is_another_socket),
        WITH_BOTH_ENGINES(test_a_closed_descriptor_sends_no_more),
        WITH_BOTH_ENGINES(test_a_net_wakes_another),
        WITH_BOTH_ENGINES(test_a_watched_descriptor_is_reported_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
