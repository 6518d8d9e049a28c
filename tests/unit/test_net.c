// SPDX-License-Identifier: MIT
#include "io/net/wake.h"

#include "tests/unit/net_bench.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

// What net.h promises of connections and of all sockets, of each engine and on real sockets.

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
