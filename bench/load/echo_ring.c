// SPDX-License-Identifier: MIT
// The other floor: a UDP server that does nothing but send each datagram back, by io_uring exactly
// as ouzel uses it: its own engine (io/net/uring.c), its own kind of sockets, one to hear and one
// to send from, buffers of its size, one send for each reply, submitted with the wait for what
// comes next. It sets QR, as echo_mmsg does.
//
//   echo_ring ADDRESS:PORT
//
// Runs until a signal ends it.
#include "core/address.h"
#include "io/net/net.h"
#include "io/net/udp.h"
#include "io/net/uring.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
    EVENTS = 256,
    BUFFERS = 1024,
    BUFFER_SIZE = 640,
    HEARS = 0, // places of the two sockets
    SENDS = 1,
    TAG_DATAGRAM = 1,
    TAG_SENT = 2,
};

// The buffers of the datagrams that were sent back last: sends read them when they are submitted,
// with the next wait.
struct sending {
    uint16_t buffers[EVENTS];
    unsigned count;
};

static void send_back(struct net *net, const struct net_event *event, struct sending *sending)
{
    sending->buffers[sending->count++] = event->buffer;
    if (!event->from || event->result < 3)
        return;
    event->bytes[2] |= 0x80; // QR
    net_send_to(net, SENDS, event->bytes, (size_t)event->result, event->from, TAG_SENT);
}

static void round_do(struct net *net, const struct net_event *events, int count,
                     struct sending *sending)
{
    bool armed = true;
    for (unsigned i = 0; i < sending->count; i++)
        net_buffer_return(net, 0, sending->buffers[i]);
    sending->count = 0;
    for (int i = 0; i < count; i++) {
        if (events[i].tag != TAG_DATAGRAM)
            continue;
        armed &= events[i].more;
        if (events[i].lent)
            send_back(net, &events[i], sending);
    }
    if (!armed)
        net_receive_from(net, HEARS, 0, false, TAG_DATAGRAM);
}

static int serve(int fd, int send_fd)
{
    static struct net_event events[EVENTS];
    static struct sending sending;
    struct net *net;
    int error = net_open(&net, &(struct net_config){.engine = &net_uring,
                                                    .places = 2,
                                                    .groups[0] = {BUFFERS, BUFFER_SIZE, true}});
    if (error < 0)
        return error;
    error = net_place(net, HEARS, fd);
    if (error == 0)
        error = net_place(net, SENDS, send_fd);
    if (error == 0)
        error = net_start(net);
    if (error == 0)
        net_receive_from(net, HEARS, 0, false, TAG_DATAGRAM);
    while (error == 0) {
        int count = net_wait(net, UINT64_MAX, events, EVENTS);
        if (count < 0)
            error = count;
        else
            round_do(net, events, count, &sending);
    }
    net_close(net);
    return error;
}

int main(int argc, char **argv)
{
    struct address address;
    if (argc != 2 || !address_parse(&address, argv[1], strlen(argv[1]), 53)) {
        fprintf(stderr, "usage: %s ADDRESS:PORT\n", argv[0]);
        return 2;
    }
    int send_fd = udp_sender(&address); // before the one that hears
    int fd = send_fd < 0 ? send_fd : udp_listen(&address);
    int error = fd < 0 ? fd : serve(fd, send_fd);
    fprintf(stderr, "echo_ring: %s\n", strerror(-error));
    return 1;
}
