// SPDX-License-Identifier: MIT
#include "io/engine/worker.h"

#include "io/engine/op.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

// The life of the octets that are sent: serve writes them into `out`, requests refer to them there,
// and with the next submission they are gone. `out_used` starts anew after each submission. So a
// reply is written once, where the kernel reads it.

enum {
    RING_ENTRIES = 512,
    EVENT_MAX = 256,
    QUERY_GROUP = 0,
    QUERY_BUFFERS = 1024, // small enough to stay in the L2 cache
    QUERY_BUFFER_SIZE = 640,
    REPLY_GROUP = 1,
    REPLY_BUFFERS = 256,
    REPLY_BUFFER_SIZE = 4096,
    OUT_BATCHES = 2,
    ADDRESS_ROOM = 64 + RING_FORM_SIZE, // behind each reply
};

struct upstream_socket {
    int fd; // -1: none
    uint32_t generation;
};

struct listener {
    int fd;
    bool wildcard; // its replies say where they leave from
};

struct worker {
    struct worker_config config;
    struct serve_config serve_config;
    struct serve *serve;
    struct ring *ring;
    pthread_t thread;
    bool running;
    int stop_fd;
    int result;
    const int *ring_fds;
    struct listener *listeners;
    struct upstream_socket upstream[WORKER_UPSTREAM_PORTS];
    struct serve_item batch[SERVE_BATCH_MAX];
    uint16_t batch_buffers[SERVE_BATCH_MAX];
    size_t batch_count;
    uint64_t now_us;
    uint8_t *out;
    size_t out_size;
    size_t out_used;
    size_t room; // for one reply
    bool *wakes; // workers that were handed something since the last wake
    struct ring_event events[EVENT_MAX];
};

static size_t aligned(size_t size)
{
    return (size + 63) & ~(size_t)63;
}

// Room for `size` octets to send and their addresses; hands what is queued to the kernel
// where there is none.
static uint8_t *out_room(struct worker *w, size_t size)
{
    if (w->out_size - w->out_used < size) {
        int error = ring_submit(w->ring);
        if (error < 0)
            w->result = error;
        w->out_used = 0;
    }
    return w->out + w->out_used;
}

static void reply_send(struct worker *w, const struct client *client, const void *bytes, size_t len)
{
    uint64_t tag = op_pack(OP_ANSWER, client->listener, 0);
    struct sockaddr_in6 *to = (void *)(w->out + w->out_used);
    w->out_used += aligned(sizeof *to);
    udp_address_give(to, &client->from);
    if (!w->listeners[client->listener].wildcard) {
        ring_send_to(w->ring, client->listener, bytes, len, (const struct sockaddr *)to, tag);
        return;
    }
    void *form = w->out + w->out_used;
    w->out_used += RING_FORM_SIZE;
    ring_send_from(w->ring, client->listener, bytes, len, (const struct sockaddr *)to,
                   client->local, form, tag);
}

static void upstream_receive(struct worker *w, uint16_t port)
{
    struct upstream_socket *socket = &w->upstream[port];
    ring_receive(w->ring, socket->fd, REPLY_GROUP, op_pack(OP_REPLY, port, socket->generation));
}

static void upstream_open(struct worker *w, const struct outgoing *outgoing)
{
    struct upstream_socket *socket = &w->upstream[outgoing->port];
    bool bound;
    socket->generation++;
    socket->fd = udp_connect(outgoing->upstream, outgoing->number, &bound);
    if (socket->fd >= 0) {
        upstream_receive(w, outgoing->port);
        return;
    }
    if (bound)
        serve_unreachable(w->serve, w->now_us, outgoing->port);
    else
        serve_port_refused(w->serve, w->now_us, outgoing->port);
}

static void upstream_close(struct worker *w, uint16_t port)
{
    struct upstream_socket *socket = &w->upstream[port];
    if (socket->fd < 0)
        return;
    // The armed receive holds the socket: it ends first, then the descriptor was the last holder.
    ring_cancel(w->ring, op_pack(OP_REPLY, port, socket->generation), op_pack(OP_CANCEL, port, 0));
    close(socket->fd);
    socket->fd = -1;
}

static void outgoing_do(struct worker *w, const struct outgoing *outgoing)
{
    const struct upstream_socket *socket = &w->upstream[outgoing->port];
    switch (outgoing->kind) {
    case OUTGOING_REPLY:
        w->out_used += aligned(outgoing->len);
        reply_send(w, &outgoing->client, outgoing->bytes, outgoing->len);
        break;
    case OUTGOING_OPEN:
        upstream_open(w, outgoing);
        break;
    case OUTGOING_QUERY:
        w->out_used += aligned(outgoing->len);
        ring_send(w->ring, socket->fd, outgoing->bytes, outgoing->len,
                  op_pack(OP_UPSTREAM_SEND, outgoing->port, socket->generation));
        break;
    case OUTGOING_CLOSE:
        upstream_close(w, outgoing->port);
        break;
    }
}

static void drain(struct worker *w)
{
    struct outgoing outgoing = {0};
    do {
        outgoing.bytes = out_room(w, w->room + ADDRESS_ROOM);
        outgoing.port = 0;
        if (!serve_drain(w->serve, w->now_us, &outgoing))
            return;
        outgoing_do(w, &outgoing);
    } while (true);
}

static void hand_over(struct worker *w, const struct serve_item *item)
{
    if (handover_put(w->config.to[item->owner], item))
        w->wakes[item->owner] = true;
    else
        serve_handover_failed(w->serve);
}

static void batch_run(struct worker *w)
{
    if (w->batch_count == 0)
        return;
    uint8_t *out = out_room(w, w->batch_count * (w->room + ADDRESS_ROOM));
    serve_queries(w->serve, w->now_us, w->batch, w->batch_count, out);
    // The addresses go behind all replies.
    for (size_t i = 0; i < w->batch_count; i++) {
        if (w->batch[i].verdict == SERVE_ANSWERED)
            w->out_used = (size_t)(w->batch[i].out - w->out) + aligned(w->batch[i].out_len);
    }
    w->out_used = aligned(w->out_used);
    for (size_t i = 0; i < w->batch_count; i++) {
        const struct serve_item *item = &w->batch[i];
        if (item->verdict == SERVE_ANSWERED)
            reply_send(w, &item->client, item->out, item->out_len);
        else if (item->verdict == SERVE_ELSEWHERE)
            hand_over(w, item);
    }
    w->batch_count = 0;
}

// Queries out of receive buffers, which are given back when the batch is done.
static void query_batch_run(struct worker *w)
{
    size_t count = w->batch_count;
    batch_run(w);
    for (size_t i = 0; i < count; i++)
        ring_buffer_return(w->ring, QUERY_GROUP, w->batch_buffers[i]);
}

static void listener_receive(struct worker *w, uint32_t listener)
{
    ring_receive_from(w->ring, listener, QUERY_GROUP, w->listeners[listener].wildcard,
                      op_pack(OP_QUERY, listener, 0));
}

static void query_arrived(struct worker *w, const struct ring_event *event)
{
    uint32_t listener = op_slot(event->tag);
    struct serve_item *item = &w->batch[w->batch_count];
    struct datagram datagram;
    if (event->has_buffer) {
        *item = (struct serve_item){.client.listener = (uint16_t)listener};
        bool wildcard = w->listeners[listener].wildcard;
        if (ring_datagram(w->ring, event, QUERY_GROUP, wildcard, &datagram) &&
            udp_address_take(&item->client.from, datagram.from)) {
            if (wildcard)
                memcpy(item->client.local, datagram.local,
                       item->client.from.family == ADDRESS_IPV4 ? 4 : 16);
            item->in = datagram.bytes;
            item->in_len = (uint16_t)datagram.len;
            item->cut = datagram.cut || datagram.len > UDP_QUERY_MAX;
            w->batch_buffers[w->batch_count++] = event->buffer;
        } else {
            ring_buffer_return(w->ring, QUERY_GROUP, event->buffer);
        }
    }
    if (w->batch_count == SERVE_BATCH_MAX)
        query_batch_run(w);
    if (!event->more) {
        // Most often the buffers ran out: those of the batch are given back first.
        query_batch_run(w);
        counter_add(w->serve_config.counters, COUNTER_receive_rearmed, 1);
        listener_receive(w, listener);
    }
}

static void reply_arrived(struct worker *w, const struct ring_event *event)
{
    uint32_t port = op_slot(event->tag);
    struct upstream_socket *socket = &w->upstream[port];
    bool current = socket->fd >= 0 && (socket->generation & 0xffffff) == op_generation(event->tag);
    if (event->has_buffer) {
        if (current && event->result >= 0)
            serve_reply(w->serve, w->now_us, (uint16_t)port,
                        ring_buffer(w->ring, REPLY_GROUP, event->buffer), (size_t)event->result);
        ring_buffer_return(w->ring, REPLY_GROUP, event->buffer);
    } else if (current && event->result < 0 && event->result != -ENOBUFS &&
               event->result != -ECANCELED) {
        serve_unreachable(w->serve, w->now_us, (uint16_t)port);
    }
    drain(w);
    // Serve may have closed the socket meanwhile, or opened another in its slot.
    current = socket->fd >= 0 && (socket->generation & 0xffffff) == op_generation(event->tag);
    if (current && !event->more) {
        counter_add(w->serve_config.counters, COUNTER_receive_rearmed, 1);
        upstream_receive(w, (uint16_t)port);
    }
}

static void upstream_send_failed(struct worker *w, const struct ring_event *event)
{
    uint32_t port = op_slot(event->tag);
    struct upstream_socket *socket = &w->upstream[port];
    if (socket->fd < 0 || (socket->generation & 0xffffff) != op_generation(event->tag))
        return;
    // A full send buffer is a loss like any other: the timer sends again.
    if (event->result == -EAGAIN || event->result == -ENOBUFS)
        return;
    serve_unreachable(w->serve, w->now_us, (uint16_t)port);
    drain(w);
}

// Returns false when the worker is to end.
static bool event_do(struct worker *w, const struct ring_event *event)
{
    switch (op_kind(event->tag)) {
    case OP_QUERY:
        query_arrived(w, event);
        return true;
    case OP_REPLY:
        reply_arrived(w, event);
        return true;
    case OP_ANSWER:
        counter_add(w->serve_config.counters, COUNTER_send_failures, 1);
        return true;
    case OP_UPSTREAM_SEND:
        upstream_send_failed(w, event);
        return true;
    case OP_WAKE:
        w->wakes[op_slot(event->tag)] = true; // tried again below
        return true;
    case OP_STOP:
        return false;
    case OP_HANDOVER:
    case OP_CANCEL:
        return true;
    }
    return true;
}

// Answers what another worker has handed over. The ring's room is given back when that is done.
static void handed_do(struct worker *w, struct handover *from)
{
    struct handover_cursor cursor = handover_begin(from);
    const struct handed_query *handed;
    do {
        while (w->batch_count < SERVE_BATCH_MAX && (handed = handover_next(from, &cursor))) {
            w->batch[w->batch_count++] = (struct serve_item){
                .client = handed->client,
                .in = handed->bytes,
                .in_len = handed->len,
                .handed_over = true,
            };
        }
        bool full = w->batch_count == SERVE_BATCH_MAX;
        batch_run(w);
        handover_take(from, &cursor);
        if (!full)
            return;
    } while (true);
}

static void others_wake(struct worker *w)
{
    for (uint32_t i = 0; i < w->config.worker_count; i++) {
        if (!w->wakes[i])
            continue;
        w->wakes[i] = false;
        ring_wake(w->ring, w->ring_fds[i], op_pack(OP_HANDOVER, w->serve_config.worker, 0),
                  op_pack(OP_WAKE, i, 0));
    }
}

static uint64_t wait_us(const struct worker *w)
{
    uint64_t deadline_us = serve_deadline(w->serve);
    if (deadline_us == WHEEL_NEVER)
        return UINT64_MAX;
    uint64_t now_us = w->config.now_us(w->config.clock);
    return deadline_us > now_us ? deadline_us - now_us : 0;
}

static int loop(struct worker *w)
{
    for (size_t i = 0; i < w->config.listener_count; i++)
        listener_receive(w, (uint32_t)i);
    ring_watch(w->ring, w->stop_fd, op_pack(OP_STOP, 0, 0));

    bool going = true;
    while (going && w->result == 0) {
        int count = ring_wait(w->ring, wait_us(w), w->events, EVENT_MAX);
        if (count < 0)
            return count;
        w->out_used = 0;
        w->now_us = w->config.now_us(w->config.clock);
        for (int i = 0; i < count; i++)
            going &= event_do(w, &w->events[i]);
        query_batch_run(w);
        for (unsigned i = 0; i < w->config.worker_count; i++) {
            if (w->config.from[i])
                handed_do(w, w->config.from[i]);
        }
        serve_expire(w->serve, w->now_us);
        drain(w);
        others_wake(w);
    }
    return w->result;
}

static void *thread_main(void *argument)
{
    struct worker *w = argument;
    char name[16];
    snprintf(name, sizeof name, "worker-%u", w->serve_config.worker % 1000);
    pthread_setname_np(pthread_self(), name);
    w->result = ring_start(w->ring);
    if (w->result == 0) {
        w->result = loop(w);
        ring_end(w->ring);
    }
    if (w->result < 0) {
        ssize_t written = write(w->config.failure_fd, &(uint64_t){1}, sizeof(uint64_t));
        (void)written; // an eventfd takes it
    }
    return NULL;
}

static int listeners_open(struct worker *w, char why[static WORKER_WHY_SIZE])
{
    for (size_t i = 0; i < w->config.listener_count; i++) {
        char text[ADDRESS_TEXT_MAX];
        address_format(&w->config.listeners[i], text);
        int error = udp_listen(&w->config.listeners[i]);
        w->listeners[i] = (struct listener){error, udp_is_wildcard(&w->config.listeners[i])};
        if (error >= 0)
            error = ring_file(w->ring, (unsigned)i, w->listeners[i].fd);
        if (error < 0) {
            snprintf(why, WORKER_WHY_SIZE, "cannot listen on %s: %s", text, strerror(-error));
            return error;
        }
    }
    return 0;
}

static int ring_prepare(struct worker *w, char why[static WORKER_WHY_SIZE])
{
    int error = ring_open(&w->ring, RING_ENTRIES, (unsigned)w->config.listener_count);
    if (error == 0)
        error = ring_buffers(w->ring, QUERY_GROUP, QUERY_BUFFERS, QUERY_BUFFER_SIZE);
    if (error == 0)
        error = ring_buffers(w->ring, REPLY_GROUP, REPLY_BUFFERS, REPLY_BUFFER_SIZE);
    if (error < 0)
        snprintf(why, WORKER_WHY_SIZE, "cannot use io_uring: %s", ring_why(error));
    return error;
}

static int memory_take(struct worker *w)
{
    w->serve = aligned_alloc(64, aligned(serve_size(&w->serve_config)));
    w->listeners = calloc(w->config.listener_count, sizeof *w->listeners);
    w->wakes = calloc(w->config.worker_count, sizeof *w->wakes);
    if (!w->serve || !w->listeners || !w->wakes)
        return -ENOMEM;
    for (size_t i = 0; i < w->config.listener_count; i++)
        w->listeners[i].fd = -1;
    w->serve = serve_init(w->serve, &w->serve_config, w->config.now_us(w->config.clock));
    w->room = aligned(serve_reply_room(w->serve));
    w->out_size = OUT_BATCHES * SERVE_BATCH_MAX * (w->room + ADDRESS_ROOM);
    w->out = aligned_alloc(64, w->out_size);
    return w->out ? 0 : -ENOMEM;
}

int worker_open(struct worker **out, const struct worker_config *config,
                char why[static WORKER_WHY_SIZE])
{
    struct worker *w = aligned_alloc(64, aligned(sizeof *w));
    if (!w) {
        snprintf(why, WORKER_WHY_SIZE, "no memory for a worker");
        return -ENOMEM;
    }
    memset(w, 0, sizeof *w);
    w->config = *config;
    w->serve_config = *config->serve;
    for (size_t i = 0; i < WORKER_UPSTREAM_PORTS; i++)
        w->upstream[i].fd = -1;
    w->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int error = w->stop_fd < 0 ? -errno : memory_take(w);
    if (error < 0)
        snprintf(why, WORKER_WHY_SIZE, "cannot make a worker: %s", strerror(-error));
    if (error == 0)
        error = ring_prepare(w, why);
    if (error == 0)
        error = listeners_open(w, why);
    if (error < 0) {
        worker_close(w);
        return error;
    }
    *out = w;
    return 0;
}

int worker_ring_fd(const struct worker *w)
{
    return ring_fd(w->ring);
}

void worker_ring_fds(struct worker *w, const int *fds)
{
    w->ring_fds = fds;
}

int worker_start(struct worker *w)
{
    // Signals are the main thread's.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&w->thread, NULL, thread_main, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    w->running = error == 0;
    return -error;
}

int worker_stop(struct worker *w)
{
    if (!w->running)
        return 0;
    ssize_t written = write(w->stop_fd, &(uint64_t){1}, sizeof(uint64_t));
    (void)written; // an eventfd takes it
    pthread_join(w->thread, NULL);
    w->running = false;
    return w->result;
}

void worker_close(struct worker *w)
{
    if (w->ring)
        ring_close(w->ring);
    for (size_t i = 0; w->listeners && i < w->config.listener_count; i++) {
        if (w->listeners[i].fd >= 0)
            close(w->listeners[i].fd);
    }
    for (size_t i = 0; i < WORKER_UPSTREAM_PORTS; i++) {
        if (w->upstream[i].fd >= 0)
            close(w->upstream[i].fd);
    }
    if (w->stop_fd >= 0)
        close(w->stop_fd);
    free(w->serve);
    free(w->listeners);
    free(w->wakes);
    free(w->out);
    free(w);
}
