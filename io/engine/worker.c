// SPDX-License-Identifier: MIT
#include "io/engine/worker.h"

#include "io/engine/clients.h"
#include "io/engine/listener.h"
#include "io/engine/op.h"
#include "io/engine/stream.h"

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
    STREAM_UNSENT_MAX = 256 * 1024,     // to an upstream
    ADDRESS_ROOM = 64 + RING_FORM_SIZE, // behind each reply
};

struct upstream_socket {
    int fd; // -1: none
    uint32_t generation;
};

struct worker {
    struct worker_config config;
    struct serve_config serve_config;
    struct serve *serve;
    size_t serve_size;
    struct ring *ring;
    pthread_t thread;
    bool running;
    int stop_fd;
    int result;
    struct job job;
    const int *ring_fds;
    struct listeners listeners;
    struct tap tap;
    struct upstream_socket upstream[WORKER_UPSTREAM_PORTS];
    struct streams *streams;
    struct clients *clients; // over TCP
    uint8_t *stream_out;     // a reply to one of them while it is made
    struct serve_item batch[SERVE_BATCH_MAX];
    const struct sockaddr *batch_from[SERVE_BATCH_MAX]; // NULL: handed over by another worker
    size_t batch_count;
    uint16_t lent[EVENT_MAX]; // buffers of this round's queries, which replies take addresses from
    size_t lent_count;
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

// Puts something into the ring to another worker, who is woken later on.
static bool hand_to(struct worker *w, uint16_t other, enum handed_kind kind,
                    const struct client *client, const uint8_t *bytes, size_t len)
{
    bool put = handover_put(w->config.to[other], kind, client, bytes, (uint16_t)len);
    w->wakes[other] |= put;
    return put;
}

// A reply over TCP goes out through the worker that holds the connection.
static void stream_reply_send(struct worker *w, const struct client *client, const uint8_t *bytes,
                              size_t len)
{
    if (client->worker == w->serve_config.worker)
        clients_reply(w->clients, client, bytes, len, w->now_us);
    else if (!hand_to(w, client->worker, HANDED_ANSWER, client, bytes, len))
        counter_add(w->serve_config.counters, COUNTER_send_failures, 1);
}

// `to` stays where it is until the next submission, as the octets do.
static inline void datagram_send(struct worker *w, const struct client *client, const void *bytes,
                                 size_t len, const struct sockaddr *to)
{
    uint64_t tag = op_pack(OP_ANSWER, client->listener, 0);
    unsigned sender = listener_sender(client->listener);
    if (!w->listeners.slots[client->listener].wildcard) {
        ring_send_to(w->ring, sender, bytes, len, to, tag);
        return;
    }
    void *form = w->out + w->out_used;
    w->out_used += RING_FORM_SIZE;
    ring_send_from(w->ring, sender, bytes, len, to, client->local, form, tag);
}

static void reply_send(struct worker *w, const struct client *client, const void *bytes, size_t len)
{
    if (client->tcp) {
        stream_reply_send(w, client, bytes, len);
        return;
    }
    struct sockaddr_in6 *to = (void *)(w->out + w->out_used);
    w->out_used += aligned(sizeof *to);
    udp_address_give(to, &client->from);
    datagram_send(w, client, bytes, len, (const struct sockaddr *)to);
}

[[gnu::noinline]] static void told_put(struct worker *w, const struct client *client,
                                       uint64_t since_us, uint8_t source, const uint8_t *bytes,
                                       size_t len)
{
    const struct listener *listener = &w->listeners.slots[client->listener];
    struct tapped tapped = {
        .since_us = since_us, .now_us = w->now_us, .at = listener->address, .source = source};
    if (listener->wildcard && !client->tcp)
        memcpy(tapped.at.ip, client->local, sizeof tapped.at.ip);
    bool put = tap_put(&w->tap, &tapped, client, bytes, len);
    counter_add(w->serve_config.counters, put ? COUNTER_tapped : COUNTER_tap_full, 1);
}

// Tells of an answer, where somebody wants to know.
static inline void answer_tell(struct worker *w, const struct client *client, uint64_t since_us,
                               uint8_t source, const uint8_t *bytes, size_t len)
{
    if (tap_wants(&w->tap))
        told_put(w, client, since_us, source, bytes, len);
}

static inline void item_tell(struct worker *w, const struct serve_item *item)
{
    answer_tell(w, &item->client, w->now_us, item->source, item->out, item->out_len);
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

static void upstream_send(struct worker *w, const struct outgoing *outgoing)
{
    const struct upstream_socket *socket = &w->upstream[outgoing->port];
    ring_send(w->ring, socket->fd, outgoing->bytes, outgoing->len,
              op_pack(OP_UPSTREAM_SEND, outgoing->port, socket->generation));
}

static void stream_give_up(struct worker *w, uint16_t stream)
{
    streams_disconnect(w->streams, stream);
    serve_stream_closed(w->serve, w->now_us, stream);
}

static void outgoing_do(struct worker *w, const struct outgoing *outgoing)
{
    switch (outgoing->kind) {
    case OUTGOING_REPLY:
        w->out_used += aligned(outgoing->len);
        answer_tell(w, &outgoing->client, outgoing->since_us, outgoing->source, outgoing->bytes,
                    outgoing->len);
        reply_send(w, &outgoing->client, outgoing->bytes, outgoing->len);
        break;
    case OUTGOING_OPEN:
        upstream_open(w, outgoing);
        break;
    case OUTGOING_QUERY:
        w->out_used += aligned(outgoing->len);
        upstream_send(w, outgoing);
        break;
    case OUTGOING_CLOSE:
        upstream_close(w, outgoing->port);
        break;
    case OUTGOING_CONNECT:
        if (streams_connect(w->streams, outgoing->port, outgoing->upstream) < 0)
            serve_stream_closed(w->serve, w->now_us, outgoing->port);
        break;
    case OUTGOING_MESSAGE:
        if (!streams_send(w->streams, outgoing->port, outgoing->bytes, outgoing->len))
            stream_give_up(w, outgoing->port);
        break;
    case OUTGOING_DISCONNECT:
        streams_disconnect(w->streams, outgoing->port);
        break;
    }
}

static void drain(struct worker *w)
{
    struct outgoing outgoing = {0};
    do {
        outgoing.bytes = out_room(w, SERVE_STREAM_ROOM + ADDRESS_ROOM);
        outgoing.port = 0;
        if (!serve_drain(w->serve, w->now_us, &outgoing))
            return;
        outgoing_do(w, &outgoing);
    } while (true);
}

static void hand_over(struct worker *w, const struct serve_item *item)
{
    enum handed_kind kind = item->note ? HANDED_NOTE : HANDED_QUERY;
    if (!hand_to(w, item->owner, kind, &item->client, item->in, item->in_len) && !item->note) {
        serve_handover_failed(w->serve);
        clients_no_reply(w->clients, &item->client);
    }
}

// How long those that were answered at once have waited here.
static void at_once_note(const struct worker *w, uint64_t count)
{
    if (count > 0)
        histogram_add(&w->serve_config.counters->timings[TIMING_AT_ONCE],
                      w->config.now_us(w->config.clock) - w->now_us, count);
}

// A query over TCP, whose answer may be too long to be made beside others.
static void stream_query_run(struct worker *w, struct serve_item *item)
{
    serve_queries(w->serve, w->now_us, item, 1, w->stream_out);
    if (item->verdict == SERVE_ANSWERED) {
        item_tell(w, item);
        reply_send(w, &item->client, item->out, item->out_len);
        at_once_note(w, 1);
    }
    bool own = item->client.worker == w->serve_config.worker;
    if (item->verdict == SERVE_DROPPED && own && item->noise)
        clients_noise(w->clients, &item->client);
    else if (item->verdict == SERVE_DROPPED && own)
        clients_no_reply(w->clients, &item->client);
    if (item->verdict == SERVE_ELSEWHERE || (item->verdict == SERVE_ANSWERED && item->note))
        hand_over(w, item);
}

// Where the replies of the batch end in `out`: what else is needed to send them goes behind.
static size_t replies_end(const struct worker *w)
{
    for (size_t i = w->batch_count; i-- > 0;) {
        const struct serve_item *item = &w->batch[i];
        if (item->verdict == SERVE_ANSWERED)
            return (size_t)(item->out - w->out) + item->out_len;
    }
    return w->out_used;
}

static void batch_run(struct worker *w)
{
    uint64_t answered = 0;
    if (w->batch_count == 0)
        return;
    uint8_t *out = out_room(w, w->batch_count * (w->room + ADDRESS_ROOM));
    serve_queries(w->serve, w->now_us, w->batch, w->batch_count, out);
    w->out_used = aligned(replies_end(w));
    for (size_t i = 0; i < w->batch_count; i++) {
        const struct serve_item *item = &w->batch[i];
        if (item->verdict != SERVE_ANSWERED) {
            if (item->verdict == SERVE_ELSEWHERE)
                hand_over(w, item);
            continue;
        }
        answered++;
        item_tell(w, item);
        if (w->batch_from[i])
            datagram_send(w, &item->client, item->out, item->out_len, w->batch_from[i]);
        else
            reply_send(w, &item->client, item->out, item->out_len);
        if (item->note)
            hand_over(w, item);
    }
    w->batch_count = 0;
    at_once_note(w, answered);
}

// Gives back the receive buffers of the round before, whose replies have left.
static void buffers_return(struct worker *w)
{
    for (size_t i = 0; i < w->lent_count; i++)
        ring_buffer_return(w->ring, QUERY_GROUP, w->lent[i]);
    w->lent_count = 0;
}

// Puts a datagram in the batch. One whose sender cannot be told is left out.
static inline void query_take(struct worker *w, const struct ring_event *event, uint32_t listener)
{
    bool wildcard = w->listeners.slots[listener].wildcard;
    struct datagram datagram;
    struct serve_item *item = &w->batch[w->batch_count];
    struct client *client = &item->client;
    if (!ring_datagram(w->ring, event, QUERY_GROUP, wildcard, &datagram) ||
        !udp_address_take(&client->from, datagram.from))
        return;
    if (wildcard)
        memcpy(client->local, datagram.local, client->from.family == ADDRESS_IPV4 ? 4 : 16);
    // All that is read of it has its value here: what an earlier one has left may stand in the
    // rest.
    client->listener = (uint16_t)listener;
    client->tcp = false;
    client->worker = 0;
    client->connection = client->generation = 0;
    item->in = datagram.bytes;
    item->in_len = (uint16_t)datagram.len;
    item->handed_over = item->note = item->noise = false;
    item->cut = datagram.cut || datagram.len > UDP_QUERY_MAX;
    w->batch_from[w->batch_count++] = datagram.from;
}

static void query_arrived(struct worker *w, const struct ring_event *event)
{
    uint32_t listener = op_slot(event->tag);
    if (ring_event_has_buffer(event)) {
        query_take(w, event, listener);
        w->lent[w->lent_count++] = ring_event_buffer(event);
    }
    if (w->batch_count == SERVE_BATCH_MAX)
        batch_run(w);
    if (!ring_event_more(event)) { // most often the buffers ran out
        counter_add(w->serve_config.counters, COUNTER_receive_rearmed, 1);
        listeners_receive_again(&w->listeners, listener);
    }
}

static void reply_arrived(struct worker *w, const struct ring_event *event)
{
    uint32_t port = op_slot(event->tag);
    struct upstream_socket *socket = &w->upstream[port];
    bool current = socket->fd >= 0 && (socket->generation & 0xffffff) == op_generation(event->tag);
    if (ring_event_has_buffer(event)) {
        if (current && event->result >= 0)
            serve_reply(w->serve, w->now_us, (uint16_t)port,
                        ring_buffer(w->ring, REPLY_GROUP, ring_event_buffer(event)),
                        (size_t)event->result);
        ring_buffer_return(w->ring, REPLY_GROUP, ring_event_buffer(event));
    } else if (current && event->result < 0 && event->result != -ENOBUFS &&
               event->result != -ECANCELED) {
        serve_unreachable(w->serve, w->now_us, (uint16_t)port);
    }
    drain(w);
    // Serve may have closed the socket meanwhile, or opened another in its slot.
    current = socket->fd >= 0 && (socket->generation & 0xffffff) == op_generation(event->tag);
    if (current && !ring_event_more(event)) {
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

// Something happened on a connection: what has arrived is taken, and then its end, if it came.
static void stream_happened(struct worker *w, const struct ring_event *event)
{
    uint16_t stream = (uint16_t)op_slot(event->tag);
    enum stream_state state = streams_event(w->streams, event);
    const uint8_t *message;
    size_t len;
    if (state == STREAM_OLD)
        return;
    while (streams_message(w->streams, stream, &message, &len)) {
        serve_stream_reply(w->serve, w->now_us, stream, message, len);
        drain(w);
    }
    if (state != STREAM_GOES_ON)
        stream_give_up(w, stream);
    drain(w);
}

static void client_connected(struct worker *w, const struct ring_event *event)
{
    static const enum counter counters[] = {
        [CLIENTS_TAKEN] = COUNTER_tcp_accepted,
        [CLIENTS_FULL] = COUNTER_tcp_full,
        [CLIENTS_TOO_MANY] = COUNTER_tcp_too_many,
        [CLIENTS_GONE] = COUNTER_tcp_gone,
    };
    uint32_t listener = op_slot(event->tag);
    if (event->result >= 0) {
        enum clients_verdict verdict =
            clients_accepted(w->clients, event->result, (uint16_t)listener, w->now_us);
        counter_add(w->serve_config.counters, counters[verdict], 1);
    }
    if (!ring_event_more(event))
        listeners_accept_again(&w->listeners, listener, event->result, w->now_us);
}

static void client_happened(struct worker *w, const struct ring_event *event)
{
    uint32_t slot = op_slot(event->tag);
    size_t len;
    clients_event(w->clients, event, w->now_us);
    struct serve_item item = {0};
    while (clients_query(w->clients, slot, &item.client, &item.in, &len)) {
        item.in_len = (uint16_t)len;
        stream_query_run(w, &item);
        item = (struct serve_item){0};
    }
}

static void job_watch(struct worker *w)
{
    ring_watch(w->ring, w->job.fd, op_pack(OP_JOB, 0, 0));
}

// Returns false when the worker is to end.
static bool event_do(struct worker *w, const struct ring_event *event)
{
    if (op_kind(event->tag) == OP_QUERY) { // nearly all are
        query_arrived(w, event);
        return true;
    }
    switch (op_kind(event->tag)) {
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
    case OP_JOB:
        job_woken(&w->job);
        job_watch(w);
        return true;
    case OP_STREAM_CONNECT:
    case OP_STREAM_RECEIVE:
    case OP_STREAM_SEND:
        stream_happened(w, event);
        return true;
    case OP_ACCEPT:
        client_connected(w, event);
        return true;
    case OP_CLIENT_CONNECT:
    case OP_CLIENT_RECEIVE:
    case OP_CLIENT_SEND:
        client_happened(w, event);
        return true;
    case OP_QUERY:
    case OP_HANDOVER:
    case OP_CANCEL:
        return true;
    }
    return true;
}

// Takes one thing that another worker has handed over; datagrams gather in the batch.
static void handed_take(struct worker *w, const struct handed *handed)
{
    struct serve_item item = {
        .client = handed->client,
        .in = handed->bytes,
        .in_len = handed->len,
        .handed_over = true,
        .note = handed->kind == HANDED_NOTE,
    };
    if (handed->kind == HANDED_ANSWER) {
        clients_reply(w->clients, &handed->client, handed->bytes, handed->len, w->now_us);
    } else if (handed->client.tcp) {
        stream_query_run(w, &item);
    } else {
        w->batch_from[w->batch_count] = NULL;
        w->batch[w->batch_count++] = item;
    }
}

// Answers what another worker has handed over. The ring's room is given back when that is done.
static void handed_do(struct worker *w, struct handover *from)
{
    struct handover_cursor cursor = handover_begin(from);
    const struct handed *handed;
    do {
        while (w->batch_count < SERVE_BATCH_MAX && (handed = handover_next(from, &cursor)))
            handed_take(w, handed);
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

static uint64_t wait_us(struct worker *w)
{
    uint64_t deadline_us = serve_deadline(w->serve);
    uint64_t clients_us = clients_expire(w->clients, w->now_us);
    uint64_t listeners_us = listeners_expire(&w->listeners, w->now_us);
    deadline_us = clients_us < deadline_us ? clients_us : deadline_us;
    deadline_us = listeners_us < deadline_us ? listeners_us : deadline_us;
    if (job_is_there(&w->job))
        return 0; // there is more of it
    if (deadline_us == UINT64_MAX)
        return UINT64_MAX;
    uint64_t now_us = w->config.now_us(w->config.clock);
    return deadline_us > now_us ? deadline_us - now_us : 0;
}

static int loop(struct worker *w)
{
    for (unsigned i = 0; i < LISTENERS_MAX; i++)
        listeners_hear(&w->listeners, i);
    ring_watch(w->ring, w->stop_fd, op_pack(OP_STOP, 0, 0));
    job_watch(w);

    bool going = true;
    while (going && w->result == 0) {
        int count = ring_wait(w->ring, wait_us(w), w->events, EVENT_MAX);
        if (count < 0)
            return count;
        w->out_used = 0;
        buffers_return(w);
        w->now_us = w->config.now_us(w->config.clock);
        for (int i = 0; i < count; i++)
            going &= event_do(w, &w->events[i]);
        batch_run(w);
        for (unsigned i = 0; i < w->config.worker_count; i++) {
            if (w->config.from[i])
                handed_do(w, w->config.from[i]);
        }
        if (job_do(&w->job, w->serve, w->now_us, w->serve_config.worker))
            w->room = aligned(serve_reply_room(w->serve)); // settings may be others now
        serve_expire(w->serve, w->now_us);
        drain(w);
        others_wake(w);
        counter_set(w->serve_config.counters, COUNTER_tcp_open, clients_open(w->clients));
    }
    return w->result;
}

static void *thread_main(void *argument)
{
    struct worker *w = argument;
    char name[16];
    snprintf(name, sizeof name, "worker-%u", w->serve_config.worker % 1000);
    pthread_setname_np(pthread_self(), name);
    steering_pin(w->config.steering, w->serve_config.worker);
    w->result = ring_start(w->ring);
    if (w->result == 0) {
        w->result = loop(w);
        ring_end(w->ring);
    }
    job_end(&w->job);
    if (w->result < 0) {
        ssize_t written = write(w->config.failure_fd, &(uint64_t){1}, sizeof(uint64_t));
        (void)written; // an eventfd takes it
    }
    return NULL;
}

static int ring_prepare(struct worker *w, char why[static WORKER_WHY_SIZE])
{
    int error = ring_open(&w->ring, RING_ENTRIES, LISTENER_PLACES);
    if (error == 0)
        error = ring_buffers(w->ring, QUERY_GROUP, QUERY_BUFFERS, QUERY_BUFFER_SIZE);
    if (error == 0)
        error = ring_buffers(w->ring, REPLY_GROUP, REPLY_BUFFERS, REPLY_BUFFER_SIZE);
    if (error == 0)
        error = streams_make(&w->streams, &(struct streams_config){
                                              .ring = w->ring,
                                              .count = WORKER_UPSTREAM_STREAMS,
                                              .group = REPLY_GROUP,
                                              .connect = OP_STREAM_CONNECT,
                                              .receive = OP_STREAM_RECEIVE,
                                              .send = OP_STREAM_SEND,
                                              .message_max = MESSAGE_LEN_MAX,
                                              .unsent_max = STREAM_UNSENT_MAX,
                                          });
    if (error < 0)
        snprintf(why, WORKER_WHY_SIZE, "cannot use io_uring: %s", ring_why(error));
    return error;
}

// The table of clients' connections is divided among the workers.
static int clients_prepare(struct worker *w)
{
    const struct settings *settings = w->serve_config.settings;
    uint64_t count = settings->server_tcp_connections_max / w->config.worker_count;
    uint64_t each = settings->server_tcp_connections_per_client;
    return clients_make(&w->clients, &(struct clients_config){
                                         .ring = w->ring,
                                         .count = (unsigned)(count > 0 ? count : 1),
                                         .per_client_max = (unsigned)each,
                                         .group = REPLY_GROUP,
                                         .idle_us = settings->server_tcp_idle_timeout * 1000,
                                         .worker = (uint16_t)w->serve_config.worker,
                                     });
}

static int memory_take(struct worker *w)
{
    w->serve_size = aligned(serve_size(&w->serve_config));
    w->serve = aligned_alloc(64, w->serve_size);
    w->wakes = calloc(w->config.worker_count, sizeof *w->wakes);
    w->stream_out = aligned_alloc(64, aligned(SERVE_STREAM_ROOM));
    if (!w->serve || !w->wakes || !w->stream_out)
        return -ENOMEM;
    w->serve = serve_init(w->serve, &w->serve_config, w->config.now_us(w->config.clock));
    w->room = aligned(serve_reply_room(w->serve));
    w->out_size =
        OUT_BATCHES * (SERVE_BATCH_MAX * (SERVE_REPLY_ROOM_MAX + ADDRESS_ROOM) + SERVE_STREAM_ROOM);
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
    listeners_init(&w->listeners, NULL, QUERY_GROUP);
    w->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int error = job_open(&w->job);
    if (error == 0)
        error = w->stop_fd < 0 ? -errno : memory_take(w);
    if (error < 0)
        snprintf(why, WORKER_WHY_SIZE, "cannot make a worker: %s", strerror(-error));
    if (error == 0)
        error = ring_prepare(w, why);
    if (error == 0)
        error = clients_prepare(w);
    w->listeners.ring = w->ring;
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

struct job *worker_job(struct worker *w)
{
    return &w->job;
}

void worker_memory(const struct worker *w, uint64_t *tables, uint64_t *buffers)
{
    *tables += w->serve_size + sizeof *w;
    *buffers += w->out_size + SERVE_STREAM_ROOM + QUERY_BUFFERS * QUERY_BUFFER_SIZE +
                REPLY_BUFFERS * REPLY_BUFFER_SIZE;
}

uint64_t worker_kernel_drops(const struct worker *w)
{
    return listeners_drops(&w->listeners);
}

struct listeners *worker_listeners(struct worker *w)
{
    return &w->listeners;
}

struct tap *worker_tap(struct worker *w)
{
    return &w->tap;
}

void worker_client_idle(struct worker *w, uint64_t idle_us)
{
    clients_idle(w->clients, idle_us);
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
    listeners_close(&w->listeners);
    for (size_t i = 0; i < WORKER_UPSTREAM_PORTS; i++) {
        if (w->upstream[i].fd >= 0)
            close(w->upstream[i].fd);
    }
    if (w->stop_fd >= 0)
        close(w->stop_fd);
    job_close(&w->job);
    streams_free(w->streams);
    clients_free(w->clients);
    free(w->stream_out);
    free(w->serve);
    free(w->wakes);
    free(w->out);
    free(w);
}
