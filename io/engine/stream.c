// SPDX-License-Identifier: MIT
#include "io/engine/stream.h"

#include "core/wire/bytes.h"
#include "core/wire/frame.h"
#include "io/engine/udp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// At most one send is under way on a connection. The kernel reads its octets until the event of
// that send, so `flight` is not touched before; what comes meanwhile gathers in `queue`, and the
// two change places when `flight` has gone. A connection that is closed with a send under way
// leaves its `flight` to the slot, which frees it with that send's event: until then the slot is
// not `idle` and takes no new connection.

enum { FIRST_SIZE = 512, RECEIVE_SLACK = 8192 }; // the latter: of one receive, and more

struct octets {
    uint8_t *bytes;
    size_t size;
    size_t len;
    size_t done; // of them: sent, or fetched
};

struct stream_socket {
    int fd; // -1: none
    uint32_t generation;
    bool connected;
    bool sending;
    struct sockaddr_in6 to; // the kernel may read it late
    struct octets flight;
    struct octets queue;
    struct octets in;
};

struct streams {
    struct streams_config config;
    struct stream_socket sockets[];
};

static void octets_free(struct octets *octets)
{
    free(octets->bytes);
    *octets = (struct octets){0};
}

static size_t octets_left(const struct octets *octets)
{
    return octets->len - octets->done;
}

// Makes room for `len` more octets, `max` in all.
static bool octets_room(struct octets *octets, size_t len, size_t max)
{
    if (octets->done > 0) {
        memmove(octets->bytes, octets->bytes + octets->done, octets_left(octets));
        octets->len -= octets->done;
        octets->done = 0;
    }
    if (octets->len + len > max)
        return false;
    size_t size = octets->size ? octets->size : FIRST_SIZE;
    while (size - octets->len < len)
        size *= 2;
    uint8_t *bytes = size > octets->size ? realloc(octets->bytes, size) : octets->bytes;
    if (!bytes)
        return false;
    octets->bytes = bytes;
    octets->size = size;
    return true;
}

static bool octets_add(struct octets *octets, const void *bytes, size_t len, size_t max)
{
    if (!octets_room(octets, len, max))
        return false;
    memcpy(octets->bytes + octets->len, bytes, len);
    octets->len += len;
    return true;
}

int streams_make(struct streams **out, const struct streams_config *config)
{
    struct streams *streams = calloc(1, sizeof *streams + config->count * sizeof *streams->sockets);
    if (!streams)
        return -ENOMEM;
    streams->config = *config;
    for (unsigned i = 0; i < config->count; i++)
        streams->sockets[i].fd = -1;
    *out = streams;
    return 0;
}

void streams_free(struct streams *streams)
{
    if (!streams)
        return;
    for (unsigned i = 0; i < streams->config.count; i++) {
        struct stream_socket *socket = &streams->sockets[i];
        if (socket->fd >= 0)
            close(socket->fd);
        octets_free(&socket->flight);
        octets_free(&socket->queue);
        octets_free(&socket->in);
    }
    free(streams);
}

static uint64_t tag_of(const struct streams *streams, uint32_t slot, enum op_kind kind)
{
    return op_pack(kind, slot, streams->sockets[slot].generation);
}

static void begin(struct stream_socket *socket, int fd)
{
    socket->fd = fd;
    socket->generation++;
    socket->connected = false;
}

static void receive_on(struct streams *streams, uint32_t slot)
{
    ring_receive(streams->config.ring, streams->sockets[slot].fd, streams->config.group,
                 tag_of(streams, slot, streams->config.receive));
}

int streams_connect(struct streams *streams, uint32_t slot, const struct address *address)
{
    struct stream_socket *socket = &streams->sockets[slot];
    // The send of the connection before has not come to its end yet.
    if (socket->sending)
        return -EBUSY;
    int fd = tcp_socket(address);
    if (fd < 0)
        return fd;
    socklen_t len = udp_address_give(&socket->to, address);
    begin(socket, fd);
    ring_connect(streams->config.ring, fd, (const struct sockaddr *)&socket->to, len,
                 tag_of(streams, slot, streams->config.connect));
    return 0;
}

void streams_adopt(struct streams *streams, uint32_t slot, int fd)
{
    begin(&streams->sockets[slot], fd);
    streams->sockets[slot].connected = true;
    receive_on(streams, slot);
}

uint32_t streams_generation(const struct streams *streams, uint32_t slot)
{
    return streams->sockets[slot].generation;
}

static void send_on(struct streams *streams, uint32_t slot)
{
    struct stream_socket *socket = &streams->sockets[slot];
    if (!socket->connected || socket->sending)
        return;
    if (octets_left(&socket->flight) == 0) {
        struct octets empty = socket->flight;
        socket->flight = socket->queue;
        socket->queue = empty;
        socket->queue.len = socket->queue.done = 0;
    }
    if (octets_left(&socket->flight) == 0) {
        octets_free(&socket->flight);
        octets_free(&socket->queue);
        return;
    }
    socket->sending = true;
    ring_stream_send(streams->config.ring, socket->fd, socket->flight.bytes + socket->flight.done,
                     octets_left(&socket->flight), tag_of(streams, slot, streams->config.send));
}

bool streams_send(struct streams *streams, uint32_t slot, const void *bytes, size_t len)
{
    struct stream_socket *socket = &streams->sockets[slot];
    if (socket->fd < 0 || !octets_add(&socket->queue, bytes, len, streams->config.unsent_max))
        return false;
    send_on(streams, slot);
    return true;
}

bool streams_send_message(struct streams *streams, uint32_t slot, const void *bytes, size_t len)
{
    struct stream_socket *socket = &streams->sockets[slot];
    uint8_t head[FRAME_HEAD_LEN];
    store_be16(head, (uint16_t)len);
    if (socket->fd < 0 ||
        !octets_add(&socket->queue, head, sizeof head, streams->config.unsent_max) ||
        !octets_add(&socket->queue, bytes, len, streams->config.unsent_max))
        return false;
    send_on(streams, slot);
    return true;
}

size_t streams_unsent(const struct streams *streams, uint32_t slot)
{
    const struct stream_socket *socket = &streams->sockets[slot];
    return octets_left(&socket->flight) + octets_left(&socket->queue);
}

size_t streams_partial(const struct streams *streams, uint32_t slot)
{
    return octets_left(&streams->sockets[slot].in);
}

void streams_disconnect(struct streams *streams, uint32_t slot)
{
    struct stream_socket *socket = &streams->sockets[slot];
    if (socket->fd < 0)
        return;
    // Requests under way hold the socket; shut down, they end at once.
    shutdown(socket->fd, SHUT_RDWR);
    if (!socket->connected)
        ring_cancel(streams->config.ring, tag_of(streams, slot, streams->config.connect),
                    op_pack(OP_CANCEL, 0, 0));
    ring_cancel(streams->config.ring, tag_of(streams, slot, streams->config.receive),
                op_pack(OP_CANCEL, 0, 0));
    close(socket->fd);
    socket->fd = -1;
    octets_free(&socket->queue);
    octets_free(&socket->in);
    if (!socket->sending)
        octets_free(&socket->flight);
}

static enum stream_state received(struct streams *streams, uint32_t slot,
                                  const struct ring_event *event)
{
    struct stream_socket *socket = &streams->sockets[slot];
    if (event->result == 0)
        return STREAM_ENDS;
    if (event->result < 0 && event->result != -ENOBUFS)
        return STREAM_BROKEN;
    if (event->result > 0 &&
        !octets_add(
            &socket->in,
            ring_buffer(streams->config.ring, streams->config.group, ring_event_buffer(event)),
            (size_t)event->result, FRAME_HEAD_LEN + streams->config.message_max + FRAME_LEN_MAX))
        return STREAM_BROKEN;
    if (!ring_event_more(event))
        receive_on(streams, slot);
    return STREAM_GOES_ON;
}

static enum stream_state sent(struct streams *streams, uint32_t slot,
                              const struct ring_event *event, bool current)
{
    struct stream_socket *socket = &streams->sockets[slot];
    socket->sending = false;
    if (!current) {
        octets_free(&socket->flight);
        return STREAM_OLD;
    }
    if (event->result <= 0)
        return STREAM_BROKEN;
    socket->flight.done += (size_t)event->result;
    send_on(streams, slot);
    return STREAM_GOES_ON;
}

enum stream_state streams_event(struct streams *streams, const struct ring_event *event)
{
    uint32_t slot = op_slot(event->tag);
    struct stream_socket *socket = &streams->sockets[slot];
    enum op_kind kind = op_kind(event->tag);
    bool current = socket->fd >= 0 && (socket->generation & 0xffffff) == op_generation(event->tag);
    enum stream_state state = STREAM_OLD;
    if (kind == streams->config.send) {
        state = sent(streams, slot, event, current);
    } else if (current && kind == streams->config.receive) {
        state = received(streams, slot, event);
    } else if (current) {
        socket->connected = event->result == 0;
        state = socket->connected ? STREAM_GOES_ON : STREAM_BROKEN;
        if (socket->connected) {
            receive_on(streams, slot);
            send_on(streams, slot);
        }
    }
    if (ring_event_has_buffer(event))
        ring_buffer_return(streams->config.ring, streams->config.group, ring_event_buffer(event));
    return state;
}

bool streams_message(struct streams *streams, uint32_t slot, const uint8_t **message, size_t *len)
{
    struct octets *in = &streams->sockets[slot].in;
    if (octets_left(in) == 0) {
        octets_free(in);
        return false;
    }
    size_t taken = frame_next(in->bytes + in->done, octets_left(in), message, len);
    in->done += taken;
    return taken > 0;
}
