// SPDX-License-Identifier: MIT
#include "io/transport/stream.h"

#include "core/wire/bytes.h"
#include "core/wire/frame.h"
#include "io/net/udp.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// At most one send and one receive are under way on a connection. The kernel reads a send's octets
// until its event, so `flight` is not touched before; what comes meanwhile gathers in `queue`, and
// the two change places when `flight` has gone.
//
// `requests` counts what is queued or with the kernel. A slot that is closed with some of them
// under way keeps its memory until their events have come: it is CLOSING, and no event of another
// use can come meanwhile. A slot is free when nothing is under way and no message of it is lent.

enum { FIRST_SIZE = 512 };

enum slot_state {
    SLOT_FREE,
    SLOT_CONNECTING,
    SLOT_OPEN,
    SLOT_CLOSING,
    SLOT_REOPENING, // the same, and `next_fd` is to be connected when it is over
};

struct octets {
    uint8_t *bytes;
    size_t size;
    size_t len;
    size_t done; // of them: sent, or fetched
};

struct stream_socket {
    int fd;              // where it is connecting or open
    int next_fd;         // where it is reopening
    uint32_t generation; // of the use that the owner speaks of
    uint32_t under_way;  // of the one that requests belong to: while it is closing, an earlier one
    uint8_t state;       // enum slot_state
    uint8_t requests;    // whose event has not come
    bool sending;
    bool receiving;
    bool ended;             // the other side sends nothing more
    bool lent;              // the caller reads a message in `in`
    struct address address; // to connect to
    struct sockaddr_in6 to; // the same as the kernel reads it, until the connect's event
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
    assert(octets->done <= octets->len && octets->len <= octets->size);
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
    *out = streams;
    return 0;
}

void streams_free(struct streams *streams)
{
    if (!streams)
        return;
    for (unsigned i = 0; i < streams->config.count; i++) {
        struct stream_socket *socket = &streams->sockets[i];
        if (socket->state == SLOT_CONNECTING || socket->state == SLOT_OPEN)
            close(socket->fd);
        if (socket->state == SLOT_REOPENING)
            close(socket->next_fd);
        octets_free(&socket->flight);
        octets_free(&socket->queue);
        octets_free(&socket->in);
    }
    free(streams);
}

// The connection of a slot. What is under way on it is counted.
static struct stream_socket *socket_of(struct streams *streams, uint32_t slot)
{
    assert(slot < streams->config.count);
    struct stream_socket *socket = &streams->sockets[slot];
    assert(socket->requests >= socket->sending + socket->receiving);
    return socket;
}

static uint64_t tag_of(const struct streams *streams, uint32_t slot, enum op_kind kind)
{
    return op_pack(kind, slot, streams->sockets[slot].under_way);
}

static void connect_begin(struct streams *streams, uint32_t slot, int fd)
{
    struct stream_socket *socket = socket_of(streams, slot);
    assert(socket->requests == 0 && !socket->lent);
    socket->fd = fd;
    socket->under_way = socket->generation;
    socket->state = SLOT_CONNECTING;
    socket->ended = false;
    socket->requests++;
    socklen_t len = udp_address_give(&socket->to, &socket->address);
    ring_connect(streams->config.ring, fd, (const struct sockaddr *)&socket->to, len,
                 tag_of(streams, slot, streams->config.connect));
}

// Where a closed slot's last event has come and nobody reads its last message, its use is over.
static void slot_settle(struct streams *streams, uint32_t slot)
{
    struct stream_socket *socket = socket_of(streams, slot);
    bool closed = socket->state == SLOT_CLOSING || socket->state == SLOT_REOPENING;
    if (!closed || socket->requests > 0 || socket->lent)
        return;
    assert(!socket->sending && !socket->receiving);
    octets_free(&socket->flight);
    octets_free(&socket->in);
    if (socket->state == SLOT_REOPENING) {
        connect_begin(streams, slot, socket->next_fd);
        return;
    }
    octets_free(&socket->queue);
    socket->state = SLOT_FREE;
    if (streams->config.freed)
        streams->config.freed(streams->config.context, slot);
}

int streams_connect(struct streams *streams, uint32_t slot, const struct address *address)
{
    struct stream_socket *socket = socket_of(streams, slot);
    assert(socket->state == SLOT_FREE || socket->state == SLOT_CLOSING);
    int fd = tcp_socket(address);
    if (fd < 0)
        return fd;
    socket->address = *address;
    socket->generation++;
    if (socket->state == SLOT_FREE) {
        connect_begin(streams, slot, fd);
        return 0;
    }
    socket->next_fd = fd;
    socket->state = SLOT_REOPENING;
    return 0;
}

void streams_adopt(struct streams *streams, uint32_t slot, int fd)
{
    struct stream_socket *socket = socket_of(streams, slot);
    assert(socket->state == SLOT_FREE && socket->requests == 0 && !socket->lent);
    socket->under_way = ++socket->generation;
    socket->fd = fd;
    socket->state = SLOT_OPEN;
    socket->ended = false;
    streams_receive(streams, slot);
}

uint32_t streams_generation(const struct streams *streams, uint32_t slot)
{
    return streams->sockets[slot].generation;
}

bool streams_is_open(const struct streams *streams, uint32_t slot, uint32_t generation)
{
    const struct stream_socket *socket = &streams->sockets[slot];
    return socket->generation == generation && socket->state != SLOT_FREE &&
           socket->state != SLOT_CLOSING;
}

void streams_receive(struct streams *streams, uint32_t slot)
{
    struct stream_socket *socket = socket_of(streams, slot);
    if (socket->state != SLOT_OPEN || socket->receiving || socket->ended)
        return;
    socket->receiving = true;
    socket->requests++;
    ring_stream_receive(streams->config.ring, socket->fd, streams->config.group,
                        tag_of(streams, slot, streams->config.receive));
}

static void send_on(struct streams *streams, uint32_t slot)
{
    struct stream_socket *socket = socket_of(streams, slot);
    if (socket->state != SLOT_OPEN || socket->sending)
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
    socket->requests++;
    ring_stream_send(streams->config.ring, socket->fd, socket->flight.bytes + socket->flight.done,
                     octets_left(&socket->flight), tag_of(streams, slot, streams->config.send));
}

// May something be sent there, now or once it is connected?
static bool is_writable(const struct stream_socket *socket)
{
    return socket->state == SLOT_CONNECTING || socket->state == SLOT_OPEN ||
           socket->state == SLOT_REOPENING;
}

bool streams_send(struct streams *streams, uint32_t slot, const void *bytes, size_t len)
{
    struct stream_socket *socket = socket_of(streams, slot);
    if (!is_writable(socket) || !octets_add(&socket->queue, bytes, len, streams->config.unsent_max))
        return false;
    send_on(streams, slot);
    return true;
}

bool streams_send_message(struct streams *streams, uint32_t slot, const void *bytes, size_t len)
{
    struct stream_socket *socket = socket_of(streams, slot);
    uint8_t head[FRAME_HEAD_LEN];
    assert(len <= UINT16_MAX);
    store_be16(head, (uint16_t)len);
    if (!is_writable(socket) ||
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

size_t streams_gathered(const struct streams *streams, uint32_t slot)
{
    return octets_left(&streams->sockets[slot].in);
}

// Ends what is under way, and closes the descriptor behind it. Shut down, a send ends as well.
static void socket_close(struct streams *streams, uint32_t slot)
{
    struct stream_socket *socket = socket_of(streams, slot);
    struct ring *ring = streams->config.ring;
    uint64_t tag = op_pack(OP_CANCEL, slot, 0);
    assert(socket->fd >= 0 && (socket->state == SLOT_CONNECTING || socket->state == SLOT_OPEN));
    shutdown(socket->fd, SHUT_RDWR);
    if (socket->state == SLOT_CONNECTING)
        ring_cancel(ring, tag_of(streams, slot, streams->config.connect), tag);
    if (socket->receiving)
        ring_cancel(ring, tag_of(streams, slot, streams->config.receive), tag);
    if (socket->sending)
        ring_cancel(ring, tag_of(streams, slot, streams->config.send), tag);
    ring_close_fd(ring, socket->fd, op_pack(OP_CLOSE, slot, 0));
}

void streams_disconnect(struct streams *streams, uint32_t slot)
{
    struct stream_socket *socket = socket_of(streams, slot);
    if (!is_writable(socket))
        return;
    if (socket->state == SLOT_REOPENING)
        close(socket->next_fd); // no request names it
    else
        socket_close(streams, slot);
    octets_free(&socket->queue);
    socket->state = SLOT_CLOSING;
    slot_settle(streams, slot);
}

static enum stream_state received(struct streams *streams, uint32_t slot,
                                  const struct ring_event *event)
{
    struct stream_socket *socket = socket_of(streams, slot);
    socket->ended |= event->result == 0;
    if (event->result == 0)
        return STREAM_ENDS;
    if (event->result < 0)
        return event->result == -ENOBUFS ? STREAM_NO_BUFFER : STREAM_BROKEN;
    assert(!socket->lent); // or the message would move
    size_t len = (size_t)event->result;
    size_t most = FRAME_HEAD_LEN + streams->config.message_max + FRAME_LEN_MAX;
    uint16_t buffer = ring_event_buffer(event);
    if (!octets_add(&socket->in, ring_buffer(streams->config.ring, streams->config.group, buffer),
                    len, most))
        return STREAM_BROKEN;
    return STREAM_GOES_ON;
}

static enum stream_state sent(struct streams *streams, uint32_t slot,
                              const struct ring_event *event)
{
    struct stream_socket *socket = socket_of(streams, slot);
    if (event->result <= 0)
        return STREAM_BROKEN;
    assert((size_t)event->result <= octets_left(&socket->flight));
    socket->flight.done += (size_t)event->result;
    send_on(streams, slot);
    return STREAM_GOES_ON;
}

static enum stream_state connected(struct streams *streams, uint32_t slot,
                                   const struct ring_event *event)
{
    if (event->result != 0)
        return STREAM_BROKEN;
    streams->sockets[slot].state = SLOT_OPEN;
    streams_receive(streams, slot);
    send_on(streams, slot);
    return STREAM_GOES_ON;
}

static enum stream_state event_take(struct streams *streams, uint32_t slot,
                                    const struct ring_event *event)
{
    struct stream_socket *socket = socket_of(streams, slot);
    enum op_kind kind = op_kind(event->tag);
    assert(kind == streams->config.connect || kind == streams->config.receive ||
           kind == streams->config.send);
    assert(op_generation(event->tag) == op_generation(tag_of(streams, slot, kind)));
    assert(socket->requests > 0 && socket->state != SLOT_FREE);
    socket->requests--;
    if (kind == streams->config.send)
        socket->sending = false;
    if (kind == streams->config.receive)
        socket->receiving = false;
    if (socket->state == SLOT_CLOSING || socket->state == SLOT_REOPENING) {
        slot_settle(streams, slot);
        return STREAM_OLD;
    }
    if (kind == streams->config.send)
        return sent(streams, slot, event);
    if (kind == streams->config.receive)
        return received(streams, slot, event);
    return connected(streams, slot, event);
}

enum stream_state streams_event(struct streams *streams, const struct ring_event *event)
{
    uint32_t slot = op_slot(event->tag);
    assert(slot < streams->config.count);
    bool has_buffer = ring_event_has_buffer(event);
    uint16_t buffer = 0;
    if (has_buffer)
        buffer = ring_buffer_take(streams->config.ring, streams->config.group, event);
    enum stream_state state = event_take(streams, slot, event);
    if (has_buffer)
        ring_buffer_return(streams->config.ring, streams->config.group, buffer);
    return state;
}

void streams_message_done(struct streams *streams, uint32_t slot)
{
    streams->sockets[slot].lent = false;
    slot_settle(streams, slot);
}

bool streams_message(struct streams *streams, uint32_t slot, const uint8_t **message, size_t *len)
{
    struct stream_socket *socket = socket_of(streams, slot);
    struct octets *in = &socket->in;
    streams_message_done(streams, slot);
    if (socket->state != SLOT_OPEN)
        return false;
    if (octets_left(in) == 0) {
        octets_free(in);
        return false;
    }
    size_t taken = frame_next(in->bytes + in->done, octets_left(in), message, len);
    assert(taken <= octets_left(in));
    in->done += taken;
    socket->lent = taken > 0;
    return taken > 0;
}
