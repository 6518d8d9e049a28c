// SPDX-License-Identifier: MIT
#pragma once
#include "core/address.h"

// How much a client may ask: token buckets by client network, in a table of fixed size that is one
// worker's. A second table of the same kind bounds how often one network gets the same answer (what
// is called response-rate limiting): only the key and the rate are others.
//
// Whether a client is who it says is not decided here: what is proven has buckets of its own, so
// that nobody can use up another's by forging its address.
//
// A worker sees a part of what the machine is asked. docs/decisions/0006-client-quotas.md tells how
// it holds a client to the machine's rate nevertheless.
//
// When a line of a table is full, the network that was least recently active makes room. If its
// buckets were full again nothing is lost by that, else it is counted.

struct quota_config {
    uint32_t queries_per_s; // 0: no limit
    uint32_t answers_per_s; // of one kind to one network; 0: no limit
    uint32_t burst_ms;      // so much of a rate may be saved up
    uint32_t flood_factor;  // times the rate and the burst from which on it is a flood
    uint32_t networks;      // places of a table, at least
    uint32_t workers;       // among which a client's source ports spread its queries
    uint8_t ipv4_bits;      // what a network is: 1 .. 32
    uint8_t ipv6_bits;      // 1 .. 64
    uint64_t seed[2];
};

// A bucket gains so many units in a tick of 1.024 ms, up to `room`. A query takes cost[0], or
// cost[1] where its client is spread over the workers.
struct quota_rate {
    uint32_t gain;
    uint32_t cost[2];
    uint32_t room;
};

struct quota_line;

struct quota_table {
    struct quota_line *lines; // NULL: no limit
    uint64_t line_mask;
    struct quota_rate all, flood;
    uint64_t displaced; // entries that had to go although they were not back to full
};

struct quota {
    struct quota_table queries, answers;
    uint64_t seed[2];
    uint64_t masks[ADDRESS_IPV6 + 1]; // by family, as addresses lie in memory
};

enum quota_verdict {
    QUOTA_ALL,       // within the rate
    QUOTA_HITS_ONLY, // above it: what costs no more than a look into memory
    QUOTA_FLOOD,     // above so many times the rate
};

[[nodiscard]] bool quota_config_equal(const struct quota_config *a, const struct quota_config *b);

// Octets for the tables that the config needs; the memory has to be 64-octet aligned.
[[nodiscard]] size_t quota_size(const struct quota_config *config);
void quota_init(struct quota *quota, void *memory, const struct quota_config *config);

// A query came; `proven`: from where it says. Where there is a limit to queries.
[[nodiscard]] enum quota_verdict quota_query(struct quota *quota, uint64_t now_us,
                                             const struct address *from, bool proven);

// An answer is about to go there; answers with the same `kind` are the same. False: it is one too
// many. Where there is a limit to answers.
[[nodiscard]] bool quota_answer(struct quota *quota, uint64_t now_us, const struct address *from,
                                uint64_t kind);
