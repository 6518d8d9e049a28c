// SPDX-License-Identifier: MIT
#include "io/engine/worker_upstream.h"

#include "io/engine/worker_queries.h"

#include <errno.h>

// A source port's socket is known by its slot and the generation of that: an event that comes late,
// for one that is closed, is thrown away.

static bool socket_is_current(const struct worker *w, const struct net_event *event)
{
    uint32_t port = op_slot(event->tag);
    assert(port < WORKER_UPSTREAM_PORTS);
    const struct upstream_socket *socket = &w->upstream[port];
    return socket->fd >= 0 && (socket->generation & 0xffffff) == op_generation(event->tag);
}

static void socket_receive(struct worker *w, uint16_t port)
{
    struct upstream_socket *socket = &w->upstream[port];
    net_receive(w->net, socket->fd, REPLY_GROUP, op_pack(OP_REPLY, port, socket->generation));
}

// What this machine is short of says nothing about an upstream: descriptors, memory, buffers,
// watches of epoll's.
static bool is_shortage(int error)
{
    return error == -EMFILE || error == -ENFILE || error == -ENOMEM || error == -ENOBUFS ||
           error == -ENOSPC;
}

static void socket_open(struct worker *w, const struct outgoing *outgoing)
{
    struct upstream_socket *socket = &w->upstream[outgoing->slot];
    bool bound;
    assert(outgoing->slot < WORKER_UPSTREAM_PORTS && socket->fd < 0);
    socket->generation++;
    socket->fd = udp_connect(&outgoing->upstream->address, outgoing->source_port, &bound);
    if (socket->fd >= 0) {
        socket_receive(w, outgoing->slot);
        return;
    }
    if (is_shortage(socket->fd))
        serve_source_port_unavailable(w->serve, w->now_us, outgoing->slot);
    else if (bound)
        serve_unreachable(w->serve, w->now_us, outgoing->slot);
    else
        serve_source_port_refused(w->serve, w->now_us, outgoing->slot);
}

static void socket_close(struct worker *w, uint16_t port)
{
    struct upstream_socket *socket = &w->upstream[port];
    assert(port < WORKER_UPSTREAM_PORTS);
    if (socket->fd < 0)
        return;
    // The armed receive holds the socket: it ends first, then the descriptor is the last holder.
    net_cancel(w->net, socket->fd, op_pack(OP_REPLY, port, socket->generation),
               op_pack(OP_CANCEL, port, 0));
    net_close_fd(w->net, socket->fd, op_pack(OP_CLOSE, port, 0));
    socket->fd = -1;
}

static void socket_send(struct worker *w, const struct outgoing *outgoing)
{
    const struct upstream_socket *socket = &w->upstream[outgoing->slot];
    assert(outgoing->slot < WORKER_UPSTREAM_PORTS && socket->fd >= 0);
    assert(send_buffer_holds(&w->out, outgoing->bytes, outgoing->len));
    net_send(w->net, socket->fd, outgoing->bytes, outgoing->len,
             op_pack(OP_UPSTREAM_SEND, outgoing->slot, socket->generation));
}

static void tcp_give_up(struct worker *w, uint16_t slot)
{
    connections_disconnect(w->tcp, slot);
    serve_closed(w->serve, w->now_us, slot);
}

static void outgoing_do(struct worker *w, const struct outgoing *outgoing)
{
    switch (outgoing->kind) {
    case OUTGOING_REPLY:
        (void)send_buffer_reserve(&w->out, outgoing->len);
        worker_reply_late(w, outgoing);
        break;
    case OUTGOING_OPEN:
        socket_open(w, outgoing);
        break;
    case OUTGOING_QUERY:
        (void)send_buffer_reserve(&w->out, outgoing->len);
        socket_send(w, outgoing);
        break;
    case OUTGOING_CLOSE:
        socket_close(w, outgoing->slot);
        break;
    case OUTGOING_CONNECT:
        if (connections_connect(w->tcp, outgoing->slot, &outgoing->upstream->address) < 0)
            serve_closed(w->serve, w->now_us, outgoing->slot);
        break;
    case OUTGOING_MESSAGE:
        if (!connections_send(w->tcp, outgoing->slot, outgoing->bytes, outgoing->len))
            tcp_give_up(w, outgoing->slot);
        break;
    case OUTGOING_DISCONNECT:
        connections_disconnect(w->tcp, outgoing->slot);
        break;
    }
}

void worker_drain(struct worker *w)
{
    struct outgoing outgoing = {0};
    do {
        outgoing.bytes = worker_out_room(w, SERVE_MESSAGE_ROOM + ADDRESS_ROOM);
        outgoing.slot = 0;
        if (!serve_drain(w->serve, w->now_us, &outgoing))
            return;
        outgoing_do(w, &outgoing);
    } while (true);
}

// The receive has ended with an error. Without one the port is of no use.
static void receive_failed(struct worker *w, uint16_t port, int error)
{
    if (error == -ENOBUFS || error == -ECANCELED)
        return;
    if (is_shortage(error))
        serve_source_port_unavailable(w->serve, w->now_us, port);
    else
        serve_unreachable(w->serve, w->now_us, port);
}

void worker_reply_arrived(struct worker *w, const struct net_event *event)
{
    uint16_t port = (uint16_t)op_slot(event->tag);
    bool current = socket_is_current(w, event);
    if (event->lent) {
        if (current && event->result >= 0)
            serve_reply(w->serve, w->now_us, port, event->bytes, (size_t)event->result);
        net_buffer_return(w->net, REPLY_GROUP, event->buffer);
    } else if (current && event->result < 0) {
        receive_failed(w, port, event->result);
    }
    worker_drain(w);
    // Serve may have closed the socket meanwhile, or opened another in its slot.
    if (socket_is_current(w, event) && !event->more) {
        counter_add(w->serve_config.counters, COUNTER_receive_rearmed, 1);
        socket_receive(w, port);
    }
}

void worker_send_failed(struct worker *w, const struct net_event *event)
{
    if (!socket_is_current(w, event))
        return;
    // A full send buffer, or a shortage, is a loss like any other: the timer sends again.
    if (event->result == -EAGAIN || is_shortage(event->result))
        return;
    serve_unreachable(w->serve, w->now_us, (uint16_t)op_slot(event->tag));
    worker_drain(w);
}

// What has arrived is taken, and then its end, if it came. On the way serve may close the
// connection and open another one in its slot, which is not to pay for this one.
void worker_tcp_happened(struct worker *w, const struct net_event *event)
{
    uint16_t slot = (uint16_t)op_slot(event->tag);
    uint32_t generation = connections_generation(w->tcp, slot);
    enum connection_state state = connections_event(w->tcp, event);
    const uint8_t *message;
    size_t len;
    if (state == CONNECTION_OLD)
        return;
    if (state == CONNECTION_GOES_ON && op_kind(event->tag) == OP_TCP_CONNECT)
        serve_connected(w->serve, w->now_us, slot);
    while (connections_is_open(w->tcp, slot, generation) &&
           connections_message(w->tcp, slot, &message, &len)) {
        serve_message(w->serve, w->now_us, slot, message, len);
        worker_drain(w);
    }
    connections_message_done(w->tcp, slot);
    if (!connections_is_open(w->tcp, slot, generation))
        return;
    if (state == CONNECTION_GOES_ON || state == CONNECTION_NO_BUFFER)
        connections_receive(w->tcp, slot);
    else
        tcp_give_up(w, slot);
    worker_drain(w);
}
