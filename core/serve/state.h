// SPDX-License-Identifier: MIT
#pragma once
#include "core/forward/failure.h"
#include "core/forward/forward.h"
#include "core/forward/refresh.h"
#include "core/policy/policy.h"
#include "core/serve/serve.h"
#include "core/serve/top.h"
#include "core/serve/waiter_table.h"

// The state of a worker, shared by the files of this directory and no others.

struct lookup {
    struct serve_item *item;
    struct query query;
    struct cache_seek seek;
    bool stale;     // there is a stale answer
    bool hits_only; // the client is above its quota
    // Last, as most of their octets are not touched: so a batch stays in the first-level cache.
    struct key key;
    struct reply_options options;
};

struct serve {
    struct serve_config config;
    struct answer_limits limits;
    size_t reply_room;
    uint32_t stale_max_s;
    uint64_t stale_after_us;
    uint32_t turn;   // for the rotation of addresses
    bool keeps_none; // another process writes the cache
    struct failure_table failures;
    struct refresh_table refreshes;
    struct budget refresh_budget;
    struct budget refresh_budgets[REFRESH_NETWORKS]; // of each network's hash
    struct policy policy;
    struct top tops[TOP_KINDS];
    uint32_t top_turn;
    uint64_t top_weight;  // lookups since the latest that was sampled
    uint64_t top_next_us; // when the next one is sampled
    struct waiter_table waiters;
    struct question *told; // list of questions whose clients are being sent answers
    struct question **told_end;
    struct lookup lookups[SERVE_BATCH_MAX];
    struct forward forward;
};

// Its tables follow it in memory, the forwarder's first.
static inline size_t serve_aligned(size_t size)
{
    return (size + 63) & ~(size_t)63;
}

static inline const void *serve_tables(const struct serve *s)
{
    return (const uint8_t *)s + serve_aligned(sizeof *s);
}

// The state of this question's clients.
static inline struct waiting *serve_waiting(const struct serve *s, const struct question *question)
{
    return &s->waiters.waiting[question_index(&s->forward.questions, question)];
}

// The hash of a client's network, for shares by network.
static inline uint8_t serve_network_hash(const struct serve *s, const struct client *client)
{
    struct network network = share_network_of(&client->from);
    return (uint8_t)(forward_network_hash(&s->forward, &network) % REFRESH_NETWORKS);
}

// Applies the settings that bear on every answer.
void serve_limits_apply(struct serve *s, const struct settings *settings);

// The config of policy. policy_size does not need the limits, which may be NULL for it.
struct policy_config serve_policy_config(const struct serve_config *config,
                                         const struct answer_limits *limits);

// Octets of the buffer for a reply to this client.
static inline size_t serve_room_for(const struct serve *s, const struct client *client)
{
    return client_has_connection(client) ? SERVE_MESSAGE_ROOM : s->reply_room;
}

static inline void serve_count(struct serve *s, enum counter which)
{
    counter_add(s->config.counters, which, 1);
}
