// SPDX-License-Identifier: MIT
#include "io/engine/worker.h"

#include "io/engine/engine_sizes.h"
#include "io/engine/worker_queries.h"
#include "io/engine/worker_upstream.h"
#include "io/net/descriptor.h"
#include "io/net/wake.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static void task_watch(struct worker *w)
{
    net_watch(w->net, w->task.fd, op_pack(OP_TASK, 0, 0));
}

// Returns false when the worker is to end.
static bool event_do(struct worker *w, const struct net_event *event)
{
    if (op_kind(event->tag) == OP_QUERY) { // nearly all are
        worker_query_arrived(w, event);
        return true;
    }
    switch (op_kind(event->tag)) {
    case OP_REPLY:
        worker_reply_arrived(w, event);
        return true;
    case OP_ANSWER:
        counter_add(w->serve_config.counters, COUNTER_send_failures, 1);
        return true;
    case OP_UPSTREAM_SEND:
        worker_send_failed(w, event);
        return true;
    case OP_WAKE:
        assert(op_slot(event->tag) < w->config.worker_count);
        w->wakes[op_slot(event->tag)] = true; // tried again below
        return true;
    case OP_STOP:
        // Where it cannot be watched for, the worker could not be ended, nor be given a task.
        w->result = event->result < 0 ? event->result : w->result;
        return false;
    case OP_TASK:
        if (event->result < 0) {
            w->result = event->result;
            return false;
        }
        worker_task_woken(&w->task);
        task_watch(w);
        return true;
    case OP_TCP_CONNECT:
    case OP_TCP_RECEIVE:
    case OP_TCP_SEND:
        worker_tcp_happened(w, event);
        return true;
    case OP_ACCEPT:
        worker_client_connected(w, event);
        return true;
    case OP_CLIENT_RECEIVE:
    case OP_CLIENT_SEND:
        worker_client_happened(w, event);
        return true;
    case OP_CLOSE:
        assert(event->result != -EBADF); // or a descriptor of other use was closed
        return true;
    case OP_QUERY:
    case OP_QUEUE:
    case OP_CANCEL:
    case OP_NEVER:
        return true;
    }
    return true;
}

static void others_wake(struct worker *w)
{
    for (uint32_t i = 0; i < w->config.worker_count; i++) {
        if (!w->wakes[i])
            continue;
        w->wakes[i] = false;
        net_wake(w->net, w->nets[i], op_pack(OP_WAKE, i, 0));
    }
}

static uint64_t wait_us(struct worker *w)
{
    uint64_t deadline_us = serve_deadline(w->serve);
    uint64_t clients_us = clients_expire(w->clients, w->now_us);
    uint64_t listeners_us = listeners_expire(&w->listeners, w->now_us);
    deadline_us = clients_us < deadline_us ? clients_us : deadline_us;
    deadline_us = listeners_us < deadline_us ? listeners_us : deadline_us;
    if (worker_task_is_pending(&w->task))
        return 0; // there is more of it
    if (deadline_us == UINT64_MAX && w->overflow.count == 0)
        return UINT64_MAX;
    uint64_t now_us = w->config.now_us(w->config.clock);
    if (w->overflow.count > 0 && now_us + OVERFLOW_RETRY_US < deadline_us)
        deadline_us = now_us + OVERFLOW_RETRY_US;
    return deadline_us > now_us ? deadline_us - now_us : 0;
}

bool worker_begin(struct worker *w)
{
    w->result = net_start(w->net);
    if (w->result < 0)
        return false;
    w->started = true;
    for (unsigned i = 0; i < LISTENERS_MAX; i++)
        listeners_hear(&w->listeners, i);
    net_watch(w->net, w->stop_fd, op_pack(OP_STOP, 0, 0));
    task_watch(w);
    return true;
}

// What has come from clients, upstreams and other workers. Returns false when the worker is to end.
static bool events_do(struct worker *w, int count)
{
    bool going = true;
    for (int i = 0; i < count; i++)
        going &= event_do(w, &w->events[i]);
    worker_batch_run(w);
    for (unsigned i = 0; i < w->config.worker_count; i++) {
        if (w->config.from[i])
            worker_queue_read(w, w->config.from[i]);
    }
    worker_ready_do(w);
    return going;
}

bool worker_turn(struct worker *w)
{
    int count = net_wait(w->net, wait_us(w), w->events, EVENT_MAX);
    if (count < 0) {
        w->result = count;
        return false;
    }
    assert(w->batch_count == 0); // its octets lie in buffers that are given back here
    send_buffer_empty(&w->out);
    worker_buffers_return(w);
    w->now_us = w->config.now_us(w->config.clock);
    bool going = events_do(w, count);
    if (worker_task_do(&w->task, w->serve, w->now_us, w->serve_config.worker))
        w->room = aligned(serve_reply_room(w->serve)); // settings may be others now
    serve_expire(w->serve, w->now_us);
    worker_drain(w);
    worker_overflow_flush(w);
    clients_receive(w->clients);
    others_wake(w);
    counter_set(w->serve_config.counters, COUNTER_tcp_open, clients_open(w->clients));
    return going && w->result == 0;
}

void worker_end(struct worker *w)
{
    if (w->started)
        net_end(w->net);
    worker_task_end(&w->task);
    if (w->result < 0)
        wake_send(w->config.failure_fd);
}

void worker_ask_to_end(struct worker *w)
{
    wake_send(w->stop_fd);
}

static int net_prepare(struct worker *w, char why[static WORKER_WHY_SIZE])
{
    const struct net_engine *engine = w->config.net_engine;
    int error =
        net_open(&w->net, &(struct net_config){
                              .engine = engine,
                              .places = LISTENER_PLACES,
                              .wake_tag = op_pack(OP_QUEUE, 0, 0),
                              .groups =
                                  {
                                      [QUERY_GROUP] = {QUERY_BUFFERS, w->query_buffer, true},
                                      [REPLY_GROUP] = {REPLY_BUFFERS, REPLY_BUFFER_SIZE, false},
                                      [CLIENT_GROUP] = {CLIENT_BUFFERS, CLIENT_BUFFER_SIZE, false},
                                  },
                          });
    if (error == 0)
        error = connections_make(&w->tcp, &(struct connections_config){
                                              .net = w->net,
                                              .count = WORKER_UPSTREAM_CONNECTIONS,
                                              .group = REPLY_GROUP,
                                              .connect = OP_TCP_CONNECT,
                                              .receive = OP_TCP_RECEIVE,
                                              .send = OP_TCP_SEND,
                                              .message_max = MESSAGE_LEN_MAX,
                                              .unsent_max = UNSENT_MAX,
                                          });
    if (error < 0)
        snprintf(why, WORKER_WHY_SIZE, "cannot use %s: %s", engine->name, net_why(engine, error));
    return error;
}

// Of what a client may have of all workers, what it may have of one: its part, and a little more,
// as connections do not spread evenly over them.
static uint64_t part_of(uint64_t each, unsigned workers)
{
    uint64_t part = (each + workers - 1) / workers, root = 1;
    if (workers == 1)
        return each;
    while (root * root < part)
        root++;
    return part + 2 * root < each ? part + 2 * root : each;
}

// The table of clients' connections is divided among the workers.
static int clients_prepare(struct worker *w)
{
    const struct settings *settings = w->serve_config.settings;
    uint64_t count = w->config.connections_max / w->config.worker_count;
    uint64_t each = part_of(settings->server_tcp_connections_per_client, w->config.worker_count);
    return clients_make(&w->clients, &(struct clients_config){
                                         .net = w->net,
                                         .count = (unsigned)(count > 0 ? count : 1),
                                         .per_client_max = (unsigned)each,
                                         .group = CLIENT_GROUP,
                                         .held = engine_sizes_held(),
                                         .idle_us = settings->server_tcp_idle_timeout * 1000,
                                         .worker = (uint16_t)w->serve_config.worker,
                                     });
}

static int memory_allocate(struct worker *w)
{
    w->serve_size = aligned(serve_size(&w->serve_config));
    w->serve = aligned_malloc(w->serve_size);
    w->wakes = calloc(w->config.worker_count, sizeof *w->wakes);
    w->tcp_out = aligned_malloc(SERVE_MESSAGE_ROOM);
    if (!w->serve || !w->wakes || !w->tcp_out)
        return -ENOMEM;
    int error = overflow_open(&w->overflow);
    if (error < 0)
        return error;
    w->serve = serve_init(w->serve, &w->serve_config, w->config.now_us(w->config.clock));
    w->room = aligned(serve_reply_room(w->serve));
    w->out.size = aligned(OUT_BATCHES * (SERVE_BATCH_MAX * (SERVE_REPLY_ROOM_MAX + ADDRESS_ROOM) +
                                         SERVE_MESSAGE_ROOM));
    w->out.bytes = aligned_malloc(w->out.size);
    return w->out.bytes ? 0 : -ENOMEM;
}

// What clients may send is what we tell them that we take (RFC 6891 6.2.3), or what any of them
// takes for safe where we tell less. The buffer holds the sender's and our address in front.
static void query_size(struct worker *w)
{
    unsigned told = (unsigned)w->serve_config.settings->server_udp_payload_max;
    w->query_max = told > UPSTREAM_UDP_SIZE ? told : UPSTREAM_UDP_SIZE;
    w->query_buffer = aligned(NET_DATAGRAM_HEAD + w->query_max + 1) | 64;
}

int worker_open(struct worker **out, const struct worker_config *config,
                char why[static WORKER_WHY_SIZE])
{
    struct worker *w = aligned_malloc(sizeof *w);
    if (!w) {
        snprintf(why, WORKER_WHY_SIZE, "no memory for a worker");
        return -ENOMEM;
    }
    memset(w, 0, sizeof *w);
    w->config = *config;
    w->serve_config = *config->serve;
    query_size(w);
    for (size_t i = 0; i < WORKER_UPSTREAM_PORTS; i++)
        w->upstream[i].fd = -1;
    listeners_init(&w->listeners, NULL, QUERY_GROUP);
    w->stop_fd = wake_open();
    int error = worker_task_open(&w->task);
    if (error == 0)
        error = w->stop_fd < 0 ? -errno : memory_allocate(w);
    if (error < 0)
        snprintf(why, WORKER_WHY_SIZE, "cannot make a worker: %s", strerror(-error));
    if (error == 0)
        error = net_prepare(w, why);
    if (error == 0)
        error = clients_prepare(w);
    w->listeners.net = w->net;
    if (error < 0) {
        worker_close(w);
        return error;
    }
    *out = w;
    return 0;
}

const struct net *worker_net(const struct worker *w)
{
    return w->net;
}

void worker_nets(struct worker *w, const struct net *const *nets)
{
    w->nets = nets;
}

struct worker_task *worker_task_of(struct worker *w)
{
    return &w->task;
}

void worker_memory(const struct worker *w, uint64_t *tables, uint64_t *buffers)
{
    *tables += w->serve_size + sizeof *w + share_size(OVERFLOW_COUNT_MAX);
    *buffers += w->out.size + SERVE_MESSAGE_ROOM + QUERY_BUFFERS * w->query_buffer +
                REPLY_BUFFERS * REPLY_BUFFER_SIZE + CLIENT_BUFFERS * CLIENT_BUFFER_SIZE;
}

uint64_t worker_kernel_drops(const struct worker *w)
{
    return listeners_drops(&w->listeners);
}

struct listeners *worker_listeners(struct worker *w)
{
    return &w->listeners;
}

struct answer_log *worker_answer_log(struct worker *w)
{
    return &w->answer_log;
}

void worker_client_idle(struct worker *w, uint64_t idle_us)
{
    clients_idle(w->clients, idle_us);
}

void worker_close(struct worker *w)
{
    if (w->net)
        net_close(w->net);
    listeners_close(&w->listeners);
    for (size_t i = 0; i < WORKER_UPSTREAM_PORTS; i++) {
        if (w->upstream[i].fd >= 0)
            descriptor_close(w->upstream[i].fd);
    }
    if (w->stop_fd >= 0)
        wake_close(w->stop_fd);
    worker_task_close(&w->task);
    connections_free(w->tcp);
    clients_free(w->clients);
    free(w->tcp_out);
    free(w->serve);
    free(w->wakes);
    overflow_close(&w->overflow);
    free(w->out.bytes);
    free(w);
}
