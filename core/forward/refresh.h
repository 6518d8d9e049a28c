// SPDX-License-Identifier: MIT
#pragma once
#include "core/forward/wheel.h"
#include "core/share.h"
#include "core/wire/key.h"

// Answers that are to be asked for anew before they are over, as they are asked for so often that
// somebody would have to wait when they are. Each is noted once in an answer's life, with its third
// hit: by then it is asked for at such a rate that the next life will see a hit with a probability
// of 1 - 1/e^3, 95 %, or more. So the query that a refresh costs is one that would have been sent
// anyway, and nobody waits for it.
//
// The cache counts whole seconds. What lives for one and comes before its forerunner is over would
// be over with it, so where a life is that short (below REFRESH_SHORT_S) a refreshed answer's
// begins with the next second.
//
// A table of fixed size; what finds no place in it is simply not refreshed. Once half of it is
// taken, the client networks with one hash may have no more than a quarter.

#define REFRESH_HITS        3  // of an answer in its life, with which it is noted
#define REFRESH_SHORT_S     2  // see above
#define REFRESH_SHARE       10 // the last part in so many of a life is when it is asked for
#define REFRESH_LEAD_MIN_US 1000000u
#define REFRESH_LEAD_MAX_US 30000000u
#define REFRESH_NETWORKS    256 // hashes of networks

struct refresh {
    struct timer timer; // first, so that the owner of a timer is found
    struct refresh *next;
    uint64_t due_us;
    uint32_t birth_s; // of the answer that was noted, as the next
    uint32_t expiry_s;
    uint8_t network; // the hash of the one for which it was noted last
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

// Notes an answer by its key and times, in the place of an older one under the key; the caller
// starts its timer again for `due_us`. `network` is the hash of the client's. NULL: it is there
// already, or the table is full, for that network at least (`*full`).
[[nodiscard]] struct refresh *refresh_note(struct refresh_table *table, const struct key *key,
                                           uint8_t network, uint32_t birth_s, uint32_t expiry_s,
                                           bool *full);
void refresh_forget(struct refresh_table *table, struct refresh *refresh);
