// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Questions that could not be answered (RFC 9520): for a while they are not asked again. The first
// failure is remembered for 5 s, and each that follows soon for twice as long, up to 5 min. A table
// of fixed size, in which the one that ends first makes room.
//
// A question is known by the 64 bits of its key's hash, whose seed is secret.

#define FAILURE_MIN_US   5000000u
#define FAILURE_MAX_US   300000000u
#define FAILURE_GONE_US  1000000u  // where all that was heard is that nobody is there
#define FAILURE_STALE_US 30000000u // where there is a stale answer to give meanwhile (RFC 8767 5)

struct failure {
    uint64_t hash;       // 0: none
    uint64_t until_us;   // not to be asked before
    uint32_t recoveries; // of network failures: the recovery count at that time
    uint16_t rcode;
    uint8_t count;
    bool network; // nobody answered, as opposed to somebody who said no
};

struct failure_table {
    struct failure *entries;
    uint32_t bucket_count; // each of four entries
};

#define FAILURE_WAYS 4

// Octets for a table with room for `size` failures (a multiple of 4).
[[nodiscard]] size_t failure_size(uint32_t size);
void failure_init(struct failure_table *table, void *memory, uint32_t size);

// What keeps this question from being asked now, or NULL. A network's failure no longer counts once
// an upstream has come back (`recoveries` differs).
[[nodiscard]] const struct failure *failure_find(const struct failure_table *table, uint64_t hash,
                                                 uint32_t recoveries, uint64_t now_us);

// Remembers that nobody was there, which anybody can say (ICMP), for FAILURE_GONE_US: the least
// that RFC 9520 3.2 allows. Others that follow soon count from this one as from a first.
void failure_add_gone(struct failure_table *table, uint64_t hash, uint32_t recoveries,
                      uint64_t now_us);

// Remembers a failure, for `least_us` at least.
void failure_add(struct failure_table *table, uint64_t hash, uint16_t rcode, bool network,
                 uint32_t recoveries, uint64_t least_us, uint64_t now_us);

// The question has been answered.
void failure_forget(struct failure_table *table, uint64_t hash);
