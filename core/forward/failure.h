// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The failure cache (RFC 9520): questions that could not be answered, which are not asked again for
// a while. The first failure is cached for 5 s, and each that follows soon for twice as long, up to
// 5 min. The table has a fixed size; in a full bucket the one that ends first makes room.
//
// A question is known by its key's 64-bit hash, whose seed is secret.

#define FAILURE_MIN_US   5000000u
#define FAILURE_MAX_US   300000000u
#define FAILURE_GONE_US  1000000u  // where all upstreams were reported unreachable
#define FAILURE_STALE_US 30000000u // where there is a stale answer (RFC 8767 5)

struct failure {
    uint64_t hash;       // 0: none
    uint64_t until_us;   // end of the failure
    uint32_t recoveries; // of network failures: the recovery count at that time
    uint16_t rcode;
    uint8_t count;
    bool network; // no upstream answered, rather than one with an error
};

struct failure_table {
    struct failure *entries;
    uint32_t bucket_count; // each of four entries
};

#define FAILURE_WAYS 4

// Octets for a table with room for `size` failures (a multiple of 4).
[[nodiscard]] size_t failure_size(uint32_t size);
void failure_init(struct failure_table *table, void *memory, uint32_t size);

// The failure in force for this question; NULL: there is none. A network failure ends once an
// upstream has come back (`recoveries` differs).
[[nodiscard]] const struct failure *failure_find(const struct failure_table *table, uint64_t hash,
                                                 uint32_t recoveries, uint64_t now_us);

// Adds a failure of which only ICMP speaks, which anyone can forge: it lasts FAILURE_GONE_US, the
// least that RFC 9520 3.2 allows. For failures that follow it counts as a first one.
void failure_add_gone(struct failure_table *table, uint64_t hash, uint32_t recoveries,
                      uint64_t now_us);

// Adds a failure, which lasts `least_us` at least.
void failure_add(struct failure_table *table, uint64_t hash, uint16_t rcode, bool network,
                 uint32_t recoveries, uint64_t least_us, uint64_t now_us);

// Removes the failure of a question that was answered.
void failure_forget(struct failure_table *table, uint64_t hash);
