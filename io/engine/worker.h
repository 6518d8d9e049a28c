// SPDX-License-Identifier: MIT
#pragma once
#include "core/serve/serve.h"
#include "io/engine/answer_log.h"
#include "io/engine/listener.h"
#include "io/engine/steering.h"
#include "io/engine/worker_queue.h"
#include "io/engine/worker_task.h"
#include "io/net/net.h"

// One worker: a thread, its net, its sockets and its `struct serve`. In each turn it waits for
// events, hands them to serve's verbs and does what serve wants done. Nothing here decides
// anything.

#define WORKER_UPSTREAM_PORTS       1024 // at most; struct serve_config says how many
#define WORKER_UPSTREAM_CONNECTIONS 32

struct worker_config {
    const struct serve_config *serve; // copied; worker, counters and seed are this worker's
    uint64_t (*now_us)(const void *clock);
    const void *clock;
    const struct net_engine *net_engine;
    int failure_fd; // told (io/net/wake.h) when the thread ends by a failure
    unsigned worker_count;
    unsigned connections_max; // of clients, of all workers
    const struct steering *steering;
    struct worker_queue *const *from; // from[i]: what worker i hands to this one; NULL for itself
    struct worker_queue *const *to;   // to[i]: what this one hands to worker i
};

struct worker; // opaque

// Makes the worker's net, buffers and tables; it has no listeners yet. On failure returns a
// negative errno and `why` names what could not be had.
#define WORKER_WHY_SIZE 512
[[nodiscard]] int worker_open(struct worker **worker, const struct worker_config *config,
                              char why[static WORKER_WHY_SIZE]);

// Its net, by which others wake it; to be told to all before the start.
const struct net *worker_net(const struct worker *worker);
void worker_nets(struct worker *worker, const struct net *const *nets);

// Its task, which another thread may begin.
struct worker_task *worker_task_of(struct worker *worker);

// Adds the octets of its tables and of its buffers.
void worker_memory(const struct worker *worker, uint64_t *tables, uint64_t *buffers);

// Datagrams of clients that the kernel dropped for want of room in a socket. For any thread.
uint64_t worker_kernel_drops(const struct worker *worker);

// The sockets at which its clients are heard: filled before it starts, and after that used by its
// own thread alone (in a task).
struct listeners *worker_listeners(struct worker *worker);

// Its answer log, which another thread reads.
struct answer_log *worker_answer_log(struct worker *worker);

// After how long clients' connections are closed, from now on.
void worker_client_idle(struct worker *worker, uint64_t idle_us);

// What its thread does (worker_thread.h): it begins, takes turns until one returns false, and ends
// then, also where it could not begin. A turn waits for events, does what they say and what is due.
// Another thread may ask for the end.
[[nodiscard]] bool worker_begin(struct worker *worker);
[[nodiscard]] bool worker_turn(struct worker *worker);
void worker_end(struct worker *worker);
void worker_ask_to_end(struct worker *worker);

void worker_close(struct worker *worker);
