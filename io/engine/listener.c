// SPDX-License-Identifier: MIT
#include "io/engine/listener.h"

#include "io/net/descriptor.h"
#include "io/net/op.h"

#include <assert.h>
#include <errno.h>

// A slot has at most one receive and one accept. One that was cancelled is over with its last
// event, which may come when the slot is heard at again: only then the next one begins.

enum {
    ACCEPT_PAUSE_US = 100000,
    // What arrives meanwhile waits in the socket, so this costs no datagram.
    RECEIVE_PAUSE_US = 1000,
};

void listeners_init(struct listeners *l, struct net *net, unsigned group)
{
    l->net = net;
    l->group = group;
    l->due_us = UINT64_MAX;
    l->drops_gone = 0;
    for (unsigned i = 0; i < LISTENERS_MAX; i++)
        l->slots[i] = (struct listener){.fd = -1, .tcp_fd = -1, .send_fd = -1};
}

// Others may be reading it (listeners_drops).
static void fd_set_to(struct listener *listener, int fd)
{
    __atomic_store_n(&listener->fd, fd, __ATOMIC_RELAXED);
}

static void datagrams_close(struct listeners *l, unsigned slot)
{
    int fd = l->slots[slot].fd;
    if (fd < 0)
        return;
    __atomic_store_n(&l->drops_gone, l->drops_gone + udp_drops(fd), __ATOMIC_RELAXED);
    fd_set_to(&l->slots[slot], -1);
    descriptor_close(fd);
}

static void fd_close(int *fd)
{
    if (*fd >= 0)
        descriptor_close(*fd);
    *fd = -1;
}

void listeners_close(struct listeners *l)
{
    for (unsigned i = 0; i < LISTENERS_MAX; i++) {
        datagrams_close(l, i);
        fd_close(&l->slots[i].tcp_fd);
        fd_close(&l->slots[i].send_fd);
    }
}

static int sockets_open(const struct address *address, int fds[LISTENER_SOCKETS])
{
    fds[SOCKET_HEARS] = udp_listen(address);
    if (fds[SOCKET_HEARS] < 0)
        return fds[SOCKET_HEARS];
    // Where there can be no sender (no loopback interface, or an older socket of ours still holds
    // the port), replies leave from where queries come to.
    if (fds[SOCKET_SENDS] < 0)
        fds[SOCKET_SENDS] = descriptor_copy(fds[SOCKET_HEARS]);
    if (fds[SOCKET_SENDS] < 0)
        return fds[SOCKET_SENDS];
    fds[SOCKET_ACCEPTS] = tcp_listen(address);
    return fds[SOCKET_ACCEPTS] < 0 ? fds[SOCKET_ACCEPTS] : 0;
}

int listener_open(const struct address *address, unsigned worker_count, int *fds)
{
    int error = 0;
    // All senders before the first that hears: until it is connected, a sender would hear as well.
    for (unsigned i = 0; i < worker_count; i++)
        fds[LISTENER_SOCKETS * i + SOCKET_SENDS] = udp_sender(address);
    for (unsigned i = 0; i < worker_count && error == 0; i++)
        error = sockets_open(address, fds + LISTENER_SOCKETS * i);
    for (unsigned i = 0; i < worker_count && error == 0; i++) {
        udp_port_close(fds[LISTENER_SOCKETS * i + SOCKET_HEARS]);
        udp_port_close(fds[LISTENER_SOCKETS * i + SOCKET_SENDS]);
    }
    return error;
}

static int places_fill(struct listeners *l, unsigned slot, int fd, int send_fd)
{
    int error = net_place(l->net, slot, fd);
    return error < 0 ? error : net_place(l->net, listener_sender(slot), send_fd);
}

// Two sockets of ours with one address share its datagrams, and who has given it up reads none. So
// the older ones go at once, and what still has to leave from there leaves from the new one.
static int others_replace(struct listeners *l, unsigned slot)
{
    const struct listener *new = &l->slots[slot];
    int error = 0;
    for (unsigned i = 0; i < LISTENERS_MAX && error == 0; i++) {
        struct listener *old = &l->slots[i];
        if (old->gone_us == 0 || !address_equal(&old->address, &new->address))
            continue;
        error = places_fill(l, i, new->fd, new->send_fd);
        if (error < 0)
            continue;
        datagrams_close(l, i);
        fd_close(&old->send_fd);
    }
    return error;
}

int listeners_put(struct listeners *l, unsigned slot, const struct address *address,
                  const int fds[LISTENER_SOCKETS])
{
    struct listener *listener = &l->slots[slot];
    assert(slot < LISTENERS_MAX && !listener->hears);
    listener->address = *address;
    listener->tcp_fd = fds[SOCKET_ACCEPTS];
    listener->send_fd = fds[SOCKET_SENDS];
    listener->wildcard = address_is_wildcard(address);
    fd_set_to(listener, fds[SOCKET_HEARS]);
    int error = places_fill(l, slot, listener->fd, listener->send_fd);
    return error < 0 ? error : others_replace(l, slot);
}

static void receive(struct listeners *l, unsigned slot)
{
    assert(slot < LISTENERS_MAX && l->slots[slot].hears);
    if (l->slots[slot].receiving)
        return;
    l->slots[slot].receiving = true;
    net_receive_from(l->net, slot, l->group, l->slots[slot].wildcard, op_pack(OP_QUERY, slot, 0));
}

static void accept_on(struct listeners *l, unsigned slot)
{
    assert(slot < LISTENERS_MAX && l->slots[slot].hears);
    if (l->slots[slot].accepting)
        return;
    l->slots[slot].accepting = true;
    net_accept(l->net, l->slots[slot].tcp_fd, op_pack(OP_ACCEPT, slot, 0));
}

void listeners_hear(struct listeners *l, unsigned slot)
{
    if (l->slots[slot].fd < 0 || l->slots[slot].gone_us != 0 || l->slots[slot].hears)
        return;
    l->slots[slot].hears = true;
    receive(l, slot);
    accept_on(l, slot);
}

void listeners_ignore(struct listeners *l, unsigned slot)
{
    struct listener *listener = &l->slots[slot];
    if (!listener->hears)
        return;
    listener->hears = false;
    listener->accept_us = listener->receive_us = 0;
    if (listener->receiving)
        net_cancel_from(l->net, slot, op_pack(OP_QUERY, slot, 0), op_pack(OP_CANCEL, slot, 0));
    if (listener->accepting)
        net_cancel(l->net, listener->tcp_fd, op_pack(OP_ACCEPT, slot, 0),
                   op_pack(OP_CANCEL, slot, 0));
}

static void due_at(struct listeners *l, uint64_t due_us)
{
    l->due_us = due_us < l->due_us ? due_us : l->due_us;
}

void listeners_give_up(struct listeners *l, unsigned slot, uint64_t gone_us)
{
    listeners_ignore(l, slot);
    if (l->slots[slot].tcp_fd >= 0)
        net_close_fd(l->net, l->slots[slot].tcp_fd, op_pack(OP_CLOSE, slot, 0));
    l->slots[slot].tcp_fd = -1;
    l->slots[slot].gone_us = gone_us;
    due_at(l, gone_us);
}

void listeners_receive_ended(struct listeners *l, unsigned slot, int result, uint64_t now_us)
{
    struct listener *listener = &l->slots[slot];
    assert(slot < LISTENERS_MAX && listener->receiving);
    listener->receiving = false;
    if (!listener->hears)
        return;
    // Most often the buffers ran out, and there are some again. After anything else not at once, or
    // a worker whose socket keeps failing does nothing else.
    if (result < 0 && result != -ENOBUFS && result != -ECANCELED) {
        listener->receive_us = now_us + RECEIVE_PAUSE_US;
        due_at(l, listener->receive_us);
    } else {
        receive(l, slot);
    }
}

void listeners_accept_ended(struct listeners *l, unsigned slot, int result, uint64_t now_us)
{
    struct listener *listener = &l->slots[slot];
    assert(slot < LISTENERS_MAX && listener->accepting);
    listener->accepting = false;
    if (!listener->hears)
        return;
    // For want of descriptors, most likely: not at once again, or the worker does nothing else.
    if (result < 0 && result != -ECANCELED) {
        listener->accept_us = now_us + ACCEPT_PAUSE_US;
        due_at(l, listener->accept_us);
    } else {
        accept_on(l, slot);
    }
}

static void slot_expire(struct listeners *l, unsigned slot, uint64_t now_us)
{
    struct listener *listener = &l->slots[slot];
    if (listener->accept_us != 0 && now_us >= listener->accept_us) {
        listener->accept_us = 0;
        accept_on(l, slot);
    }
    if (listener->receive_us != 0 && now_us >= listener->receive_us) {
        listener->receive_us = 0;
        receive(l, slot);
    }
    // What was cancelled is over long before, or the slot waits for it.
    bool over = !listener->receiving && !listener->accepting;
    if (listener->gone_us != 0 && now_us >= listener->gone_us && !over)
        listener->gone_us = now_us + ACCEPT_PAUSE_US;
    if (listener->gone_us != 0 && now_us >= listener->gone_us) {
        // A place that cannot be emptied is filled again by the next socket that comes here.
        int error = places_fill(l, slot, -1, -1);
        (void)error;
        datagrams_close(l, slot);
        fd_close(&listener->send_fd);
        listener->gone_us = 0;
    }
    if (listener->accept_us != 0)
        due_at(l, listener->accept_us);
    if (listener->receive_us != 0)
        due_at(l, listener->receive_us);
    if (listener->gone_us != 0)
        due_at(l, listener->gone_us);
}

uint64_t listeners_expire(struct listeners *l, uint64_t now_us)
{
    if (now_us < l->due_us)
        return l->due_us;
    l->due_us = UINT64_MAX;
    for (unsigned i = 0; i < LISTENERS_MAX; i++)
        slot_expire(l, i, now_us);
    return l->due_us;
}

uint64_t listeners_drops(const struct listeners *l)
{
    uint64_t drops = __atomic_load_n(&l->drops_gone, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < LISTENERS_MAX; i++) {
        int fd = __atomic_load_n(&l->slots[i].fd, __ATOMIC_RELAXED);
        drops += fd >= 0 ? udp_drops(fd) : 0;
    }
    return drops;
}
