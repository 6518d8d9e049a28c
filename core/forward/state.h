// SPDX-License-Identifier: MIT
#pragma once
#include "core/answer.h"
#include "core/forward/budget.h"
#include "core/forward/connection_table.h"
#include "core/forward/outgoing.h"
#include "core/forward/source_port.h"
#include "core/forward/stalling.h"
#include "core/forward/upstream.h"
#include "core/settings/counters.h"

// The state of the forwarder, shared by its files. forward.h is its interface.

#define FORWARD_DEADLINE_US     4900000u // so that clients with a timeout of 5 s get an answer
#define FORWARD_HOUSEKEEPING_US 1000000u // between two checks for what is too old or idle

#define NETWORK_SHARES 256
#define NETWORK_SENDS  16 // resends of a network at once, a quarter of those of all
#define NETWORK_LOSSES 32 // the same for sends lost with connections, half

struct forward_config {
    const struct zone_table *zone_table;
    struct counters *counters;
    const struct answer_limits *limits;
    uint32_t pending_max; // questions, a power of two
    uint16_t source_ports_max;
    uint16_t upstream_connections_max;
    uint64_t tcp_idle_us; // after which a connection is closed
    uint64_t key_seed;    // of the keys' hash
    bool random_case;     // names are sent in a random 0x20 case
    bool cookies;         // RFC 7873
};

enum forward_timer {
    TIMER_QUESTION, // struct question
    TIMER_PATIENCE, // struct waiting, serve's
    TIMER_REFRESH,  // struct refresh, serve's
    TIMER_ORPHAN,   // struct attempt
    TIMER_SOURCE_PORTS,
    TIMER_CONNECTIONS,
};

// The budgets of the client networks with one hash.
struct network_share {
    struct budget resends;
    struct budget losses; // as loss_budget
    uint32_t blocks;      // of the answers in hand
};

struct forward {
    struct forward_config config;
    struct rng rng;
    struct wheel wheel;
    struct question_table questions;
    struct source_port_table source_ports;
    struct connection_table connections;
    struct timer source_ports_timer; // runs while ports are open
    struct timer connections_timer;  // runs while connections are open
    struct attempt *to_send;
    struct attempt **to_send_end;
    struct question *ended; // by next_ended
    struct question **ended_end;
    struct question *ended_in_hand; // the same of those that have their answer in hand
    struct question **ended_in_hand_end;
    struct question *hopeless;  // by next_hopeless
    struct budget budget;       // of resends
    struct budget probe_budget; // of probes that duplicate another send
    struct budget loss_budget;  // of sends lost with connections that answered nothing
    uint64_t kind_secret;
    struct kind_share shares[KIND_SHARES];
    struct network_share networks[NETWORK_SHARES];
    struct stalling stalling; // networks whose questions stall connections
    uint32_t attempt_count;   // of all kinds
    uint32_t attempt_max;
    uint32_t probe_count; // SOA probes under way
    uint32_t recoveries;  // the recovery count: how often an upstream came back from the dead
    struct answer_store answers; // of questions that wait for others, or for their clients' answers
    bool answer_in_use;          // by an ended question that serve has not finished
    struct answer answer;
    struct upstream upstreams[ZONE_TABLE_UPSTREAMS_MAX];
    uint8_t answer_value[ANSWER_SIZE_MAX];
};

static inline struct kind_share *forward_share(struct forward *f, uint32_t kind)
{
    return &f->shares[kind % KIND_SHARES];
}

static inline unsigned forward_network_hash(const struct forward *f, const struct network *network)
{
    struct siphash hash = siphash_begin(f->kind_secret, ~f->kind_secret);
    siphash_word(&hash, network->octets);
    return (unsigned)siphash_end(&hash, network->family, sizeof network->octets + 1);
}

static inline struct network_share *forward_network(struct forward *f,
                                                    const struct network *network)
{
    return &f->networks[forward_network_hash(f, network) % NETWORK_SHARES];
}

static inline void forward_count(struct forward *f, enum counter which)
{
    counter_add(f->config.counters, which, 1);
}
