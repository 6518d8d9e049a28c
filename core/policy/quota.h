// SPDX-License-Identifier: MIT
#pragma once
#include "core/address.h"

// Client quotas: token buckets by client network, in a table of fixed size for each worker. A
// second table of the same form limits how often a network gets the same answer (response rate
// limiting); only the key and the rate differ.
//
// The caller says whether a client is proven. Proven clients have buckets of their own, so that
// forged queries cannot exhaust them.
//
// A worker sees only a part of a client's queries. docs/decisions/0006-client-quotas.md says how it
// applies the machine's rate nevertheless.
//
// In a full line of a table the least recently active network makes room. If its buckets were full
// again nothing is lost by that; else it is counted.

struct quota_config {
    uint32_t queries_per_s; // 0: no limit
    uint32_t answers_per_s; // equal ones to one network; 0: no limit
    uint32_t burst_ms;      // for which tokens accumulate
    uint32_t flood_factor;  // multiples of rate and burst that are a flood
    uint32_t networks;      // entries of a table, at least
    uint32_t workers;       // over which a client's source ports spread its queries
    uint8_t ipv4_bits;      // what a network is: 1 .. 32
    uint8_t ipv6_bits;      // 1 .. 64
    uint64_t seed[2];
};

// A bucket gains `gain` units in a tick of 1.024 ms, up to `room`. A query costs cost[0], or
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
    uint64_t displaced; // entries replaced before their buckets were full again
};

struct quota {
    struct quota_table queries, answers;
    uint64_t seed[2];
    uint64_t masks[ADDRESS_IPV6 + 1]; // by family, as addresses lie in memory
};

enum quota_verdict {
    QUOTA_ALL,       // within the rate
    QUOTA_HITS_ONLY, // above it: cached answers only
    QUOTA_FLOOD,     // above flood_factor times the rate
};

[[nodiscard]] bool quota_config_equal(const struct quota_config *a, const struct quota_config *b);

// Octets for the tables that the config needs; the memory has to be 64-octet aligned.
[[nodiscard]] size_t quota_size(const struct quota_config *config);
void quota_init(struct quota *quota, void *memory, const struct quota_config *config);

// Charges a query, where there is a limit to queries. `proven`: its source address is.
[[nodiscard]] enum quota_verdict quota_query(struct quota *quota, uint64_t now_us,
                                             const struct address *from, bool proven);

// Charges an answer, where there is a limit to answers; those with the same `kind` are equal.
// False: it is above the limit.
[[nodiscard]] bool quota_answer(struct quota *quota, uint64_t now_us, const struct address *from,
                                uint64_t kind);
