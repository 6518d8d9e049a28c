// SPDX-License-Identifier: MIT
#include "core/policy/quota.h"

#include "core/wire/bytes.h"

#include <assert.h>

// What holds here:
// - A line is one cache line; a network's entry stands in the line that its hash names, or nowhere.
// - A tag is 32 bits of the hash: two networks in one line spend each other's tokens once in four
//   thousand million. The seed keeps attackers from finding such a pair.
// - Of a bucket is kept what is missing in it. An entry that is made has full ones, so to forget
// one
//   that is full changes nothing; and one of zeros is as good as none.
// - Time is counted in ticks of 1.024 ms in 32 bits, which run over after 50 days; an entry that
//   was not used for so long may then look younger than it is, and gains less.
//
// The bucket of floods is for what is above the rate: with it a client has so many times the rate
// in all, and one that keeps to its rate never touches it.
//
// What a query costs. With its source ports a client spreads its queries over the workers, and each
// sees one in `workers` of them. So while its ports change, a query costs as much as that many, and
// the client has used up the machine's rate when each worker says so. A client that stays at one
// port is seen by one worker alone: once several queries in a row came from one port they cost one
// each. (A pair from one port, as many stubs send for A and AAAA, is no such row.)

enum {
    WAYS = 3,
    TICK_SHIFT = 10, // microseconds of a tick as a power of two
    TICK_US = 1 << TICK_SHIFT,
    COST_SHIFT = 16, // a cost of 2^16 at most: a gain of 67 for one query a second
    STEADY = 4,      // queries in a row from one port
    ROOM_MAX = 1 << 30,
};

struct quota_entry {
    uint32_t tag; // 0: free, or one network in four thousand million, which does no harm
    uint32_t tick;
    uint32_t all;   // units missing in the bucket
    uint32_t flood; // and in that of floods
    uint16_t port;
    uint8_t steady; // queries in a row from this port
    uint8_t unused;
};

struct quota_line {
    _Alignas(64) struct quota_entry entries[WAYS];
};

static uint32_t line_count(const struct quota_config *config)
{
    uint32_t count = 1;
    while (count * WAYS < config->networks && count < 1u << 28)
        count *= 2;
    return count;
}

bool quota_config_equal(const struct quota_config *a, const struct quota_config *b)
{
    return a->queries_per_s == b->queries_per_s && a->answers_per_s == b->answers_per_s &&
           a->burst_ms == b->burst_ms && a->flood_factor == b->flood_factor &&
           a->networks == b->networks && a->workers == b->workers && a->ipv4_bits == b->ipv4_bits &&
           a->ipv6_bits == b->ipv6_bits && a->seed[0] == b->seed[0] && a->seed[1] == b->seed[1];
}

size_t quota_size(const struct quota_config *config)
{
    size_t tables = (config->queries_per_s > 0) + (config->answers_per_s > 0);
    return tables * line_count(config) * sizeof(struct quota_line);
}

// The finest units in which a bucket's room can be told. There is room at least for what a client
// pays until it is known to stay at one port. Without a rate there is no room.
static struct quota_rate rate_make(uint64_t per_s, uint64_t burst_ms, uint32_t workers)
{
    unsigned shift = COST_SHIFT;
    uint64_t least = (uint64_t)STEADY * workers, room = per_s * burst_ms / 1000;
    if (per_s == 0)
        return (struct quota_rate){.cost = {1, 1}};
    room = room > least ? room : least;
    while (shift > 0 && (room << shift > ROOM_MAX || per_s << shift > ROOM_MAX))
        shift--;
    uint64_t gain = ((per_s * TICK_US << shift) + 500000) / 1000000;
    return (struct quota_rate){
        .gain = (uint32_t)(gain < ROOM_MAX ? gain : ROOM_MAX),
        .cost = {1u << shift, workers << shift},
        .room = (uint32_t)(room << shift < ROOM_MAX ? room << shift : ROOM_MAX),
    };
}

static void table_init(struct quota_table *table, uint8_t **memory,
                       const struct quota_config *config, uint64_t per_s)
{
    uint64_t factor = config->flood_factor, lines = line_count(config);
    if (per_s == 0)
        return;
    table->lines = (struct quota_line *)(void *)*memory;
    table->line_mask = lines - 1;
    table->all = rate_make(per_s, config->burst_ms, config->workers);
    table->flood = rate_make(per_s * (factor - 1), config->burst_ms, config->workers);
    memset(table->lines, 0, lines * sizeof *table->lines);
    *memory += lines * sizeof *table->lines;
}

void quota_init(struct quota *q, void *memory, const struct quota_config *config)
{
    uint8_t *at = memory;
    assert((uintptr_t)memory % 64 == 0 && config->workers > 0);
    assert(config->ipv4_bits >= 1 && config->ipv4_bits <= 32);
    assert(config->ipv6_bits >= 1 && config->ipv6_bits <= 64);
    assert(config->flood_factor >= 1);
    *q = (struct quota){.seed = {config->seed[0], config->seed[1]}};
    q->masks[ADDRESS_IPV4] = __builtin_bswap32(UINT32_MAX << (32 - config->ipv4_bits));
    q->masks[ADDRESS_IPV6] = __builtin_bswap64(UINT64_MAX << (64 - config->ipv6_bits));
    table_init(&q->queries, &at, config, config->queries_per_s);
    table_init(&q->answers, &at, config, config->answers_per_s);
}

// A hash of the client's network and of what else the entry is for (the folded product of wyhash).
// Addresses are taken as they lie in memory, as are the masks.
static inline uint64_t hash_of(const struct quota *q, const struct address *from, uint64_t what)
{
    uint64_t network;
    memcpy(&network, from->ip, sizeof network);
    network &= q->masks[from->family];
    unsigned __int128 product =
        (unsigned __int128)(network ^ q->seed[0]) * (what ^ from->family ^ q->seed[1]);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

// What is still missing after so many ticks.
static inline uint32_t missing_after(uint32_t missing, uint32_t ticks,
                                     const struct quota_rate *rate)
{
    uint64_t gained = (uint64_t)ticks * rate->gain;
    return gained < missing ? missing - (uint32_t)gained : 0;
}

// Makes an entry in a line that has none with this tag.
static struct quota_entry *entry_make(struct quota_table *table, struct quota_line *line,
                                      uint32_t tag, uint32_t tick)
{
    struct quota_entry *oldest = &line->entries[0];
    for (unsigned i = 1; i < WAYS && oldest->tag != 0; i++) {
        struct quota_entry *entry = &line->entries[i];
        if (entry->tag == 0 || tick - entry->tick > tick - oldest->tick)
            oldest = entry;
    }
    if (missing_after(oldest->all, tick - oldest->tick, &table->all) > 0)
        table->displaced++;
    *oldest = (struct quota_entry){.tag = tag, .tick = tick};
    return oldest;
}

// The entry of a hash, with what its buckets have gained up to now.
static inline struct quota_entry *entry_of(struct quota_table *table, uint64_t hash,
                                           uint64_t now_us)
{
    struct quota_line *line = &table->lines[hash & table->line_mask];
    uint32_t tag = (uint32_t)(hash >> 32), tick = (uint32_t)(now_us >> TICK_SHIFT);
    struct quota_entry *entry = line->entries, *end = entry + WAYS;
    while (entry->tag != tag) {
        if (++entry == end)
            return entry_make(table, line, tag, tick);
    }
    uint32_t ticks = tick - entry->tick;
    if (ticks == 0)
        return entry;
    entry->tick = tick;
    entry->all = missing_after(entry->all, ticks, &table->all);
    if (entry->flood)
        entry->flood = missing_after(entry->flood, ticks, &table->flood);
    return entry;
}

// Does the client change its port from query to query? Then it is spread over the workers.
static inline bool is_spread(struct quota_entry *entry, uint16_t port)
{
    if (entry->port != port) {
        entry->port = port;
        entry->steady = 0;
    }
    if (entry->steady == STEADY)
        return false;
    entry->steady++;
    return true;
}

static inline bool spend(uint32_t *missing, const struct quota_rate *rate, bool spread)
{
    uint32_t then = *missing + rate->cost[spread];
    bool enough = then <= rate->room;
    if (enough)
        *missing = then;
    return enough;
}

enum quota_verdict quota_query(struct quota *q, uint64_t now_us, const struct address *from,
                               bool proven)
{
    struct quota_table *table = &q->queries;
    struct quota_entry *entry = entry_of(table, hash_of(q, from, proven ? 0x100 : 0), now_us);
    bool spread = is_spread(entry, from->port);
    if (spend(&entry->all, &table->all, spread))
        return QUOTA_ALL;
    return spend(&entry->flood, &table->flood, spread) ? QUOTA_HITS_ONLY : QUOTA_FLOOD;
}

bool quota_answer(struct quota *q, uint64_t now_us, const struct address *from, uint64_t kind)
{
    struct quota_table *table = &q->answers;
    struct quota_entry *entry = entry_of(table, hash_of(q, from, kind << 8), now_us);
    return spend(&entry->all, &table->all, is_spread(entry, from->port));
}
