// SPDX-License-Identifier: MIT
// The other floor: a UDP server that does nothing but send each datagram back, by io_uring exactly
// as ouzel uses it: its own ring (io/net/uring.h), its own kind of sockets, one to hear and one
// to send from, buffers of its size, one send for each reply, submitted with the wait for what
// comes next. It sets QR, as echo_mmsg does.
//
//   echo_ring ADDRESS:PORT
//
// Runs until a signal ends it.
#include "core/address.h"
#include "io/net/udp.h"
#include "io/net/uring.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
    ENTRIES = 512,
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

static void send_back(struct ring *ring, const struct ring_event *event, struct sending *sending)
{
    struct datagram datagram;
    uint16_t index = ring_buffer_take(ring, 0, event);
    uint8_t *buffer = ring_buffer(ring, 0, index);
    sending->buffers[sending->count++] = index;
    if (!ring_datagram(ring, event, 0, false, &datagram) || datagram.len < 3)
        return;
    buffer[datagram.bytes - buffer + 2] |= 0x80; // QR
    ring_send_to(ring, SENDS, datagram.bytes, datagram.len, datagram.from, TAG_SENT);
}

static void round_do(struct ring *ring, const struct ring_event *events, int count,
                     struct sending *sending)
{
    bool armed = true;
    for (unsigned i = 0; i < sending->count; i++)
        ring_buffer_return(ring, 0, sending->buffers[i]);
    sending->count = 0;
    for (int i = 0; i < count; i++) {
        if (events[i].tag != TAG_DATAGRAM)
            continue;
        armed &= ring_event_more(&events[i]);
        if (ring_event_has_buffer(&events[i]))
            send_back(ring, &events[i], sending);
    }
    if (!armed)
        ring_receive_from(ring, HEARS, 0, false, TAG_DATAGRAM);
}

static int serve(int fd, int send_fd)
{
    static struct ring_event events[EVENTS];
    static struct sending sending;
    struct ring *ring;
    int error = ring_open(&ring, ENTRIES, 2);
    if (error < 0)
        return error;
    error = ring_buffers(ring, 0, BUFFERS, BUFFER_SIZE);
    if (error == 0)
        error = ring_file(ring, HEARS, fd);
    if (error == 0)
        error = ring_file(ring, SENDS, send_fd);
    if (error == 0)
        error = ring_start(ring);
    if (error == 0)
        ring_receive_from(ring, HEARS, 0, false, TAG_DATAGRAM);
    while (error == 0) {
        int count = ring_wait(ring, UINT64_MAX, events, EVENTS);
        if (count < 0)
            error = count;
        else
            round_do(ring, events, count, &sending);
    }
    ring_close(ring);
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
