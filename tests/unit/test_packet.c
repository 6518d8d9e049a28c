// SPDX-License-Identifier: MIT
#include "io/daemon/packet.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static int pair[2];

static void pair_open(void)
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    packet_patience(pair[0], 20);
}

static void pair_close(void)
{
    close(pair[0]);
    close(pair[1]);
}

static void test_packet_arrives(void **state)
{
    (void)state;
    struct packet packet;
    pair_open();
    assert_int_equal(packet_send(pair[1], PACKET_COUNTED, "octets", 6, &pair[1], 1), 0);
    assert_int_equal(packet_receive(pair[0], &packet), 0);
    assert_int_equal(packet.kind, PACKET_COUNTED);
    assert_int_equal(packet.len, 6);
    assert_memory_equal(packet.bytes, "octets", 6);
    assert_int_equal(packet.fd_count, 1);
    packet_drop(&packet);
    close(pair[1]);
    assert_int_equal(packet_receive(pair[0], &packet), -EPIPE);
    close(pair[0]);
}

static void interrupted(int number)
{
    uint32_t kind = PACKET_GO;
    (void)number;
    ssize_t sent = send(pair[1], &kind, sizeof kind, 0);
    (void)sent;
}

// A process that waits with a limit hears of it when it was stopped and goes on, even where no
// handler is. Here a handler makes the packet that is waited for, so that nothing depends on time.
static void test_wait_that_is_interrupted_goes_on(void **state)
{
    (void)state;
    struct sigaction before, handler = {.sa_handler = interrupted};
    struct packet packet;
    pair_open();
    assert_int_equal(sigaction(SIGALRM, &handler, &before), 0);
    alarm(1);
    assert_int_equal(packet_receive(pair[0], &packet), 0);
    assert_int_equal(packet.kind, PACKET_GO);
    assert_int_equal(sigaction(SIGALRM, &before, NULL), 0);
    pair_close();
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packet_arrives),
        cmocka_unit_test(test_wait_that_is_interrupted_goes_on),
    };
    return cmocka_run_group_tests_name("packet", tests, NULL, NULL);
}
