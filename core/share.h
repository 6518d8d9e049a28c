// SPDX-License-Identifier: MIT
#pragma once
#include "core/address.h"

// How much of a table each client network holds, so that none takes what the others need. A network
// is an IPv4 address or an IPv6 /56. Networks are compared as a whole, so no two share a count. The
// hash that finds one has a secret seed, so clients cannot choose networks that collide.
//
// A share exists while its network holds something. Shares lie in the caller's memory and do not
// move; each is known by its index.

#define SHARE_NONE UINT32_MAX

// Once half of a table is used, a network may hold no more than one SHARE_PART-th of it.
#define SHARE_PART 4

// True if a network holds more than that, of a table with `used` of `size` entries in use.
static inline bool share_is_exceeded(uint32_t used, uint32_t held, uint32_t size)
{
    return used >= size / 2 && held > size / SHARE_PART;
}

// A network as a value. All zeros: none.
struct network {
    uint64_t octets; // the first eight octets of its addresses, host bits zero
    uint8_t family;  // enum address_family
};

[[nodiscard]] struct network share_network_of(const struct address *client);

static inline bool network_equal(const struct network *a, const struct network *b)
{
    return a->octets == b->octets && a->family == b->family;
}

struct share {
    uint64_t network;
    uint64_t octets; // for the table's owner; 0 at first
    uint32_t held;   // entries of the table
    uint32_t apart;  // entries of a second table, which are counted apart
    uint32_t next;   // in the same chain, or in the list of free ones
    uint8_t family;
};

static inline struct network share_network(const struct share *share)
{
    return (struct network){share->network, share->family};
}

struct share_table {
    struct share *shares;
    uint32_t *chains;
    uint32_t chain_mask;
    uint32_t free;
    uint64_t seed[2];
};

// Octets for a table of `count` shares: as many as there are entries to hold, of both tables, so
// that it is never full.
[[nodiscard]] size_t share_size(uint32_t count);
void share_init(struct share_table *table, void *memory, uint32_t count, const uint64_t seed[2]);

// The share of this client's network; SHARE_NONE: it holds nothing.
[[nodiscard]] uint32_t share_find(const struct share_table *table, const struct address *client);

// How many entries the network of this client holds.
[[nodiscard]] uint32_t share_held(const struct share_table *table, const struct address *client);

// Counts one more entry for a network, or the client's, and returns its share; and one less.
[[nodiscard]] uint32_t share_reserve_network(struct share_table *table,
                                             const struct network *network);
[[nodiscard]] uint32_t share_reserve(struct share_table *table, const struct address *client);
void share_release(struct share_table *table, uint32_t share);

// The same for an entry of the second table. Only a network that holds an entry of the first may
// reserve one, and may keep it longer than that.
void share_reserve_apart(struct share_table *table, uint32_t share);
void share_release_apart(struct share_table *table, uint32_t share);
