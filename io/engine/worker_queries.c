// SPDX-License-Identifier: MIT
#include "io/engine/worker_queries.h"

#include "io/net/sockaddr.h"

#include <string.h>

// Queries come as datagrams, which gather in a batch, over connections, which are answered one by
// one, and from other workers, in both ways. Replies leave in the order in which they were made.

// Puts something into the ring to another worker, who is woken later on.
static bool hand_to(struct worker *w, uint16_t other, enum queued_kind kind,
                    const struct client *client, const uint8_t *bytes, size_t len)
{
    assert(other < w->config.worker_count && w->config.to[other] && len <= UINT16_MAX);
    bool put = worker_queue_put(w->config.to[other], kind, client, bytes, (uint16_t)len);
    w->wakes[other] |= put;
    return put;
}

// The same of what must not be lost, as a connection waits for it. Where even that cannot be kept
// the connection takes the query for waiting until CLIENTS_WAITING_US have passed.
static void owed_to(struct worker *w, enum queued_kind kind, const struct client *client,
                    const uint8_t *bytes, size_t len)
{
    static const uint8_t nothing[1]; // what has no octets marks a ring's end
    if ((w->overflow.count == 0 && hand_to(w, client->worker, kind, client, bytes, len)) ||
        overflow_add(&w->overflow, kind, client, bytes, len))
        return;
    counter_add(w->serve_config.counters, COUNTER_send_failures, kind == QUEUED_ANSWER);
    (void)!overflow_add(&w->overflow, QUEUED_NO_REPLY, client, nothing, sizeof nothing);
}

static bool overflow_put(void *context, enum queued_kind kind, const struct client *client,
                         const uint8_t *bytes, size_t len)
{
    return hand_to(context, client->worker, kind, client, bytes, len);
}

void worker_overflow_flush(struct worker *w)
{
    if (w->overflow.count > 0)
        overflow_flush(&w->overflow, overflow_put, w);
}

static void no_reply(struct worker *w, const struct client *client)
{
    static const uint8_t nothing[1];
    if (client_has_connection(client) && client->worker == w->serve_config.worker)
        clients_no_reply(w->clients, client);
    else if (client_has_connection(client))
        owed_to(w, QUEUED_NO_REPLY, client, nothing, sizeof nothing);
}

// A reply over TCP goes out through the worker that holds the connection.
static void tcp_reply_send(struct worker *w, const struct client *client, const uint8_t *bytes,
                           size_t len)
{
    if (client->worker == w->serve_config.worker)
        clients_reply(w->clients, client, bytes, len, w->now_us);
    else
        owed_to(w, QUEUED_ANSWER, client, bytes, len);
}

// `to` stays where it is until the next submission, as the octets do.
static inline void datagram_send(struct worker *w, const struct client *client, const void *bytes,
                                 size_t len, const struct sockaddr *to)
{
    assert(client->listener < LISTENERS_MAX);
    uint64_t tag = op_pack(OP_ANSWER, client->listener, 0);
    unsigned sender = listener_sender(client->listener);
    assert(send_buffer_holds(&w->out, bytes, len));
    if (!w->listeners.slots[client->listener].wildcard) {
        net_send_to(w->net, sender, bytes, len, to, tag);
        return;
    }
    net_send_from(w->net, sender, bytes, len, to, client->local, tag);
}

static void reply_send(struct worker *w, const struct client *client, const void *bytes, size_t len)
{
    if (client_has_connection(client)) {
        tcp_reply_send(w, client, bytes, len);
        return;
    }
    struct sockaddr_in6 *to = send_buffer_reserve(&w->out, sizeof *to);
    sockaddr_write(to, &client->from);
    datagram_send(w, client, bytes, len, (const struct sockaddr *)to);
}

[[gnu::noinline]] static void told_put(struct worker *w, const struct client *client,
                                       uint64_t since_us, uint8_t source, const uint8_t *bytes,
                                       size_t len)
{
    const struct listener *listener = &w->listeners.slots[client->listener];
    struct logged_answer logged = {
        .since_us = since_us, .now_us = w->now_us, .at = listener->address, .source = source};
    if (listener->wildcard && !client_has_connection(client))
        memcpy(logged.at.ip, client->local, sizeof logged.at.ip);
    bool put = answer_log_put(&w->answer_log, &logged, client, bytes, len);
    counter_add(w->serve_config.counters, put ? COUNTER_answers_logged : COUNTER_answer_log_full,
                1);
}

// Logs an answer, where the answer log is on.
static inline void answer_tell(struct worker *w, const struct client *client, uint64_t since_us,
                               uint8_t source, const uint8_t *bytes, size_t len)
{
    if (answer_log_wants(&w->answer_log))
        told_put(w, client, since_us, source, bytes, len);
}

static inline void item_tell(struct worker *w, const struct serve_item *item)
{
    answer_tell(w, &item->client, w->now_us, item->source, item->out, item->out_len);
}

void worker_reply_late(struct worker *w, const struct outgoing *outgoing)
{
    answer_tell(w, &outgoing->client, outgoing->since_us, outgoing->source, outgoing->bytes,
                outgoing->len);
    reply_send(w, &outgoing->client, outgoing->bytes, outgoing->len);
}

// Passes a query on to its home. One that is longer than it need be takes no more room there than
// any other: all share the queue.
static void hand_over(struct worker *w, const struct serve_item *item)
{
    enum queued_kind kind = item->hint ? QUEUED_HINT : QUEUED_QUERY;
    uint8_t reduced[QUERY_REDUCED_MAX];
    const uint8_t *in = item->in;
    size_t len = item->in_len;
    if (len > sizeof reduced) {
        len = query_reduce(in, len, reduced);
        in = reduced;
        assert(len > 0); // or it would not have been looked up
    }
    if (!hand_to(w, item->owner, kind, &item->client, in, len) && !item->hint) {
        serve_handover_failed(w->serve);
        no_reply(w, &item->client);
    }
}

// How long those that were answered at once have waited here.
static void at_once_note(const struct worker *w, uint64_t count)
{
    if (count > 0)
        histogram_add(&w->serve_config.counters->timings[TIMING_AT_ONCE],
                      w->config.now_us(w->config.clock) - w->now_us, count);
}

// A query over TCP, whose answer may be too long for the buffer of a batch. Replying comes last: it
// may end the connection.
static void tcp_query_run(struct worker *w, struct serve_item *item)
{
    bool is_hint = item->hint; // its worker has answered it
    size_t used = serve_queries(w->serve, w->now_us, item, 1, w->tcp_out, SERVE_MESSAGE_ROOM);
    bool own = item->client.worker == w->serve_config.worker;
    switch ((enum serve_verdict)item->verdict) {
    case SERVE_ANSWERED:
        assert(item->out == w->tcp_out && item->out_len <= used);
        item_tell(w, item);
        if (item->hint)
            hand_over(w, item);
        reply_send(w, &item->client, item->out, item->out_len);
        at_once_note(w, 1);
        break;
    case SERVE_ELSEWHERE:
        hand_over(w, item);
        break;
    case SERVE_DROPPED:
        if (own && item->not_dns)
            clients_not_dns(w->clients, &item->client);
        else if (!is_hint)
            no_reply(w, &item->client);
        break;
    case SERVE_WAITING:
    case SERVE_HINTED:
        break;
    }
}

void worker_batch_run(struct worker *w)
{
    uint64_t answered = 0;
    if (w->batch_count == 0)
        return;
    size_t size = w->batch_count * (w->room + ADDRESS_ROOM);
    uint8_t *out = worker_out_room(w, size);
    (void)send_buffer_reserve(&w->out, serve_queries(w->serve, w->now_us, w->batch, w->batch_count,
                                                     out, w->batch_count * w->room));
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
        if (item->hint)
            hand_over(w, item);
    }
    w->batch_count = 0;
    at_once_note(w, answered);
}

void worker_buffers_return(struct worker *w)
{
    for (size_t i = 0; i < w->lent_count; i++)
        net_buffer_return(w->net, QUERY_GROUP, w->lent[i]);
    w->lent_count = 0;
}

// Puts a datagram in the batch. One whose sender cannot be told is left out.
static inline void query_receive(struct worker *w, const struct net_event *event, uint32_t listener)
{
    assert(w->batch_count < SERVE_BATCH_MAX);
    bool wildcard = w->listeners.slots[listener].wildcard;
    struct serve_item *item = &w->batch[w->batch_count];
    struct client *client = &item->client;
    if (!event->from || (wildcard && !event->local) || !sockaddr_read(&client->from, event->from))
        return;
    if (wildcard)
        memcpy(client->local, event->local, client->from.family == ADDRESS_IPV4 ? 4 : 16);
    // All that is read of it has its value here: what an earlier one has left may stand in the
    // rest.
    client->listener = (uint16_t)listener;
    client->transport = TRANSPORT_UDP;
    client->worker = 0;
    client->connection = client->generation = 0;
    item->in = event->bytes;
    item->in_len = (uint16_t)event->result;
    item->handed_over = item->hint = item->not_dns = false;
    item->cut = event->cut || (unsigned)event->result > w->query_max;
    w->batch_from[w->batch_count++] = event->from;
}

void worker_query_arrived(struct worker *w, const struct net_event *event)
{
    uint32_t listener = op_slot(event->tag);
    assert(listener < LISTENERS_MAX && w->lent_count < EVENT_MAX);
    if (event->lent) {
        w->lent[w->lent_count++] = event->buffer;
        query_receive(w, event, listener);
    }
    if (w->batch_count == SERVE_BATCH_MAX)
        worker_batch_run(w);
    if (!event->more) { // most often the buffers ran out
        counter_add(w->serve_config.counters, COUNTER_receive_rearmed, 1);
        listeners_receive_ended(&w->listeners, listener, event->result, w->now_us);
    }
}

void worker_client_connected(struct worker *w, const struct net_event *event)
{
    static const enum counter counters[] = {
        [CLIENTS_TAKEN] = COUNTER_tcp_accepted,
        [CLIENTS_FULL] = COUNTER_tcp_full,
        [CLIENTS_TOO_MANY] = COUNTER_tcp_too_many,
        [CLIENTS_GONE] = COUNTER_tcp_gone,
    };
    uint32_t listener = op_slot(event->tag);
    assert(listener < LISTENERS_MAX);
    if (event->result >= 0) {
        enum clients_verdict verdict =
            clients_accepted(w->clients, event->result, (uint16_t)listener, w->now_us);
        counter_add(w->serve_config.counters, counters[verdict], 1);
    }
    if (!event->more)
        listeners_accept_ended(&w->listeners, listener, event->result, w->now_us);
}

// Answers what a connection's client has asked.
static void tcp_queries_run(struct worker *w, uint32_t slot)
{
    struct serve_item item = {0};
    size_t len;
    while (clients_query(w->clients, slot, &item.client, &item.in, &len)) {
        item.in_len = (uint16_t)len;
        tcp_query_run(w, &item);
        item = (struct serve_item){0};
    }
}

void worker_client_happened(struct worker *w, const struct net_event *event)
{
    clients_event(w->clients, event, w->now_us);
    tcp_queries_run(w, op_slot(event->tag));
}

void worker_ready_do(struct worker *w)
{
    uint32_t slot;
    while (clients_ready(w->clients, &slot))
        tcp_queries_run(w, slot);
}

// Takes one thing that another worker has handed over; datagrams gather in the batch.
static void queued_receive(struct worker *w, const struct queued *queued)
{
    struct serve_item item = {
        .client = queued->client,
        .in = queued->bytes,
        .in_len = queued->len,
        .handed_over = true,
        .hint = queued->kind == QUEUED_HINT,
    };
    if (queued->kind == QUEUED_ANSWER) {
        clients_reply(w->clients, &queued->client, queued->bytes, queued->len, w->now_us);
    } else if (queued->kind == QUEUED_NO_REPLY) {
        clients_no_reply(w->clients, &queued->client);
    } else if (client_has_connection(&queued->client)) {
        tcp_query_run(w, &item);
    } else {
        assert(w->batch_count < SERVE_BATCH_MAX);
        w->batch_from[w->batch_count] = NULL;
        w->batch[w->batch_count++] = item;
    }
}

// The ring's room is given back when what lay there is answered.
void worker_queue_read(struct worker *w, struct worker_queue *from)
{
    struct worker_queue_cursor cursor = worker_queue_begin(from);
    const struct queued *queued;
    do {
        while (w->batch_count < SERVE_BATCH_MAX && (queued = worker_queue_next(from, &cursor)))
            queued_receive(w, queued);
        bool full = w->batch_count == SERVE_BATCH_MAX;
        worker_batch_run(w);
        worker_queue_release(from, &cursor);
        if (!full)
            return;
    } while (true);
}
