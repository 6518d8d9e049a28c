// SPDX-License-Identifier: MIT
#include "io/engine/listening.h"

#include "io/net/descriptor.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { REST_MORE_US = 1000000 }; // a worker may be that late

int listening_init(struct listening *l, unsigned worker_count, const struct steering *steering)
{
    *l = (struct listening){.worker_count = worker_count, .steering = steering};
    l->put = calloc(worker_count, sizeof *l->put);
    if (!l->put)
        return -ENOMEM;
    for (unsigned i = 0; i < LISTENERS_MAX; i++) {
        l->slots[i].sockets.fds = malloc(LISTENER_SOCKETS * worker_count * sizeof(int));
        if (!l->slots[i].sockets.fds)
            return -ENOMEM;
    }
    return 0;
}

static void sockets_close(struct listening *l, unsigned slot)
{
    for (unsigned i = 0; i < LISTENER_SOCKETS * l->worker_count; i++) {
        if (l->slots[slot].sockets.fds[i] >= 0 && !l->put[i / LISTENER_SOCKETS])
            descriptor_close(l->slots[slot].sockets.fds[i]);
    }
}

void listening_undo(struct listening *l)
{
    for (unsigned i = 0; i < LISTENERS_MAX; i++) {
        if (l->slots[i].state == LISTENING_LEAVING)
            l->slots[i].state = LISTENING_USED;
        if (l->slots[i].state != LISTENING_NEW)
            continue;
        sockets_close(l, i);
        l->slots[i].state = LISTENING_FREE;
    }
}

void listening_free(struct listening *l)
{
    if (l->put)
        listening_undo(l);
    for (unsigned i = 0; i < LISTENERS_MAX; i++)
        free(l->slots[i].sockets.fds);
    free(l->put);
}

static bool listed(const struct address_list *addresses, const struct address *address)
{
    for (size_t i = 0; i < addresses->count; i++) {
        if (address_equal(&addresses->items[i], address))
            return true;
    }
    return false;
}

// A slot with that address in one of these states (1 << state); LISTENERS_MAX: there is none.
static unsigned slot_with(const struct listening *l, const struct address *address, unsigned states)
{
    for (unsigned i = 0; i < LISTENERS_MAX; i++) {
        if (states >> l->slots[i].state & 1 && address_equal(&l->slots[i].sockets.address, address))
            return i;
    }
    return LISTENERS_MAX;
}

static unsigned slot_free(struct listening *l, uint64_t now_us)
{
    for (unsigned i = 0; i < LISTENERS_MAX; i++) {
        if (l->slots[i].state == LISTENING_GONE && now_us >= l->slots[i].gone_us + REST_MORE_US)
            l->slots[i].state = LISTENING_FREE;
        if (l->slots[i].state == LISTENING_FREE)
            return i;
    }
    return LISTENERS_MAX;
}

static void fails(char why[static LISTENING_WHY_SIZE], const struct address *address, int error)
{
    char text[ADDRESS_TEXT_MAX];
    const char *reason = strerror(-error);
    if (error == -EADDRINUSE)
        reason = "another program has this address and port";
    else if (error == -EADDRNOTAVAIL || error == -ENODEV)
        reason = "this address can be none of this machine's";
    else if (error == -EACCES)
        reason = "ports below 1024 need root or CAP_NET_BIND_SERVICE";
    else if (error == -ENOSPC)
        reason = "too many addresses have changed within ten seconds";
    address_format(address, text);
    snprintf(why, LISTENING_WHY_SIZE, "cannot listen on %s: %s", text, reason);
}

static bool inherit(struct listening *l, unsigned slot, struct listening_sockets *inherited,
                    size_t count)
{
    struct listening_sockets *sockets = &l->slots[slot].sockets;
    for (size_t i = 0; i < count; i++) {
        if (!address_equal(&inherited[i].address, &sockets->address) || inherited[i].fds[0] < 0)
            continue;
        for (unsigned fd = 0; fd < LISTENER_SOCKETS * l->worker_count; fd++) {
            sockets->fds[fd] = inherited[i].fds[fd];
            inherited[i].fds[fd] = -1;
        }
        return true;
    }
    return false;
}

// The sockets share their port silently with others that allow it, so it must be free before.
// Those of ours that are about to be closed may.
static int sockets_open(struct listening *l, unsigned slot)
{
    struct listening_sockets *sockets = &l->slots[slot].sockets;
    bool ours = slot_with(l, &sockets->address, 1u << LISTENING_GONE) < LISTENERS_MAX;
    int error = ours ? 0 : udp_probe(&sockets->address);
    if (error == 0 && !ours)
        error = tcp_probe(&sockets->address);
    return error < 0 ? error : listener_open(&sockets->address, l->worker_count, sockets->fds);
}

// Has sockets for the address in a free slot.
static int slot_open(struct listening *l, const struct address *address, uint64_t now_us,
                     struct listening_sockets *inherited, size_t count)
{
    unsigned slot = slot_free(l, now_us);
    if (slot == LISTENERS_MAX)
        return -ENOSPC;
    l->slots[slot].state = LISTENING_NEW;
    l->slots[slot].sockets.address = *address;
    for (unsigned fd = 0; fd < LISTENER_SOCKETS * l->worker_count; fd++)
        l->slots[slot].sockets.fds[fd] = -1;
    int error = inherit(l, slot, inherited, count) ? 0 : sockets_open(l, slot);
    if (error < 0)
        return error;
    // Older sockets of ours at this address, which are about to be closed, change the numbers of
    // the new ones: then a processor's datagrams may go to another one's worker until a restart.
    return steering_attach(l->steering, l->slots[slot].sockets.fds[SOCKET_HEARS]);
}

int listening_plan(struct listening *l, const struct address_list *addresses, uint64_t now_us,
                   struct listening_sockets *inherited, size_t count,
                   char why[static LISTENING_WHY_SIZE])
{
    assert(!listening_changes(l)); // the change before was done or undone
    memset(l->put, 0, l->worker_count * sizeof *l->put);
    for (unsigned i = 0; i < LISTENERS_MAX; i++) {
        if (l->slots[i].state == LISTENING_USED && !listed(addresses, &l->slots[i].sockets.address))
            l->slots[i].state = LISTENING_LEAVING;
    }
    int error = 0;
    for (size_t i = 0; i < addresses->count && error == 0; i++) {
        const struct address *address = &addresses->items[i];
        if (slot_with(l, address, 1u << LISTENING_USED | 1u << LISTENING_NEW) < LISTENERS_MAX)
            continue;
        error = slot_open(l, address, now_us, inherited, count);
        if (error < 0)
            fails(why, address, error);
    }
    if (error < 0)
        listening_undo(l);
    return error;
}

bool listening_changes(const struct listening *l)
{
    for (unsigned i = 0; i < LISTENERS_MAX; i++) {
        if (l->slots[i].state == LISTENING_NEW || l->slots[i].state == LISTENING_LEAVING)
            return true;
    }
    return false;
}

void listening_regret(struct listening *l)
{
    for (unsigned i = 0; i < LISTENERS_MAX; i++) {
        if (l->slots[i].state == LISTENING_LEAVING)
            l->slots[i].state = LISTENING_USED;
        else if (l->slots[i].state == LISTENING_NEW)
            l->slots[i].state = LISTENING_LEAVING;
    }
}

int listening_put(struct listening *l, unsigned worker, struct listeners *listeners)
{
    int result = 0;
    assert(worker < l->worker_count);
    l->put[worker] = true;
    for (unsigned i = 0; i < LISTENERS_MAX; i++) {
        const struct listening_sockets *sockets = &l->slots[i].sockets;
        if (l->slots[i].state != LISTENING_NEW)
            continue;
        int error = listeners_put(listeners, i, &sockets->address,
                                  sockets->fds + LISTENER_SOCKETS * worker);
        result = result < 0 ? result : error;
    }
    return result;
}

void listening_switch(const struct listening *l, uint64_t now_us, struct listeners *listeners)
{
    for (unsigned i = 0; i < LISTENERS_MAX; i++) {
        if (l->slots[i].state == LISTENING_NEW)
            listeners_hear(listeners, i);
        else if (l->slots[i].state == LISTENING_LEAVING)
            listeners_give_up(listeners, i, now_us + SERVE_RELOAD_REST_US);
    }
}

void listening_done(struct listening *l, uint64_t now_us)
{
    for (unsigned i = 0; i < LISTENERS_MAX; i++) {
        if (l->slots[i].state == LISTENING_NEW)
            l->slots[i].state = LISTENING_USED;
        if (l->slots[i].state != LISTENING_LEAVING)
            continue;
        l->slots[i].state = LISTENING_GONE;
        l->slots[i].gone_us = now_us + SERVE_RELOAD_REST_US;
    }
}
