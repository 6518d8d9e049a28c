// SPDX-License-Identifier: MIT
#include "bench/load/datagrams.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

static void prepare(struct datagrams *datagrams, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        datagrams->parts[i] =
            (struct iovec){.iov_base = datagrams->bytes[i], .iov_len = DATAGRAM_SIZE};
        datagrams->messages[i].msg_hdr = (struct msghdr){
            .msg_name = &datagrams->from[i],
            .msg_namelen = sizeof datagrams->from[i],
            .msg_iov = &datagrams->parts[i],
            .msg_iovlen = 1,
        };
    }
}

int datagrams_receive(int fd, struct datagrams *datagrams, unsigned max)
{
    int count;
    prepare(datagrams, max);
    do {
        count = recvmmsg(fd, datagrams->messages, max, MSG_WAITFORONE, NULL);
    } while (count < 0 && errno == EINTR);
    for (int i = 0; i < count; i++)
        datagrams->parts[i].iov_len = datagrams->messages[i].msg_len;
    return count < 0 ? -errno : count;
}

void datagrams_send(int fd, struct datagrams *datagrams, unsigned count)
{
    unsigned sent = 0;
    while (sent < count) {
        int done = sendmmsg(fd, datagrams->messages + sent, count - sent, 0);
        sent += done > 0 ? (unsigned)done : 1;
    }
}

socklen_t datagrams_address(struct sockaddr_storage *address, const char *text, uint16_t port)
{
    struct sockaddr_in *in = (struct sockaddr_in *)(void *)address;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)address;
    memset(address, 0, sizeof *address);
    if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = htons(port);
        return sizeof *in;
    }
    if (inet_pton(AF_INET6, text, &in6->sin6_addr) == 1) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(port);
        return sizeof *in6;
    }
    return 0;
}
