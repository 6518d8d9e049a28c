// SPDX-License-Identifier: MIT
#pragma once
#include "cache/cache.h"
#include "core/answer.h"
#include "core/forward/outgoing.h"
#include "core/forward/wheel.h"
#include "core/forward/zone_table.h"
#include "core/policy/access.h"
#include "core/policy/local.h"
#include "core/settings/counters.h"

// The verbs: all that a worker's loop, the simulator, the fuzzers and the benchmarks call.
//
// One `struct serve` belongs to one worker and is used by its thread alone. It makes no system call
// and allocates no memory; the time and all events are arguments of these calls. Time is in
// microseconds, on a clock that starts at the wall clock's time and never goes back. serve_drain
// hands out what the worker is to do.
//
//   datagrams from clients  ->  serve_queries   -> answered at once, waiting, elsewhere or dropped
//   a reply from upstream   ->  serve_reply, serve_message
//   time has passed         ->  serve_expire      (serve_deadline says when)
//   and after each of them  ->  serve_drain       until it returns false

#define SERVE_BATCH_MAX 64

struct serve_config {
    const struct settings *settings;
    const struct zone_table *zone_table;
    const struct access_list *access;
    const struct local *local;           // NULL: no name is answered here
    const struct cookie_source *cookies; // NULL: clients are given none
    struct cache *cache; // the number of its shards is a multiple of that of the workers
    struct counters *counters;
    uint32_t
        worker; // 0 .. worker_count - 1; it writes the shards n with n % worker_count == worker
    uint32_t worker_count;
    uint32_t pending_max; // questions, a power of two
    uint16_t source_ports_max;
    uint16_t upstream_connections_max;
    uint8_t seed[32]; // secret; for IDs, source ports and choices
};

enum serve_verdict {
    SERVE_ANSWERED,  // item->out holds item->out_len octets for item->client
    SERVE_WAITING,   // the answer comes out of serve_drain
    SERVE_ELSEWHERE, // give the datagram to worker item->owner, with handed_over set
    SERVE_DROPPED,   // counted with its reason
    SERVE_HINTED,    // was a popularity hint: there is nothing more to do
};

struct serve_item {
    struct client client;
    const uint8_t *in;
    uint16_t in_len;
    bool handed_over; // comes from another worker, which has counted and admitted it
    bool cut;         // the datagram was longer than what was received of it
    // A popularity hint. In, with handed_over: the other worker has answered this query, and says
    // that the answer is popular. Out, with SERVE_ANSWERED: hand the datagram to worker item->owner
    // as such a hint; it may be lost.
    bool hint;
    bool not_dns; // out, with SERVE_DROPPED: no DNS query, or from a client that has no access
    // Filled in by serve_queries:
    uint8_t verdict; // enum serve_verdict
    uint8_t source;  // enum counter, where SERVE_ANSWERED: the one of ouzel_answers_total that
                     // counted it
    uint16_t owner;
    uint16_t out_len;
    uint8_t *out;
};

struct serve; // opaque

// Octets for a worker's state, and its initialisation. The memory must be 64-octet aligned, and
// what the config points to must live as long.
[[nodiscard]] size_t serve_size(const struct serve_config *config);
[[nodiscard]] struct serve *serve_init(void *memory, const struct serve_config *config,
                                       uint64_t now_us);

// Octets of the caller's buffer for one reply: to a datagram, and to a message over TCP.
[[nodiscard]] size_t serve_reply_room(const struct serve *serve);
#define SERVE_REPLY_ROOM_MAX 5120 // whatever the settings say
#define SERVE_MESSAGE_ROOM   (ANSWER_SIZE_MAX + 64)

// Handles up to SERVE_BATCH_MAX queries of clients. Replies are packed into `out`, in any order;
// `out_size` is at least serve_reply_room for each datagram and SERVE_MESSAGE_ROOM for each message
// over TCP. Returns how many octets of `out` the replies use, from its start.
[[nodiscard]] size_t serve_queries(struct serve *serve, uint64_t now_us, struct serve_item *items,
                                   size_t count, uint8_t *out, size_t out_size);

// An item of SERVE_ELSEWHERE could not be handed over, as the queue is full: counts the drop.
void serve_handover_failed(struct serve *serve);

// A datagram arrived at the socket of the source port in `slot`.
void serve_reply(struct serve *serve, uint64_t now_us, uint16_t slot, const uint8_t *in,
                 size_t len);

// A message arrived on the connection of this slot; `in` is without its length.
void serve_message(struct serve *serve, uint64_t now_us, uint16_t connection, const uint8_t *in,
                   size_t len);

// The connection of this slot is established.
void serve_connected(struct serve *serve, uint64_t now_us, uint16_t connection);

// The connection of this slot has ended, or could not be opened. The slot may be used again. May be
// called between two calls of serve_drain, as may the next three.
void serve_closed(struct serve *serve, uint64_t now_us, uint16_t connection);

// The network reported that datagrams of this source port cannot be delivered (ICMP, no route).
void serve_unreachable(struct serve *serve, uint64_t now_us, uint16_t slot);

// The socket could not be bound to its source port: another port is tried.
void serve_source_port_refused(struct serve *serve, uint64_t now_us, uint16_t slot);

// There are no descriptors or no memory for a socket, whatever its port, or nothing can be received
// there any more: what was to be sent from there is deferred, and what was sent is asked again.
void serve_source_port_unavailable(struct serve *serve, uint64_t now_us, uint16_t slot);

// Does everything that is due.
void serve_expire(struct serve *serve, uint64_t now_us);

// When to call serve_expire next, at the latest; WHEEL_NEVER: nothing is due.
[[nodiscard]] uint64_t serve_deadline(const struct serve *serve);

// Hands out the next thing to send, open or close. To be called until it returns false, after each
// of the verbs above; only several serve_queries may share one draining, with each other and with
// the verb that follows them. There is room for one answer of serve_reply until then.
[[nodiscard]] bool serve_drain(struct serve *serve, uint64_t now_us, struct outgoing *outgoing);
