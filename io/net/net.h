// SPDX-License-Identifier: MIT
#pragma once
#include "io/net/net_engine.h"

#include <assert.h>
#include <string.h>

// The seam between a worker and the kernel: datagrams in batches, octets of connections, accept,
// connect, close, waking another worker, watching a descriptor. What stands behind it is an engine
// (net_engine.h), and nothing here or above tells which. Sockets are made elsewhere (udp.h).
//
// Requests are queued and carried out in their order by the next submission: net_submit, net_wait,
// net_place, or a request for which there is no room. Until then what a request refers to must stay
// as it is. A send of a datagram is over when the submission returns, as no engine waits for room:
// its octets and addresses are free again, and only one that failed makes an event. What other
// requests refer to must stay until their event.
//
// Events of different requests come in any order; those of one receive in the order of arrival. A
// request is over with an event that does not say `more`, which also one that was cancelled makes
// (-ECANCELED, or whatever happened before). It is for the caller to know an event that comes late
// by its tag.
//
// One thread uses a net from net_start on. Nothing here tells the time.

// Makes a net with its groups of buffers; the queue is empty. 0 or a negative errno, which
// net_why turns into a sentence that says what to change.
[[nodiscard]] int net_open(struct net **net, const struct net_config *config);
[[nodiscard]] const char *net_why(const struct net_engine *engine, int error);
void net_close(struct net *net);

// To be called once by the thread that will use it, before anything is queued.
[[nodiscard]] static inline int net_start(struct net *net)
{
    return net->engine->start(net);
}

// Hands all that is queued to the engine. 0 or a negative errno, after which nothing works.
[[nodiscard]] static inline int net_submit(struct net *net)
{
    if (net->error == 0)
        net->error = net->engine->submit(net);
    net->queued = net->closes = 0;
    return net->error;
}

// The same, and waits for an event, at most timeout_us (UINT64_MAX: for ever). Returns the number
// of events, 0 after a timeout and sometimes before, or a negative errno.
[[nodiscard]] static inline int net_wait(struct net *net, uint64_t timeout_us,
                                         struct net_event *events, unsigned event_max)
{
    int count = net->error < 0 ? net->error : net->engine->wait(net, timeout_us, events, event_max);
    net->error = count < 0 ? count : net->error;
    net->queued = net->closes = 0;
    return count;
}

// Ends every request, without events, so that a socket which is closed after this is gone at once.
static inline void net_end(struct net *net)
{
    net->engine->end(net);
}

// Submits what is queued; an error is that of the next net_wait as well.
void net_flush(struct net *net);

// A request to fill, for this file.
static inline struct net_request *net_request(struct net *net, enum net_kind kind, int socket,
                                              uint64_t tag)
{
    if (net->queued == NET_QUEUE_MAX)
        net_flush(net);
    struct net_request *request = &net->queue[net->queued++];
    request->tag = tag;
    request->socket = socket;
    request->kind = (uint8_t)kind;
    return request;
}

// --- buffers -----------------------------------------------------------------------------------

// Gives back the buffer of an event. The engine has it with the next submission: what that sends
// must not refer to it.
static inline void net_buffer_return(struct net *net, unsigned group, uint16_t buffer)
{
    assert(group < NET_GROUPS);
    struct net_group *g = &net->groups[group];
    assert(buffer < g->count && g->lent[buffer] && g->returned_count < g->count);
    g->lent[buffer] = false;
    g->returned[g->returned_count++] = buffer;
}

// --- datagrams ---------------------------------------------------------------------------------

// Puts a socket in a place, from which the requests below name it; -1 empties the place. What is
// queued goes first, so it meets the place as it was. No receive may be armed there but one that
// was cancelled. Returns 0 or a negative errno.
[[nodiscard]] static inline int net_place(struct net *net, unsigned place, int fd)
{
    assert(place < net->places);
    int error = net_submit(net);
    return error < 0 ? error : net->engine->place(net, place, fd);
}

// Receives datagrams with their senders' addresses; `local`: also with the address each was sent
// to, which the socket must have been told to give (udp_listen does). Where the group has no buffer
// left it may end with -ENOBUFS, or wait.
static inline void net_receive_from(struct net *net, unsigned place, unsigned group, bool local,
                                    uint64_t tag)
{
    assert(place < net->places && group < NET_GROUPS && net->groups[group].addresses);
    struct net_request *request = net_request(net, NET_RECEIVE_FROM, (int)place, tag);
    request->group = (uint8_t)group;
    request->local = local;
}

// Receives datagrams at a connected socket. It may end with -ENOBUFS as above, and ends with each
// error that the socket tells, such as -ECONNREFUSED for an ICMP message.
static inline void net_receive(struct net *net, int fd, unsigned group, uint64_t tag)
{
    assert(fd >= 0 && group < NET_GROUPS && !net->groups[group].addresses);
    net_request(net, NET_RECEIVE, fd, tag)->group = (uint8_t)group;
}

static inline void net_send_to(struct net *net, unsigned place, const void *bytes, size_t len,
                               const struct sockaddr *to, uint64_t tag)
{
    assert(place < net->places && len > 0);
    struct net_request *request = net_request(net, NET_SEND_TO, (int)place, tag);
    request->bytes = bytes;
    request->len = (uint32_t)len;
    request->to = to;
}

// The same from a local address of the caller's choice, of the family of `to`; it is copied.
static inline void net_send_from(struct net *net, unsigned place, const void *bytes, size_t len,
                                 const struct sockaddr *to, const uint8_t local[16], uint64_t tag)
{
    assert(place < net->places && len > 0);
    struct net_request *request = net_request(net, NET_SEND_FROM, (int)place, tag);
    request->bytes = bytes;
    request->len = (uint32_t)len;
    request->to = to;
    memcpy(request->from, local, sizeof request->from);
}

// Sends a datagram at a connected socket.
static inline void net_send(struct net *net, int fd, const void *bytes, size_t len, uint64_t tag)
{
    assert(fd >= 0 && len > 0);
    struct net_request *request = net_request(net, NET_SEND, fd, tag);
    request->bytes = bytes;
    request->len = (uint32_t)len;
}

// --- connections -------------------------------------------------------------------------------

// Accepts connections; each event's result is a descriptor. It ends with the first error.
static inline void net_accept(struct net *net, int fd, uint64_t tag)
{
    assert(fd >= 0);
    net_request(net, NET_ACCEPT, fd, tag);
}

// Connects a socket; makes one event. The address must stay until then.
static inline void net_connect(struct net *net, int fd, const struct sockaddr *to, uint64_t tag)
{
    assert(fd >= 0);
    net_request(net, NET_CONNECT, fd, tag)->to = to;
}

// Receives once: makes one event, with the octets that fit into one buffer; 0: the other side has
// ended; -ENOBUFS: there was no buffer, where an engine does not wait for one.
static inline void net_connection_receive(struct net *net, int fd, unsigned group, uint64_t tag)
{
    assert(fd >= 0 && group < NET_GROUPS && !net->groups[group].addresses);
    net_request(net, NET_CONNECTION_RECEIVE, fd, tag)->group = (uint8_t)group;
}

// Sends as soon as there is room; makes one event, with the number of octets that have gone, which
// may be fewer than these. They must stay until then.
static inline void net_connection_send(struct net *net, int fd, const void *bytes, size_t len,
                                       uint64_t tag)
{
    assert(fd >= 0 && len > 0); // nothing sent would look like an end
    struct net_request *request = net_request(net, NET_CONNECTION_SEND, fd, tag);
    request->bytes = bytes;
    request->len = (uint32_t)len;
}

// --- all sockets -------------------------------------------------------------------------------

// Closes a descriptor, in order with what is queued: requests for it that were queued before still
// find it, and its number belongs to no other socket until they have. No request of it may be
// armed: cancel them before. Every descriptor that a request may name is closed in this way. An
// event, with a negative errno, is made only if it fails.
#define NET_CLOSES_MAX 32 // descriptors that may wait for that; then all that is queued goes first
static inline void net_close_fd(struct net *net, int fd, uint64_t tag)
{
    assert(fd >= 0);
    net_request(net, NET_CLOSE, fd, tag);
    if (++net->closes >= NET_CLOSES_MAX)
        net_flush(net);
}

// Cancels the request with the tag `cancelled`, which was made for this descriptor, or place; it
// ends with its own event. An event with `tag` may say that there was none.
static inline void net_cancel(struct net *net, int fd, uint64_t cancelled, uint64_t tag)
{
    assert(fd >= 0);
    net_request(net, NET_CANCEL, fd, tag)->cancelled = cancelled;
}

static inline void net_cancel_from(struct net *net, unsigned place, uint64_t cancelled,
                                   uint64_t tag)
{
    assert(place < net->places);
    net_request(net, NET_CANCEL_FROM, (int)place, tag)->cancelled = cancelled;
}

// Makes one event when a descriptor has something to read.
static inline void net_watch(struct net *net, int fd, uint64_t tag)
{
    assert(fd >= 0);
    net_request(net, NET_WATCH, fd, tag);
}

// Makes an event with its `wake_tag` in another net, of the same engine and another thread: one at
// least after the last of several. An event with `tag` is made here if that fails.
static inline void net_wake(struct net *net, const struct net *other, uint64_t tag)
{
    assert(other && other->engine == net->engine);
    net_request(net, NET_WAKE, -1, tag)->woken = other;
}
