// SPDX-License-Identifier: MIT
#include "io/transport/connections.h"

#include "core/wire/bytes.h"
#include "core/wire/frame.h"
#include "io/net/descriptor.h"
#include "io/net/sockaddr.h"
#include "io/net/udp.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

struct tcp_socket {
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

struct connections {
    struct connections_config config;
    struct tcp_socket sockets[];
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

int connections_make(struct connections **out, const struct connections_config *config)
{
    struct connections *connections =
        calloc(1, sizeof *connections + config->count * sizeof *connections->sockets);
    if (!connections)
        return -ENOMEM;
    connections->config = *config;
    *out = connections;
    return 0;
}

void connections_free(struct connections *connections)
{
    if (!connections)
        return;
    for (unsigned i = 0; i < connections->config.count; i++) {
        struct tcp_socket *socket = &connections->sockets[i];
        if (socket->state == SLOT_CONNECTING || socket->state == SLOT_OPEN)
            descriptor_close(socket->fd);
        if (socket->state == SLOT_REOPENING)
            descriptor_close(socket->next_fd);
        octets_free(&socket->flight);
        octets_free(&socket->queue);
        octets_free(&socket->in);
    }
    free(connections);
}

// The connection of a slot. What is under way on it is counted.
static struct tcp_socket *socket_of(struct connections *connections, uint32_t slot)
{
    assert(slot < connections->config.count);
    struct tcp_socket *socket = &connections->sockets[slot];
    assert(socket->requests >= socket->sending + socket->receiving);
    return socket;
}

static uint64_t tag_of(const struct connections *connections, uint32_t slot, enum op_kind kind)
{
    return op_pack(kind, slot, connections->sockets[slot].under_way);
}

static void connect_begin(struct connections *connections, uint32_t slot, int fd)
{
    struct tcp_socket *socket = socket_of(connections, slot);
    assert(socket->requests == 0 && !socket->lent);
    socket->fd = fd;
    socket->under_way = socket->generation;
    socket->state = SLOT_CONNECTING;
    socket->ended = false;
    socket->requests++;
    sockaddr_write(&socket->to, &socket->address);
    net_connect(connections->config.net, fd, (const struct sockaddr *)&socket->to,
                tag_of(connections, slot, connections->config.connect));
}

// Frees a closed slot once its last event has come and its last message is no longer in use.
static void slot_settle(struct connections *connections, uint32_t slot)
{
    struct tcp_socket *socket = socket_of(connections, slot);
    bool closed = socket->state == SLOT_CLOSING || socket->state == SLOT_REOPENING;
    if (!closed || socket->requests > 0 || socket->lent)
        return;
    assert(!socket->sending && !socket->receiving);
    octets_free(&socket->flight);
    octets_free(&socket->in);
    if (socket->state == SLOT_REOPENING) {
        connect_begin(connections, slot, socket->next_fd);
        return;
    }
    octets_free(&socket->queue);
    socket->state = SLOT_FREE;
    if (connections->config.freed)
        connections->config.freed(connections->config.context, slot);
}

int connections_connect(struct connections *connections, uint32_t slot,
                        const struct address *address)
{
    struct tcp_socket *socket = socket_of(connections, slot);
    assert(socket->state == SLOT_FREE || socket->state == SLOT_CLOSING);
    int fd = tcp_socket(address);
    if (fd < 0)
        return fd;
    socket->address = *address;
    socket->generation++;
    if (socket->state == SLOT_FREE) {
        connect_begin(connections, slot, fd);
        return 0;
    }
    socket->next_fd = fd;
    socket->state = SLOT_REOPENING;
    return 0;
}

void connections_adopt(struct connections *connections, uint32_t slot, int fd)
{
    struct tcp_socket *socket = socket_of(connections, slot);
    assert(socket->state == SLOT_FREE && socket->requests == 0 && !socket->lent);
    socket->under_way = ++socket->generation;
    socket->fd = fd;
    socket->state = SLOT_OPEN;
    socket->ended = false;
    connections_receive(connections, slot);
}

uint32_t connections_generation(const struct connections *connections, uint32_t slot)
{
    return connections->sockets[slot].generation;
}

bool connections_is_open(const struct connections *connections, uint32_t slot, uint32_t generation)
{
    const struct tcp_socket *socket = &connections->sockets[slot];
    return socket->generation == generation && socket->state != SLOT_FREE &&
           socket->state != SLOT_CLOSING;
}

void connections_receive(struct connections *connections, uint32_t slot)
{
    struct tcp_socket *socket = socket_of(connections, slot);
    if (socket->state != SLOT_OPEN || socket->receiving || socket->ended)
        return;
    socket->receiving = true;
    socket->requests++;
    net_connection_receive(connections->config.net, socket->fd, connections->config.group,
                           tag_of(connections, slot, connections->config.receive));
}

static void send_on(struct connections *connections, uint32_t slot)
{
    struct tcp_socket *socket = socket_of(connections, slot);
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
    net_connection_send(connections->config.net, socket->fd,
                        socket->flight.bytes + socket->flight.done, octets_left(&socket->flight),
                        tag_of(connections, slot, connections->config.send));
}

// May something be sent there, now or once it is connected?
static bool is_writable(const struct tcp_socket *socket)
{
    return socket->state == SLOT_CONNECTING || socket->state == SLOT_OPEN ||
           socket->state == SLOT_REOPENING;
}

bool connections_send(struct connections *connections, uint32_t slot, const void *bytes, size_t len)
{
    struct tcp_socket *socket = socket_of(connections, slot);
    if (!is_writable(socket) ||
        !octets_add(&socket->queue, bytes, len, connections->config.unsent_max))
        return false;
    send_on(connections, slot);
    return true;
}

bool connections_send_message(struct connections *connections, uint32_t slot, const void *bytes,
                              size_t len)
{
    struct tcp_socket *socket = socket_of(connections, slot);
    uint8_t head[FRAME_HEAD_LEN];
    assert(len <= UINT16_MAX);
    store_be16(head, (uint16_t)len);
    if (!is_writable(socket) ||
        !octets_add(&socket->queue, head, sizeof head, connections->config.unsent_max) ||
        !octets_add(&socket->queue, bytes, len, connections->config.unsent_max))
        return false;
    send_on(connections, slot);
    return true;
}

size_t connections_unsent(const struct connections *connections, uint32_t slot)
{
    const struct tcp_socket *socket = &connections->sockets[slot];
    return octets_left(&socket->flight) + octets_left(&socket->queue);
}

size_t connections_gathered(const struct connections *connections, uint32_t slot)
{
    return octets_left(&connections->sockets[slot].in);
}

// Ends what is under way, and closes the descriptor behind it. Shut down, a send ends as well.
static void socket_close(struct connections *connections, uint32_t slot)
{
    struct tcp_socket *socket = socket_of(connections, slot);
    struct net *net = connections->config.net;
    uint64_t tag = op_pack(OP_CANCEL, slot, 0);
    assert(socket->fd >= 0 && (socket->state == SLOT_CONNECTING || socket->state == SLOT_OPEN));
    tcp_shutdown(socket->fd);
    if (socket->state == SLOT_CONNECTING)
        net_cancel(net, socket->fd, tag_of(connections, slot, connections->config.connect), tag);
    if (socket->receiving)
        net_cancel(net, socket->fd, tag_of(connections, slot, connections->config.receive), tag);
    if (socket->sending)
        net_cancel(net, socket->fd, tag_of(connections, slot, connections->config.send), tag);
    net_close_fd(net, socket->fd, op_pack(OP_CLOSE, slot, 0));
}

void connections_disconnect(struct connections *connections, uint32_t slot)
{
    struct tcp_socket *socket = socket_of(connections, slot);
    if (!is_writable(socket))
        return;
    if (socket->state == SLOT_REOPENING)
        descriptor_close(socket->next_fd); // no request names it
    else
        socket_close(connections, slot);
    octets_free(&socket->queue);
    socket->state = SLOT_CLOSING;
    slot_settle(connections, slot);
}

static enum connection_state received(struct connections *connections, uint32_t slot,
                                      const struct net_event *event)
{
    struct tcp_socket *socket = socket_of(connections, slot);
    socket->ended |= event->result == 0;
    if (event->result == 0)
        return CONNECTION_ENDS;
    if (event->result < 0)
        return event->result == -ENOBUFS ? CONNECTION_NO_BUFFER : CONNECTION_BROKEN;
    assert(!socket->lent); // or the message would move
    size_t len = (size_t)event->result;
    size_t most = FRAME_HEAD_LEN + connections->config.message_max + FRAME_LEN_MAX;
    assert(event->lent);
    if (!octets_add(&socket->in, event->bytes, len, most))
        return CONNECTION_BROKEN;
    return CONNECTION_GOES_ON;
}

static enum connection_state sent(struct connections *connections, uint32_t slot,
                                  const struct net_event *event)
{
    struct tcp_socket *socket = socket_of(connections, slot);
    if (event->result <= 0)
        return CONNECTION_BROKEN;
    assert((size_t)event->result <= octets_left(&socket->flight));
    socket->flight.done += (size_t)event->result;
    send_on(connections, slot);
    return CONNECTION_GOES_ON;
}

static enum connection_state connected(struct connections *connections, uint32_t slot,
                                       const struct net_event *event)
{
    if (event->result != 0)
        return CONNECTION_BROKEN;
    connections->sockets[slot].state = SLOT_OPEN;
    connections_receive(connections, slot);
    send_on(connections, slot);
    return CONNECTION_GOES_ON;
}

static enum connection_state event_apply(struct connections *connections, uint32_t slot,
                                         const struct net_event *event)
{
    struct tcp_socket *socket = socket_of(connections, slot);
    enum op_kind kind = op_kind(event->tag);
    assert(kind == connections->config.connect || kind == connections->config.receive ||
           kind == connections->config.send);
    assert(op_generation(event->tag) == op_generation(tag_of(connections, slot, kind)));
    assert(socket->requests > 0 && socket->state != SLOT_FREE);
    socket->requests--;
    if (kind == connections->config.send)
        socket->sending = false;
    if (kind == connections->config.receive)
        socket->receiving = false;
    if (socket->state == SLOT_CLOSING || socket->state == SLOT_REOPENING) {
        slot_settle(connections, slot);
        return CONNECTION_OLD;
    }
    if (kind == connections->config.send)
        return sent(connections, slot, event);
    if (kind == connections->config.receive)
        return received(connections, slot, event);
    return connected(connections, slot, event);
}

enum connection_state connections_event(struct connections *connections,
                                        const struct net_event *event)
{
    uint32_t slot = op_slot(event->tag);
    assert(slot < connections->config.count);
    enum connection_state state = event_apply(connections, slot, event);
    if (event->lent)
        net_buffer_return(connections->config.net, connections->config.group, event->buffer);
    return state;
}

void connections_message_done(struct connections *connections, uint32_t slot)
{
    connections->sockets[slot].lent = false;
    slot_settle(connections, slot);
}

bool connections_message(struct connections *connections, uint32_t slot, const uint8_t **message,
                         size_t *len)
{
    struct tcp_socket *socket = socket_of(connections, slot);
    struct octets *in = &socket->in;
    connections_message_done(connections, slot);
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
