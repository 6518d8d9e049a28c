// SPDX-License-Identifier: MIT
#pragma once
#include "core/address.h"
#include "core/forward/plan.h"
#include "core/forward/wheel.h"
#include "core/wire/key.h"

// The questions that wait for an upstream: one entry for each question (equal questions share it,
// which RFC 5452 5 asks for), the clients that wait for it, and the attempts to get it answered.
// Three tables of fixed size, taken from and given back to free lists; each says when it is full.

#define PENDING_PER_QUESTION_MAX 256 // waiters of one question

// Where a query came from: all that is needed to send the answer back.
struct client {
    struct address from;
    uint8_t local[16]; // where it was sent to, if the listen address is a wildcard (RFC 2181 4)
    uint16_t listener; // index of the listen address it arrived at
};

struct waiter {
    struct waiter *next;
    struct client client;
    struct name_case spelling;
    uint16_t id;
    uint16_t udp_size;
    uint8_t flags; // the query header's third octet
    bool edns;
};

// One send of a question to one upstream. It stays until the question ends: the first valid reply
// to any attempt counts.
struct attempt {
    struct pending *pending;
    struct attempt *next;         // of the same question
    struct attempt *next_at_port; // of the same source port
    struct attempt *next_to_send;
    uint64_t sent_us;
    uint16_t id;
    uint16_t port;
    uint8_t choice; // place of the upstream in the zone's list
    uint8_t opens;  // source ports tried that could not be opened
    bool queued;    // waits to be sent
    bool counted_lost;
};

struct pending {
    struct timer timer;   // first, so that timer_owner finds the question
    struct pending *next; // in its chain of the table, or among the free or the finished
    struct waiter *waiters;
    struct waiter **waiters_end;
    struct attempt *attempts; // latest first
    const struct plan_zone *zone;
    uint64_t deadline_us;
    uint32_t waiter_count;
    uint16_t rcode;                         // once finished
    bool answered;                          // finished with the answer that serve holds
    bool sent;                              // at least one attempt was sent
    uint8_t sends[PLAN_ZONE_UPSTREAMS_MAX]; // to each of the zone's upstreams
    struct key key;
};

static inline struct pending *timer_owner(struct timer *timer)
{
    return (struct pending *)timer;
}

struct pending_table {
    struct pending **chains;
    uint32_t chain_mask;
    uint32_t count;
    uint32_t waiter_count;
    uint32_t size; // questions; attempts and waiters are multiples of it
    struct pending *free;
    struct waiter *free_waiters;
    struct attempt *free_attempts;
};

// Octets for a table of `size` questions (a power of two).
[[nodiscard]] size_t pending_size(uint32_t size);
void pending_init(struct pending_table *table, void *memory, uint32_t size);

[[nodiscard]] struct pending *pending_find(const struct pending_table *table,
                                           const struct key *key);

// Adds a question that is not there yet; NULL when the table is full.
[[nodiscard]] struct pending *pending_add(struct pending_table *table, const struct key *key);

// Takes a question out of the table of those that can be joined; its memory stays until
// pending_free.
void pending_unlink(struct pending_table *table, struct pending *pending);

// Gives the question back; it must be unlinked, without waiters and attempts.
void pending_free(struct pending_table *table, struct pending *pending);

// Attaches a client; NULL when the question or the table has no place left.
[[nodiscard]] struct waiter *waiter_add(struct pending_table *table, struct pending *pending);

// Detaches the first waiter (the first come), or returns NULL. It is valid until the next
// waiter_add.
[[nodiscard]] struct waiter *waiter_take(struct pending_table *table, struct pending *pending);

[[nodiscard]] struct attempt *attempt_add(struct pending_table *table, struct pending *pending);
void attempt_free(struct pending_table *table, struct attempt *attempt);
