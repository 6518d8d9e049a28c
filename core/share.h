// SPDX-License-Identifier: MIT
#pragma once
#include "core/address.h"

// How much of a table each client network holds, so that none takes what the others need. A network
// is an IPv4 address or an IPv6 /56. Each is known by the whole of it and not by a hash, so that no
// two share a count; the hash that finds it has a secret seed, so that nobody can choose networks
// whose search is long.
//
// A share is there while it holds something. Shares stand in memory of the caller's and do not
// move; their number says which one it is.

#define SHARE_NONE UINT32_MAX

// Once half of a table is used, a network may hold no more than one part in so many of it.
#define SHARE_PART 4

// Has a network more than that, of a table of `size` things of which `used` are used?
static inline bool share_is_exceeded(uint32_t used, uint32_t held, uint32_t size)
{
    return used >= size / 2 && held > size / SHARE_PART;
}

// A network as a value. All zeros: nobody's.
struct network {
    uint64_t octets; // the first eight of its addresses, but for the host's part
    uint8_t family;  // enum address_family
};

[[nodiscard]] struct network share_network_of(const struct address *client);

static inline bool network_equal(const struct network *a, const struct network *b)
{
    return a->octets == b->octets && a->family == b->family;
}

struct share {
    uint64_t network;
    uint64_t octets; // the owner's to use; 0 at first
    uint32_t held;   // things of the table
    uint32_t apart;  // and of a second one, which count apart
    uint32_t next;   // of the same chain, or free
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

// Octets for a table of at most `count` shares: as many as there are things to be held, of both
// tables, so that it is never full.
[[nodiscard]] size_t share_size(uint32_t count);
void share_init(struct share_table *table, void *memory, uint32_t count, const uint64_t seed[2]);

// The share of this client's network; SHARE_NONE: it holds nothing.
[[nodiscard]] uint32_t share_find(const struct share_table *table, const struct address *client);

// How many things the network of this client holds.
[[nodiscard]] uint32_t share_held(const struct share_table *table, const struct address *client);

// The network, or this client's, takes one more thing; and gives back one of its share's.
[[nodiscard]] uint32_t share_take_network(struct share_table *table, const struct network *network);
[[nodiscard]] uint32_t share_reserve(struct share_table *table, const struct address *client);
void share_release(struct share_table *table, uint32_t share);

// The same for a thing of the second table, which only a network takes that holds something of the
// first; it may keep it when it no longer does.
void share_reserve_apart(struct share_table *table, uint32_t share);
void share_release_apart(struct share_table *table, uint32_t share);
