// SPDX-License-Identifier: MIT
#include "tests/netsim/engine.h"

#include "io/net/op.h"
#include "io/net/sockaddr.h"
#include "tests/netsim/link.h"
#include "tests/netsim/network.h"
#include "tests/netsim/simnet.h"
#include "tests/netsim/world.h"

#include <errno.h>
#include <stdlib.h>

// A wait carries out the queue, and then draws from the events that have been made and from the
// requests that can have one, in any order but that of one request.

enum { NETS_MAX = 32, OVER = 0xdb };

static struct simnet *nets[NETS_MAX];

void engine_begin(void)
{
    memset(nets, 0, sizeof nets);
}

// --- what is queued ------------------------------------------------------------------------------

static int send_error(void)
{
    static const int errors[] = {-EPERM, -ENOBUFS, -EAGAIN, -EHOSTUNREACH, -ECONNREFUSED, -ENOMEM};
    int error = errors[dice_below(&world.dice, sizeof errors / sizeof *errors)];
    world.gone += error != -ENOBUFS && error != -EAGAIN && error != -ENOMEM;
    return error;
}

static struct file *placed(const struct simnet *s, int place)
{
    return world.params.holds ? s->places[place].file : file_of(s->places[place].fd);
}

static void datagram_send(struct simnet *s, const struct net_request *request, struct file *file)
{
    struct address to;
    if (!file || file->kind != FILE_UDP) {
        world_fail("a datagram is sent at what is no socket for datagrams (%d)", request->socket);
        return;
    }
    if (world_mischief(world.params.send_fail_pm)) {
        ready_add(s, request->tag, send_error());
        return;
    }
    struct address from = file->at;
    if (request->kind == NET_SEND)
        to = file->peer;
    else if (!sockaddr_read(&to, request->to))
        world_fail("a datagram is sent to no address");
    if (request->kind == NET_SEND_FROM)
        memcpy(from.ip, request->from, from.family == ADDRESS_IPV4 ? 4 : 16);
    network_from_engine(&from, &to, request->bytes, request->len);
}

static void connect_begin(struct simnet *s, const struct net_request *request, struct file *file)
{
    struct address to;
    if (!sockaddr_read(&to, request->to) || file->link)
        world_fail("a connect of %d that cannot be", request->socket);
    file->link = network_connect(&to);
    file->link->file = file;
    request_arm(s, request, file, request->socket);
}

static void close_do(struct simnet *s, const struct net_request *request)
{
    for (unsigned i = 0; i < s->armed_count; i++) {
        if (s->armed[i].fd == request->socket && !s->armed[i].cancelled &&
            s->armed[i].file == file_of(request->socket))
            world_fail("descriptor %d is closed with a request armed", request->socket);
    }
    if (!file_close(request->socket))
        ready_add(s, request->tag, -EBADF);
}

static void wake_do(struct simnet *s, const struct net_request *request)
{
    struct simnet *woken = simnet_of((struct net *)(uintptr_t)request->woken);
    if (world_mischief(world.params.wake_fail_pm)) {
        ready_add(s, request->tag, -EOVERFLOW);
        return;
    }
    woken->wakes++;
}

// All requests for a socket are of one use: one that was queued for another which had this number
// before is found here.
static void use_check(const struct net_request *request, struct file *file)
{
    uint64_t use = request->tag << 8 | 1;
    if (file->kind != FILE_UDP && file->kind != FILE_TCP)
        return;
    if (file->use != 0 && file->use != use)
        world_fail("a request for the socket of %llx reaches that of %llx",
                   (unsigned long long)use >> 8, (unsigned long long)file->use >> 8);
    file->use = use;
}

static void request_do(struct simnet *s, const struct net_request *request)
{
    int fd = request->socket;
    struct file *file = file_of(fd);
    switch ((enum net_kind)request->kind) {
    case NET_SEND_TO:
    case NET_SEND_FROM:
        datagram_send(s, request, placed(s, fd));
        return;
    case NET_RECEIVE_FROM:
        if (placed(s, fd))
            request_arm(s, request, placed(s, fd), -1);
        else
            ready_add(s, request->tag, -EBADF);
        return;
    case NET_CANCEL:
    case NET_CANCEL_FROM:
        request_cancel(s, request);
        return;
    case NET_CLOSE:
        close_do(s, request);
        return;
    case NET_WAKE:
        wake_do(s, request);
        return;
    default:
        break;
    }
    if (!file) {
        world_fail("a request of kind %d names descriptor %d, which is closed", request->kind, fd);
        return;
    }
    use_check(request, file);
    if (request->kind == NET_SEND)
        datagram_send(s, request, file);
    else if (request->kind == NET_RECEIVE && world_mischief(world.params.shortage_pm))
        ready_add(s, request->tag, dice_chance(&world.dice, 500) ? -ENOSPC : -ENOMEM);
    else if (request->kind == NET_CONNECT)
        connect_begin(s, request, file);
    else
        request_arm(s, request, file, fd);
}

// Connections may be accepted before the queue is carried out, and then have numbers that were
// free.
static void accepts_go(struct simnet *s)
{
    for (unsigned i = s->armed_count; i-- > 0;) {
        const struct armed *armed = &s->armed[i];
        struct net_event event;
        if (armed->request.kind == NET_ACCEPT && !armed->cancelled && armed_can(s, armed) &&
            dice_chance(&world.dice, 500) && armed_go(s, i, &event))
            ready_put(s, &event);
    }
}

// The octets of datagrams are free again.
static void sent_spoil(const struct net *net)
{
    for (unsigned i = 0; i < net->queued; i++) {
        const struct net_request *request = &net->queue[i];
        if (request->kind <= NET_SEND)
            memset((void *)(uintptr_t)request->bytes, OVER, request->len);
    }
}

static int sim_submit(struct net *net)
{
    struct simnet *s = simnet_of(net);
    buffers_take(s);
    accepts_go(s);
    for (unsigned i = 0; i < net->queued; i++)
        request_do(s, &net->queue[i]);
    sent_spoil(net);
    return net->error;
}

// --- events --------------------------------------------------------------------------------------

// The first event of the request that the lot falls on.
static struct net_event ready_take(struct simnet *s, unsigned lot)
{
    unsigned at = 0;
    while (s->ready[at].tag != s->ready[lot].tag)
        at++;
    struct net_event event = s->ready[at];
    memmove(s->ready + at, s->ready + at + 1, (--s->ready_count - at) * sizeof *s->ready);
    return event;
}

static bool waits_in_ready(const struct simnet *s, uint64_t tag)
{
    for (unsigned i = 0; i < s->ready_count; i++) {
        if (s->ready[i].tag == tag)
            return true;
    }
    return false;
}

// Those of the armed that can have an event, as tags and files: places move.
struct chance {
    uint64_t tag;
    const struct file *file;
};

static unsigned chances_gather(const struct simnet *s, struct chance *chances)
{
    unsigned count = 0;
    for (unsigned i = 0; i < s->armed_count; i++) {
        if (armed_can(s, &s->armed[i]))
            chances[count++] = (struct chance){s->armed[i].request.tag, s->armed[i].file};
    }
    return count;
}

// Has one of the armed go on. False: it could not.
static bool chance_try(struct simnet *s, const struct chance *chance, struct net_event *event)
{
    for (unsigned i = 0; i < s->armed_count; i++) {
        if (s->armed[i].request.tag == chance->tag && s->armed[i].file == chance->file &&
            armed_can(s, &s->armed[i]) && !waits_in_ready(s, chance->tag))
            return armed_go(s, i, event);
    }
    return false;
}

static bool woken_take(struct simnet *s, struct net_event *event)
{
    if (s->wakes == 0)
        return false;
    s->wakes = dice_chance(&world.dice, 700) ? 0 : s->wakes - 1;
    *event = (struct net_event){.tag = s->net.wake_tag};
    return true;
}

static unsigned events_draw(struct simnet *s, struct net_event *events, unsigned max)
{
    static struct chance chances[ARMED_MAX];
    unsigned count = 0, chance_count = s->maybe ? chances_gather(s, chances) : 0;
    s->maybe = chance_count > 0;
    while (count < max && (count == 0 || !world_mischief(world.params.stop_pm))) {
        unsigned lots = s->ready_count + chance_count + (s->wakes > 0);
        if (lots == 0)
            break;
        unsigned lot = dice_below(&world.dice, lots);
        if (lot < s->ready_count) {
            events[count++] = ready_take(s, lot);
        } else if (lot - s->ready_count < chance_count) {
            struct chance *chance = &chances[lot - s->ready_count];
            if (chance_try(s, chance, &events[count]))
                count++;
            else
                *chance = chances[--chance_count];
        } else if (woken_take(s, &events[count])) {
            count++;
        }
    }
    return count;
}

static bool can_do(const struct simnet *s)
{
    for (unsigned i = 0; i < s->armed_count; i++) {
        if (armed_can(s, &s->armed[i]))
            return true;
    }
    return false;
}

static int sim_wait(struct net *net, uint64_t timeout_us, struct net_event *events, unsigned max)
{
    struct simnet *s = simnet_of(net);
    int error = sim_submit(net);
    if (error < 0)
        return error;
    unsigned most = world.calm ? max : world.params.events_max;
    unsigned count = events_draw(s, events, most < max ? most : max);
    s->deadline_us = timeout_us == UINT64_MAX ? UINT64_MAX : world.now_us + timeout_us;
    s->slept = count == 0 && timeout_us > 0;
    for (unsigned i = 0; i < count; i++)
        world_tell("net %u: event %llx %d%s", s->number, (unsigned long long)events[i].tag,
                   events[i].result, events[i].more ? " more" : "");
    return (int)count;
}

// --- turns ---------------------------------------------------------------------------------------

// What was cancelled and ends late.
static void late_find(struct simnet *s)
{
    s->maybe = true;
    s->late_us = UINT64_MAX;
    for (unsigned i = 0; i < s->armed_count; i++) {
        const struct armed *armed = &s->armed[i];
        if (armed->cancelled && armed->late_us > world.now_us && armed->late_us < s->late_us)
            s->late_us = armed->late_us;
    }
}

bool engine_is_awake(struct net *net)
{
    struct simnet *s = simnet_of(net);
    if (s->late_us <= world.now_us)
        late_find(s);
    if (s->busy || s->deadline_us <= world.now_us)
        return true;
    if (s->maybe)
        s->maybe = can_do(s);
    return s->maybe || s->ready_count > 0 || s->wakes > 0;
}

uint64_t engine_deadline(const struct net *net)
{
    const struct simnet *s = (const struct simnet *)(const void *)net;
    return s->deadline_us < s->late_us ? s->deadline_us : s->late_us;
}

void engine_turn_ends(struct net *net)
{
    struct simnet *s = simnet_of(net);
    s->busy = !s->slept || net->queued > 0;
    for (unsigned i = 0; i < NET_GROUPS; i++)
        s->busy |= net->groups[i].returned_count > 0;
}

void engine_stir(uint32_t bits)
{
    for (unsigned i = 0; i < NETS_MAX; i++) {
        if (bits >> i & 1 && nets[i])
            nets[i]->maybe = true;
    }
}

static bool names(const struct simnet *s, int fd)
{
    for (unsigned i = 0; i < s->net.queued; i++) {
        const struct net_request *request = &s->net.queue[i];
        bool place = request->kind == NET_SEND_TO || request->kind == NET_SEND_FROM ||
                     request->kind == NET_RECEIVE_FROM || request->kind == NET_CANCEL_FROM;
        if (!place && request->socket == fd)
            return true;
    }
    for (unsigned i = 0; i < s->armed_count; i++) {
        if (s->armed[i].fd == fd && s->armed[i].file == file_of(fd))
            return true;
    }
    return false;
}

bool engine_names(int fd)
{
    for (unsigned i = 0; i < NETS_MAX; i++) {
        if (nets[i] && !nets[i]->ended && names(nets[i], fd))
            return true;
    }
    return false;
}

void engine_check_deaf(void)
{
    for (unsigned i = 0; i < NETS_MAX; i++) {
        for (unsigned j = 0; nets[i] && j < nets[i]->armed_count; j++) {
            const struct armed *armed = &nets[i]->armed[j];
            if (!armed->cancelled &&
                (armed->request.kind == NET_RECEIVE_FROM || armed->request.kind == NET_ACCEPT))
                world_fail("a worker that rests still hears clients");
        }
    }
}

void engine_check_buffers(void)
{
    for (unsigned i = 0; i < NETS_MAX; i++) {
        for (unsigned g = 0; nets[i] && g < NET_GROUPS; g++) {
            const struct net_group *group = &nets[i]->net.groups[g];
            if (nets[i]->free_count[g] + group->returned_count != group->count)
                world_fail("of the %u buffers of group %u only %u are back", group->count, g,
                           nets[i]->free_count[g] + group->returned_count);
        }
    }
}

// --- life ----------------------------------------------------------------------------------------

static void place_drop(struct place *place)
{
    if (place->file) {
        file_release(place->file);
        file_unref(place->file);
    }
    *place = (struct place){.fd = -1};
}

// What was accepted and never told of ends with the process.
static void ready_drop(struct simnet *s)
{
    for (unsigned i = 0; i < s->ready_count; i++) {
        if (op_kind(s->ready[i].tag) == OP_ACCEPT && s->ready[i].result >= 0)
            (void)file_close(s->ready[i].result);
    }
    s->ready_count = 0;
}

static void sim_end(struct net *net)
{
    struct simnet *s = simnet_of(net);
    (void)net_submit(net);
    while (s->armed_count > 0)
        armed_drop(s, s->armed_count - 1);
    for (unsigned i = 0; i < PLACES_MAX; i++)
        place_drop(&s->places[i]);
    ready_drop(s);
    s->ended = true;
}

static void sim_close(struct net *net)
{
    struct simnet *s = simnet_of(net);
    // Of a process that was killed: what it wanted to close is closed with all else.
    for (unsigned i = 0; i < net->queued; i++) {
        if (net->queue[i].kind == NET_CLOSE)
            (void)file_close(net->queue[i].socket);
    }
    while (s->armed_count > 0)
        armed_drop(s, s->armed_count - 1);
    for (unsigned i = 0; i < PLACES_MAX; i++)
        place_drop(&s->places[i]);
    ready_drop(s);
    for (unsigned i = 0; i < NET_GROUPS; i++)
        free(s->free[i]);
    nets[s->number] = NULL;
}

static int sim_open(struct net *net)
{
    struct simnet *s = simnet_of(net);
    assert(net->places <= PLACES_MAX);
    while (s->number < NETS_MAX && nets[s->number])
        s->number++;
    if (s->number == NETS_MAX)
        world_fail("too many nets");
    nets[s->number] = s;
    for (unsigned i = 0; i < PLACES_MAX; i++)
        s->places[i].fd = -1;
    for (unsigned i = 0; i < NET_GROUPS; i++)
        s->free[i] = calloc(net->groups[i].count + 1, sizeof *s->free[i]);
    s->busy = true;
    s->late_us = UINT64_MAX;
    return 0;
}

static int sim_start(struct net *net)
{
    (void)net;
    return 0;
}

static int sim_place(struct net *net, unsigned place, int fd)
{
    struct simnet *s = simnet_of(net);
    for (unsigned i = 0; i < s->armed_count; i++) {
        const struct armed *armed = &s->armed[i];
        if (armed->fd < 0 && armed->request.socket == (int)place && !armed->cancelled)
            world_fail("place %u is filled while a receive is armed there", place);
    }
    place_drop(&s->places[place]);
    struct file *file = file_of(fd);
    if (fd >= 0 && (!file || file->kind != FILE_UDP))
        return -EBADF;
    if (world_mischief(world.params.place_fail_pm))
        return -ENOMEM;
    s->places[place].fd = fd;
    if (!file || !world.params.holds)
        return 0;
    s->places[place].file = file;
    file_ref(file);
    file_hold(file);
    return 0;
}

static const char *sim_why(int error)
{
    return strerror(-error);
}

const struct net_engine net_simulated = {
    .name = "simulated",
    .size = sizeof(struct simnet),
    .open = sim_open,
    .close = sim_close,
    .start = sim_start,
    .place = sim_place,
    .submit = sim_submit,
    .wait = sim_wait,
    .end = sim_end,
    .why = sim_why,
};
