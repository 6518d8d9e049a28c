// SPDX-License-Identifier: MIT
#pragma once
#include "core/serve/serve.h"

// What an operator has a worker do between two batches: other settings, flushes, and looks at what
// it knows of its upstreams. To be called by the worker's own thread, as the verbs are.

// From now on these are the local names; NULL: none. The ones before are not looked at any more.
void serve_local(struct serve *serve, const struct local *local);

// From now on these are the settings. The zone table must begin with the upstreams of the one
// before, in their order. Questions that wait go on as they were begun: what was in force before
// must live on for SERVE_RELOAD_REST_US. What cannot change while a worker runs (options.def) is
// not looked at.
#define SERVE_RELOAD_REST_US 10000000u
struct serve_update {
    const struct settings *settings;
    const struct zone_table *zone_table;
    const struct access_list *access;
    const struct local *local;           // NULL: none
    const struct cookie_source *cookies; // NULL: none
};
void serve_reload(struct serve *serve, uint64_t now_us, const struct serve_update *update);

// From now on somebody else writes this worker's shards (false), or it does so again: answers go to
// those who wait and are not kept, and nothing is refreshed. Looking up goes on.
void serve_keeps(struct serve *serve, bool keeps);

// Drops what this worker's shards keep of one name (all types and variants), of a name and all
// below it, or everything; of names as well whose CNAMEs lead there. A piece at a time, of up to
// `budget` buckets of the index, so that the worker goes on answering in between: call it again,
// with the same `flush`, until it returns false. Then nothing is left of what was there at the
// first call.
enum flush_what { FLUSH_NAME, FLUSH_SUBTREE, FLUSH_ALL };
struct serve_flush {
    enum flush_what what;
    struct name name;
    struct cache_sweep sweep; // starts as zero, as the next; `removed` counts
    uint32_t shards_done;
};
[[nodiscard]] bool serve_flush(struct serve *serve, struct serve_flush *flush, size_t budget);

// What this worker knows of an upstream.
struct serve_upstream {
    struct address address;
    uint8_t health;       // enum upstream_health
    bool fails;           // replies with failures where others have answers
    bool in_use;          // a zone names it
    bool knows_edns;      // or is not known not to
    bool keeps_case;      // of names (0x20); the same
    bool knows_cookies;   // has given one
    uint16_t loss_pm;     // sends that got no reply, smoothed, in thousandths
    uint32_t in_flight;   // sends whose reply may still come
    uint32_t fast_us;     // the middle of what it answers from its own memory; 0: not known
    uint32_t slow_us;     // by which nearly all of its answers have come
    uint64_t heard_us;    // when its last reply came; 0: never
    uint32_t connections; // over TCP
};
// Fills in one for each upstream of the zone table, in its order, and returns how many (up to
// ZONE_TABLE_UPSTREAMS_MAX).
[[nodiscard]] size_t serve_upstreams(const struct serve *serve, uint64_t now_us,
                                     struct serve_upstream *upstreams);

// What this worker has learned of the upstreams of its zone table, for the one that takes its place
// in another process (core/forward/learned.h): fills in up to `max` and returns how many. And the
// other one's side: takes what concerns its own upstreams to which nothing was sent yet.
struct learned;
[[nodiscard]] size_t serve_learned(const struct serve *serve, struct learned *learned, size_t max);
void serve_learn(struct serve *serve, uint64_t now_us, const struct learned *learned, size_t count);
