// SPDX-License-Identifier: MIT
#pragma once
#include "io/engine/clients.h"
#include "io/engine/overflow.h"
#include "io/engine/send_buffer.h"
#include "io/engine/worker.h"
#include "io/net/op.h"
#include "io/transport/connections.h"

#include <pthread.h>

// What worker.c (its life, its turns), worker_thread.c, worker_queries.c (clients and other
// workers) and worker_upstream.c (upstreams) share. No other file uses it.
//
// The life of the octets that are sent: serve writes them into `out`, requests refer to them there,
// and with the next submission they are gone. So a reply is written once, where the kernel reads
// it. Datagrams that have arrived lie in buffers of the net, which are given back a round later,
// when the replies that take addresses from them have left.

enum {
    EVENT_MAX = 256,
    QUERY_GROUP = 0,
    QUERY_BUFFERS = 1024, // of which the octets that arrive are touched, a few lines each
    REPLY_GROUP = 1,
    REPLY_BUFFERS = 256,
    REPLY_BUFFER_SIZE = 4096,
    CLIENT_GROUP = 2, // of connections: who sends much there takes nothing from upstreams' replies
    CLIENT_BUFFERS = 256,
    CLIENT_BUFFER_SIZE = 2048,
    OUT_BATCHES = 2,
    UNSENT_MAX = 256 * 1024, // to an upstream
    ADDRESS_ROOM = 64,       // behind each reply
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
    struct net *net;
    pthread_t thread;
    bool running; // worker_thread.c's, as the thread is
    bool started; // its net
    int stop_fd;
    int result;
    struct worker_task task;
    const struct net *const *nets; // of all workers
    struct listeners listeners;
    struct answer_log answer_log;
    struct upstream_socket upstream[WORKER_UPSTREAM_PORTS];
    struct connections *tcp;
    struct clients *clients; // over TCP
    uint8_t *tcp_out;        // a reply to one of them while it is made
    struct serve_item batch[SERVE_BATCH_MAX];
    const struct sockaddr *batch_from[SERVE_BATCH_MAX]; // NULL: handed over by another worker
    size_t batch_count;
    uint16_t lent[EVENT_MAX]; // buffers of this round's queries, which replies take addresses from
    size_t lent_count;
    uint64_t now_us;
    struct send_buffer out;
    size_t room;              // for one reply
    unsigned query_max;       // octets of a client's datagram that are read
    size_t query_buffer;      // and of the buffer that it arrives in
    bool *wakes;              // workers that were handed something since the last wake
    struct overflow overflow; // of the rings to other workers
    struct net_event events[EVENT_MAX];
};

// Room for `size` octets to send and their addresses; hands what is queued to the kernel where
// there is none.
static inline uint8_t *worker_out_room(struct worker *w, size_t size)
{
    uint8_t *room = send_buffer_room(&w->out, size);
    if (room)
        return room;
    int error = net_submit(w->net);
    if (error < 0)
        w->result = error;
    send_buffer_empty(&w->out);
    room = send_buffer_room(&w->out, size);
    assert(room);
    return room;
}
