// SPDX-License-Identifier: MIT
#include "io/engine/listener.h"
#include "io/net/net.h"

#include "tests/unit/packet.h"

#include <errno.h>

// When a listener receives again after its receive has ended. The engine does nothing: what counts
// is what stands in its queue.

static int nothing_done(struct net *net)
{
    (void)net;
    return 0;
}

static int nothing_placed(struct net *net, unsigned place, int fd)
{
    (void)net, (void)place, (void)fd;
    return 0;
}

static const struct net_engine idle = {
    .name = "idle", .submit = nothing_done, .place = nothing_placed};

enum { NOW_US = 5000000, A_MOMENT_US = 1000, SLOT = 1 };

static void net_prepare(struct net *net)
{
    memset(net, 0, sizeof *net);
    net->engine = &idle;
    net->places = LISTENER_PLACES;
    net->groups[0].addresses = true;
}

static unsigned receives(const struct net *net)
{
    unsigned count = 0;
    for (unsigned i = 0; i < net->queued; i++)
        count += net->queue[i].kind == NET_RECEIVE_FROM && net->queue[i].socket == SLOT;
    return count;
}

// Listens, with descriptors that the engine never looks at.
static void listen_on(struct listeners *listeners, struct net *net)
{
    static const int fds[LISTENER_SOCKETS] = {
        [SOCKET_HEARS] = 1000, [SOCKET_ACCEPTS] = 1001, [SOCKET_SENDS] = 1002};
    struct address address = {.ip = {127, 0, 0, 1}, .port = 53, .family = ADDRESS_IPV4};
    net_prepare(net);
    listeners_init(listeners, net, 0);
    assert_int_equal(listeners_put(listeners, SLOT, &address, fds), 0);
    listeners_hear(listeners, SLOT);
    assert_int_equal(receives(net), 1);
}

// At once where the buffers ran out and after a cancel, later after what may fail for good.
static void test_receives_again(void **state)
{
    static const struct {
        int result;
        bool at_once;
    } cases[] = {{-ENOBUFS, true}, {-ECANCELED, true}, {0, true},
                 {-EIO, false},    {-EBADF, false},    {-ENOMEM, false}};
    static struct net net;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct listeners listeners;
        listen_on(&listeners, &net);
        listeners_receive_ended(&listeners, SLOT, cases[i].result, NOW_US);
        assert_int_equal(receives(&net), 1 + cases[i].at_once);
        uint64_t due_us = listeners_expire(&listeners, NOW_US);
        assert_int_equal(due_us, cases[i].at_once ? UINT64_MAX : NOW_US + A_MOMENT_US);
        (void)listeners_expire(&listeners, NOW_US + A_MOMENT_US);
        assert_int_equal(receives(&net), 2);
    }
}

// What is ignored meanwhile does not come back by itself.
static void test_ignored_while_it_rests(void **state)
{
    static struct net net;
    struct listeners listeners;
    (void)state;
    listen_on(&listeners, &net);
    listeners_receive_ended(&listeners, SLOT, -EIO, NOW_US);
    listeners_ignore(&listeners, SLOT);
    (void)listeners_expire(&listeners, NOW_US + A_MOMENT_US);
    assert_int_equal(receives(&net), 1);
    listeners_hear(&listeners, SLOT);
    assert_int_equal(receives(&net), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_receives_again),
        cmocka_unit_test(test_ignored_while_it_rests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
