// SPDX-License-Identifier: MIT
#include "io/net/packet_info.h"
#include "io/net/sockaddr.h"
#include "tests/netsim/engine.h"
#include "tests/netsim/link.h"
#include "tests/netsim/network.h"
#include "tests/netsim/simnet.h"
#include "tests/netsim/world.h"

#include <errno.h>
#include <stdlib.h>

// What a send of a connection refers to is read bit by bit while it is armed, and must be the same
// from its request to its event.

enum {
    LOCAL_AT = 32, // in the head of a datagram's buffer, behind the sender's address
    SUM_MAX = 8192,
    LATE_US_MAX = 50000,
};

static uint64_t sum_of(const uint8_t *bytes, size_t len)
{
    uint64_t sum = len, word;
    for (; len >= sizeof word; bytes += sizeof word, len -= sizeof word) {
        memcpy(&word, bytes, sizeof word);
        sum = (sum << 7 | sum >> 57) + word;
    }
    for (; len > 0; bytes++, len--)
        sum = (sum << 7 | sum >> 57) + *bytes;
    return sum;
}

static uint64_t refers_to(const struct net_request *request)
{
    // Of what is very long the ends will do.
    if (request->kind == NET_CONNECTION_SEND && request->len > 2 * SUM_MAX)
        return sum_of(request->bytes, SUM_MAX) +
               3 * sum_of((const uint8_t *)request->bytes + request->len - SUM_MAX, SUM_MAX);
    if (request->kind == NET_CONNECTION_SEND)
        return sum_of(request->bytes, request->len);
    if (request->kind == NET_CONNECT)
        return sum_of((const uint8_t *)request->to, sockaddr_len(request->to));
    return 0;
}

void ready_put(struct simnet *s, const struct net_event *event)
{
    if (s->ready_count == READY_MAX)
        world_fail("more events than there is room for");
    s->ready[s->ready_count++] = *event;
}

void ready_add(struct simnet *s, uint64_t tag, int result)
{
    ready_put(s, &(struct net_event){.tag = tag, .result = result});
}

void request_arm(struct simnet *s, const struct net_request *request, struct file *file, int fd)
{
    if (s->armed_count == ARMED_MAX)
        world_fail("more requests than there is room for");
    for (unsigned i = 0; i < s->armed_count; i++) {
        if (s->armed[i].request.tag == request->tag && !s->armed[i].cancelled)
            world_fail("two requests of one tag are armed: %llx", (unsigned long long)request->tag);
    }
    s->armed[s->armed_count++] =
        (struct armed){.request = *request, .file = file, .fd = fd, .sum = refers_to(request)};
    file->nets |= 1u << s->number;
    s->maybe = true;
    file_ref(file);
    if (world.params.holds)
        file_hold(file);
}

void armed_drop(struct simnet *s, unsigned at)
{
    struct file *file = s->armed[at].file;
    s->armed[at] = s->armed[--s->armed_count];
    if (world.params.holds)
        file_release(file);
    file_unref(file);
}

static bool has_buffer(const struct simnet *s, const struct armed *armed)
{
    return s->free_count[armed->request.group] > 0 || world.params.ends_unbuffered;
}

bool armed_can(const struct simnet *s, const struct armed *armed)
{
    const struct file *file = armed->file;
    if (armed->cancelled)
        return armed->late_us <= world.now_us;
    switch ((enum net_kind)armed->request.kind) {
    case NET_RECEIVE:
        return file->error < 0 || (file->count > 0 && has_buffer(s, armed));
    case NET_RECEIVE_FROM:
        return file->count > 0 && has_buffer(s, armed);
    case NET_CONNECTION_RECEIVE:
        return file->link && link_readable(file->link) && has_buffer(s, armed);
    case NET_CONNECTION_SEND:
        return file->link && link_writable(file->link);
    case NET_ACCEPT:
        return file->waiting_count > 0;
    case NET_CONNECT:
        return file->link && !file->link->connecting;
    case NET_WATCH:
        return file->wakes > 0;
    default:
        return false;
    }
}

// Ends with that result.
static bool over(struct simnet *s, unsigned at, struct net_event *event, int result)
{
    event->result = result;
    event->more = false;
    armed_drop(s, at);
    return true;
}

static void datagram_write(uint8_t *bytes, const struct simnet *s, const struct armed *armed,
                           const struct datagram *datagram, struct net_event *event)
{
    const struct net_group *group = &s->net.groups[armed->request.group];
    size_t head = group->addresses ? NET_DATAGRAM_HEAD : 0;
    size_t len = datagram->len < group->size - head ? datagram->len : group->size - head;
    memcpy(bytes + head, datagram->bytes, len);
    event->bytes = bytes + head;
    event->result = (int32_t)len;
    event->cut = len < datagram->len;
    if (!group->addresses)
        return;
    struct sockaddr_in6 from;
    memcpy(bytes, &from, sockaddr_write(&from, &datagram->from));
    event->from = (const struct sockaddr *)(const void *)bytes;
    if (!armed->request.local)
        return;
    memcpy(bytes + LOCAL_AT, datagram->to.ip, sizeof datagram->to.ip);
    event->local = bytes + LOCAL_AT;
}

static bool datagram_go(struct simnet *s, unsigned at, struct net_event *event)
{
    struct armed *armed = &s->armed[at];
    struct file *file = armed->file;
    if (file->error < 0) {
        int error = file->error;
        file->error = 0;
        return over(s, at, event, error);
    }
    if (s->free_count[armed->request.group] == 0)
        return over(s, at, event, -ENOBUFS);
    struct datagram *datagram = file_datagram_take(file);
    datagram_write(buffer_lend(s, armed->request.group, event), s, armed, datagram, event);
    free(datagram);
    event->more = !world_mischief(world.params.disarm_pm);
    if (!event->more)
        armed_drop(s, at);
    return true;
}

static bool octets_go(struct simnet *s, unsigned at, struct net_event *event)
{
    const struct armed *armed = &s->armed[at];
    const struct net_group *group = &s->net.groups[armed->request.group];
    struct link *link = armed->file->link;
    if (link->engine_resets)
        return over(s, at, event, -ECONNRESET);
    if (s->free_count[armed->request.group] == 0)
        return over(s, at, event, -ENOBUFS);
    // The end may come in a buffer or without one.
    if (link->to_engine.len == 0 && dice_chance(&world.dice, 500))
        return over(s, at, event, 0);
    uint8_t *bytes = buffer_lend(s, armed->request.group, event);
    return over(s, at, event, link_engine_receive(link, bytes, group->size));
}

static bool octets_send_go(struct simnet *s, unsigned at, struct net_event *event)
{
    const struct armed *armed = &s->armed[at];
    const struct net_request *request = &armed->request;
    int sent = link_engine_send(armed->file->link, request->bytes, request->len);
    return over(s, at, event, sent);
}

static bool accept_go(struct simnet *s, unsigned at, struct net_event *event)
{
    struct file *file = s->armed[at].file, *made;
    int fd = file_make(FILE_TCP, false, &made);
    if (fd < 0)
        return over(s, at, event, fd);
    made->link = file->waiting[0];
    made->link->file = made;
    memmove(file->waiting, file->waiting + 1, --file->waiting_count * sizeof *file->waiting);
    world_tell("accepted as %d", fd);
    event->result = fd;
    event->more = !world_mischief(world.params.disarm_pm);
    if (!event->more)
        armed_drop(s, at);
    return true;
}

// One that was cancelled ends so, or in the way that it would have ended without.
static bool cancelled_go(struct simnet *s, unsigned at, struct net_event *event)
{
    struct armed *armed = &s->armed[at];
    bool once = armed->request.kind == NET_CONNECTION_RECEIVE ||
                armed->request.kind == NET_CONNECTION_SEND || armed->request.kind == NET_CONNECT;
    armed->cancelled = false;
    if (once && dice_chance(&world.dice, 500) && armed_can(s, armed))
        return armed_go(s, at, event);
    return over(s, at, event, -ECANCELED);
}

bool armed_go(struct simnet *s, unsigned at, struct net_event *event)
{
    struct armed *armed = &s->armed[at];
    *event = (struct net_event){.tag = armed->request.tag};
    if (armed->sum != refers_to(&armed->request))
        world_fail("octets are written over that a request refers to: %llx",
                   (unsigned long long)armed->request.tag);
    if (armed->cancelled)
        return cancelled_go(s, at, event);
    switch ((enum net_kind)armed->request.kind) {
    case NET_RECEIVE_FROM:
    case NET_RECEIVE:
        return datagram_go(s, at, event);
    case NET_CONNECTION_RECEIVE:
        return octets_go(s, at, event);
    case NET_CONNECTION_SEND:
        return octets_send_go(s, at, event);
    case NET_ACCEPT:
        return accept_go(s, at, event);
    case NET_CONNECT:
        return over(s, at, event, armed->file->link->refused);
    case NET_WATCH:
        return over(s, at, event, 0);
    default:
        return false;
    }
}

// Where the request was for a place the events of what has come before it stand in front.
void request_cancel(struct simnet *s, const struct net_request *request)
{
    bool at_place = request->kind == NET_CANCEL_FROM;
    for (unsigned i = 0; i < s->armed_count; i++) {
        struct armed *armed = &s->armed[i];
        if (armed->request.tag != request->cancelled || armed->cancelled)
            continue;
        if (at_place ? armed->request.kind != NET_RECEIVE_FROM : armed->fd != request->socket)
            world_fail("a request is cancelled that was made for another descriptor");
        armed->cancelled = s->maybe = true;
        if (world_mischief(world.params.late_pm)) {
            armed->late_us = world.now_us + dice_skewed(&world.dice, LATE_US_MAX);
            s->late_us = armed->late_us < s->late_us ? armed->late_us : s->late_us;
            return;
        }
        struct net_event event;
        if (armed_go(s, i, &event))
            ready_put(s, &event);
        return;
    }
    if (dice_chance(&world.dice, 500))
        ready_add(s, request->tag, -ENOENT);
}
