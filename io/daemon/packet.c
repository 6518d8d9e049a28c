// SPDX-License-Identifier: MIT
#include "io/daemon/packet.h"

#include "cache/layout.h"
#include "core/forward/learned.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

// What else goes over has a version of its own. A program of another one has to be refused at the
// head, before the process that is to be succeeded gives anything up.
_Static_assert(PACKET_FORM == 6 && LEARNED_FORM == 4 && LAYOUT_VERSION == 4,
               "or another PACKET_FORM");

// A call with a limit of time is interrupted where the process is stopped and goes on, even if it
// catches no signal: the other process has done nothing wrong then.

int packet_send(int fd, enum packet_kind kind, const void *bytes, size_t len, const int *fds,
                size_t fd_count)
{
    assert(fd_count <= PACKET_FDS_MAX);
    uint32_t word = kind;
    struct iovec parts[] = {{&word, sizeof word}, {(void *)(uintptr_t)bytes, len}};
    _Alignas(struct cmsghdr) uint8_t option[CMSG_SPACE(PACKET_FDS_MAX * sizeof(int))];
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = len > 0 ? 2 : 1};
    if (fd_count > 0) {
        message.msg_control = option;
        message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        assert(header);
        *header = (struct cmsghdr){CMSG_LEN(fd_count * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(header), fds, fd_count * sizeof(int));
    }
    ssize_t sent;
    do {
        sent = sendmsg(fd, &message, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : 0;
}

int packet_receive(int fd, struct packet *packet)
{
    struct iovec parts[] = {{&packet->kind, sizeof packet->kind}, {packet->bytes, PACKET_ROOM}};
    _Alignas(struct cmsghdr) uint8_t option[CMSG_SPACE(PACKET_FDS_MAX * sizeof(int))];
    struct msghdr message = {
        .msg_iov = parts, .msg_iovlen = 2, .msg_control = option, .msg_controllen = sizeof option};
    packet->fd_count = 0;
    ssize_t got;
    do {
        got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return errno == EAGAIN ? -ETIMEDOUT : -errno;
    const struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
    if (rights && rights->cmsg_type == SCM_RIGHTS) {
        packet->fd_count = (rights->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(packet->fds, CMSG_DATA(rights), packet->fd_count * sizeof(int));
    }
    if (got < (ssize_t)sizeof packet->kind)
        return got == 0 ? -EPIPE : -EBADMSG;
    packet->len = (size_t)got - sizeof packet->kind;
    return 0;
}

void packet_drop(struct packet *packet)
{
    for (size_t i = 0; i < packet->fd_count; i++)
        close(packet->fds[i]);
    packet->fd_count = 0;
}

void packet_patience(int fd, unsigned seconds)
{
    struct timeval time = {.tv_sec = seconds};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
}
