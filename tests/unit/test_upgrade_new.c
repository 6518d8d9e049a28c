// SPDX-License-Identifier: MIT
#include "io/daemon/upgrade_new.h"

#include "io/daemon/packet.h"
#include "io/xdp/plane_passed.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

// What a successor makes of an XDP plane that it is handed.

enum { SHARD_SIZE = 1 << 20, REGION_SIZE = 2 * SHARD_SIZE };

static unsigned descriptors(void)
{
    unsigned count = 0;
    DIR *directory = opendir("/proc/self/fd");
    assert_non_null(directory);
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

// Hands over a plane of this form, in so many octets and descriptors. `region` is how much of its
// region is received.
static int receive(uint32_t form, size_t len, unsigned fd_count, uint32_t *received, size_t *region)
{
    struct daemon_inheritance in;
    struct packet_head head = {.form = PACKET_FORM, .worker_count = 1};
    struct plane_passed passed = {.form = form, .shard_count = 2, .shard_size = SHARD_SIZE};
    uint8_t octets[PACKET_ROOM] = {0};
    int pair[2], fds[PLANE_FDS + PLANE_LINKS_MAX], region_fd;
    memcpy(octets, &passed, sizeof passed);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    for (unsigned i = 0; i < fd_count; i++)
        fds[i] = pair[0];
    assert_int_equal(packet_send(pair[1], PACKET_HEAD, &head, sizeof head, NULL, 0), 0);
    assert_int_equal(packet_send(pair[1], PACKET_PLANE, octets, len, fds, fd_count), 0);
    assert_int_equal(packet_send(pair[1], PACKET_END, NULL, 0, NULL, 0), 0);
    packet_patience(pair[0], 20);
    int error = upgrade_receive(pair[0], &in);
    *received = in.engine.plane.form;
    *region = plane_passed_region(&in.engine.plane, &region_fd);
    assert_true(*region == 0 || fcntl(region_fd, F_GETFD) >= 0);
    engine_inheritance_free(&in.engine);
    close(pair[0]);
    close(pair[1]);
    return error;
}

// Another version's has other maps: the upgrade goes on without it, but for the answers in its
// region, and none of it stays open.
static void test_plane_of_another_form(void **state)
{
    (void)state;
    static const struct {
        size_t len;
        unsigned fd_count;
        size_t region;
    } rows[] = {{4, 0, 0},
                {16, 1, 0},
                {8, 2, 0},
                {16, 2, REGION_SIZE},
                {sizeof(struct plane_passed) - 4, PLANE_FDS - 1, REGION_SIZE},
                {PACKET_ROOM, PLANE_FDS + PLANE_LINKS_MAX, REGION_SIZE}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        unsigned before = descriptors();
        uint32_t received;
        size_t region;
        assert_int_equal(receive(PLANE_FORM + 1, rows[i].len, rows[i].fd_count, &received, &region),
                         0);
        assert_int_equal(received, PLANE_FORM + 1);
        assert_int_equal(region, rows[i].region);
        assert_int_equal(descriptors(), before);
    }
}

static void test_plane_that_is_none(void **state)
{
    (void)state;
    size_t len = sizeof(struct plane_passed);
    unsigned before = descriptors();
    uint32_t received;
    size_t region;
    assert_int_equal(receive(PLANE_FORM, len, PLANE_FDS, &received, &region), 0);
    assert_int_equal(received, PLANE_FORM);
    assert_int_equal(receive(PLANE_FORM, len, PLANE_FDS - 1, &received, &region), -EBADMSG);
    assert_int_equal(receive(PLANE_FORM, len - 4, PLANE_FDS, &received, &region), -EBADMSG);
    assert_int_equal(receive(0, len, PLANE_FDS, &received, &region), -EBADMSG);
    assert_int_equal(region, 0);
    assert_int_equal(receive(PLANE_FORM + 1, 3, 0, &received, &region), -EBADMSG);
    assert_int_equal(descriptors(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plane_of_another_form),
        cmocka_unit_test(test_plane_that_is_none),
    };
    return cmocka_run_group_tests_name("upgrade_new", tests, NULL, NULL);
}
