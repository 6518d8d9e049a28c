// SPDX-License-Identifier: MIT
#pragma once
#include "core/forward/wheel.h"
#include "core/share.h"
#include "core/wire/key.h"

// Refreshes: popular answers that are fetched again before they expire, so that no client waits for
// them. An answer is added once in its lifetime, with its third hit: at that rate the next lifetime
// will see a hit with a probability of 1 - 1/e^3, 95 %, or more. So a refresh mostly costs a query
// that would have been sent anyway.
//
// The cache counts whole seconds. An answer with a TTL of one, fetched before its predecessor
// expires, would expire with it. So the lifetime of a refreshed answer that is that short (below
// REFRESH_SHORT_S) begins with the next second.
//
// The table has a fixed size; an answer that finds no room is not refreshed. Once half of it is
// used, the client networks with one hash may have no more than a quarter.

#define REFRESH_HITS        3  // of an answer, with which it is added
#define REFRESH_SHORT_S     2  // see above
#define REFRESH_SHARE       10 // it is fetched in the last tenth of its lifetime
#define REFRESH_LEAD_MIN_US 1000000u
#define REFRESH_LEAD_MAX_US 30000000u
#define REFRESH_NETWORKS    256 // hashes of networks

struct refresh {
    struct timer timer; // first, so that a timer leads to its owner
    struct refresh *next;
    uint64_t due_us;
    uint32_t birth_s; // of the answer that was added, as the next
    uint32_t expiry_s;
    uint8_t network; // the hash of the client network that added it last
    struct key key;
};

struct refresh_table {
    struct refresh **chains;
    struct refresh *free;
    uint32_t chain_mask;
    uint32_t count;
    uint32_t held[REFRESH_NETWORKS];
};

// Octets for a table of `size` refreshes (a power of two).
[[nodiscard]] size_t refresh_size(uint32_t size);
void refresh_init(struct refresh_table *table, void *memory, uint32_t size);

// Adds an answer by its key and times, in place of an older one under the key; the caller starts
// its timer again for `due_us`. `network` is the hash of the client's network. NULL: it is there
// already, or the table is full, at least for that network (`*full`).
[[nodiscard]] struct refresh *refresh_note(struct refresh_table *table, const struct key *key,
                                           uint8_t network, uint32_t birth_s, uint32_t expiry_s,
                                           bool *full);
void refresh_forget(struct refresh_table *table, struct refresh *refresh);
