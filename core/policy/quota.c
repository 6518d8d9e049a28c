// SPDX-License-Identifier: MIT
#include "core/policy/quota.h"

#include "core/wire/bytes.h"

#include <assert.h>

// What holds here:
// - A line is one cache line; a network's entry stands in the line that its hash names, or nowhere.
// - A tag is 32 bits of the hash: two networks in one line take each other's tokens once in four
//   thousand million. The seed keeps anybody from looking for such a pair.
// - No bucket holds more than its room, and an entry that is made is full; so to forget one
//   that is full changes nothing.
// - Time is counted in ticks of 1.024 ms in 32 bits, which run over after 50 days; an entry that
//   nobody has asked for so long may then look younger than it is, and gains less.
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
    uint32_t tag; // 0: free
    uint32_t tick;
    uint32_t all;   // units in the bucket
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

size_t quota_size(const struct quota_config *config)
{
    size_t tables = (config->queries_per_s > 0) + (config->answers_per_s > 0);
    return tables * line_count(config) * sizeof(struct quota_line);
}

// The finest units in which a bucket's room can be told. There is room at least for what a client
// pays until it is known to stay at one port.
static struct quota_rate rate_make(uint64_t per_s, uint64_t burst_ms, uint32_t workers)
{
    unsigned shift = COST_SHIFT;
    uint64_t least = (uint64_t)STEADY * workers, room = per_s * burst_ms / 1000;
    room = room > least ? room : least;
    while (shift > 0 && (room << shift > ROOM_MAX || per_s << shift > ROOM_MAX))
        shift--;
    uint64_t gain = ((per_s * TICK_US << shift) + 500000) / 1000000;
    return (struct quota_rate){
        .gain = (uint32_t)(gain < ROOM_MAX ? gain : ROOM_MAX),
        .cost = 1u << shift,
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
    table->flood = rate_make(per_s * factor, config->burst_ms, config->workers);
    memset(table->lines, 0, lines * sizeof *table->lines);
    *memory += lines * sizeof *table->lines;
}

void quota_init(struct quota *q, void *memory, const struct quota_config *config)
{
    uint8_t *at = memory;
    assert((uintptr_t)memory % 64 == 0 && config->workers > 0);
    assert(config->ipv4_bits >= 1 && config->ipv4_bits <= 32);
    assert(config->ipv6_bits >= 1 && config->ipv6_bits <= 64);
    *q = (struct quota){
        .seed = {config->seed[0], config->seed[1]},
        .ipv4_mask = UINT32_MAX << (32 - config->ipv4_bits),
        .ipv6_mask = UINT64_MAX << (64 - config->ipv6_bits),
        .workers = config->workers,
    };
    table_init(&q->queries, &at, config, config->queries_per_s);
    table_init(&q->answers, &at, config, config->answers_per_s);
}

// A hash of the client's network and of what else the entry is for (the folded product of wyhash).
static uint64_t hash_of(const struct quota *q, const struct address *from, uint64_t what)
{
    uint64_t network =
        from->family == ADDRESS_IPV4
            ? load_be32(from->ip) & q->ipv4_mask
            : ((uint64_t)load_be32(from->ip) << 32 | load_be32(from->ip + 4)) & q->ipv6_mask;
    unsigned __int128 product =
        (unsigned __int128)(network ^ q->seed[0]) * (what ^ from->family ^ q->seed[1]);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint32_t gained(uint32_t units, uint32_t ticks, const struct quota_rate *rate)
{
    uint64_t sum = units + (uint64_t)ticks * rate->gain;
    return sum < rate->room ? (uint32_t)sum : rate->room;
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
    if (oldest->tag != 0 && gained(oldest->all, tick - oldest->tick, &table->all) < table->all.room)
        table->displaced++;
    *oldest = (struct quota_entry){
        .tag = tag, .tick = tick, .all = table->all.room, .flood = table->flood.room};
    return oldest;
}

// The entry of a hash, with what its buckets have gained up to now.
static struct quota_entry *entry_of(struct quota_table *table, uint64_t hash, uint64_t now_us)
{
    struct quota_line *line = &table->lines[hash & table->line_mask];
    uint32_t tag = (uint32_t)(hash >> 32) | 1, tick = (uint32_t)(now_us >> TICK_SHIFT);
    for (unsigned i = 0; i < WAYS; i++) {
        struct quota_entry *entry = &line->entries[i];
        if (entry->tag != tag)
            continue;
        if (entry->tick != tick) {
            entry->all = gained(entry->all, tick - entry->tick, &table->all);
            entry->flood = gained(entry->flood, tick - entry->tick, &table->flood);
            entry->tick = tick;
        }
        return entry;
    }
    return entry_make(table, line, tag, tick);
}

// How many queries this one stands for.
static inline uint32_t weight_of(const struct quota *q, struct quota_entry *entry, uint16_t port)
{
    if (entry->port != port) {
        entry->port = port;
        entry->steady = 0;
    }
    if (entry->steady == STEADY)
        return 1;
    entry->steady++;
    return q->workers;
}

static inline bool take(uint32_t *units, uint32_t cost)
{
    if (*units < cost)
        return false;
    *units -= cost;
    return true;
}

enum quota_verdict quota_query(struct quota *q, uint64_t now_us, const struct address *from,
                               bool proven)
{
    struct quota_table *table = &q->queries;
    struct quota_entry *entry = entry_of(table, hash_of(q, from, proven ? 0x100 : 0), now_us);
    uint32_t weight = weight_of(q, entry, from->port);
    if (!take(&entry->flood, table->flood.cost * weight))
        return QUOTA_FLOOD;
    return take(&entry->all, table->all.cost * weight) ? QUOTA_ALL : QUOTA_HITS_ONLY;
}

bool quota_answer(struct quota *q, uint64_t now_us, const struct address *from, uint64_t kind)
{
    struct quota_table *table = &q->answers;
    struct quota_entry *entry = entry_of(table, hash_of(q, from, kind << 8), now_us);
    return take(&entry->all, table->all.cost * weight_of(q, entry, from->port));
}
