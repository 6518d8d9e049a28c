// SPDX-License-Identifier: MIT
#pragma once
#include "core/serve/serve.h"

// What an operator has a worker do between two batches: apply settings, flush, and report what it
// knows of its upstreams. For the worker's own thread, as are the verbs.

// Applies other local names; NULL: none. The old ones are not used any more.
void serve_local(struct serve *serve, const struct local *local);

// Applies other settings, but for those that need a restart (options.def). The zone table must
// begin with the upstreams of the one before, in their order. Questions in flight go on with the
// old settings, which must live on for SERVE_RELOAD_REST_US.
#define SERVE_RELOAD_REST_US 10000000u
struct serve_update {
    const struct settings *settings;
    const struct zone_table *zone_table;
    const struct access_list *access;
    const struct local *local;           // NULL: none
    const struct cookie_source *cookies; // NULL: none
};
void serve_reload(struct serve *serve, uint64_t now_us, const struct serve_update *update);

// With false another process writes this worker's shards from now on: answers go to the clients
// that wait and are not cached, and nothing is refreshed. Lookups go on. With true it writes them
// again.
void serve_keeps(struct serve *serve, bool keeps);

// Removes from this worker's shards the answers to one name (all types and variants), to a name and
// all below it, or all of them; also answers whose CNAMEs lead to such a name. Each call does up to
// `budget` buckets of the index, so that the worker can answer in between; to be called with the
// same `flush` until it returns false. Then nothing is left that was cached at the first call.
enum flush_what { FLUSH_NAME, FLUSH_SUBTREE, FLUSH_ALL };
struct serve_flush {
    enum flush_what what;
    struct name name;
    struct cache_sweep sweep; // starts as zero, as the next; `removed` counts
    uint32_t shards_done;
};
[[nodiscard]] bool serve_flush(struct serve *serve, struct serve_flush *flush, size_t budget);

// What this worker knows of an upstream, for reports.
struct serve_upstream {
    struct address address;
    uint8_t health;       // enum upstream_health
    bool fails;           // replies with failures where others have answers
    bool in_use;          // a zone names it
    bool knows_edns;      // not known to lack EDNS
    bool keeps_case;      // not known to change the 0x20 case of names
    bool knows_cookies;   // has sent one
    uint16_t loss_pm;     // sends that got no reply, smoothed, in thousandths
    uint32_t in_flight;   // sends whose reply may still come
    uint32_t fast_us;     // the middle of its fast mode, its cached answers; 0: not known
    uint32_t slow_us;     // nearly all of its answers take no longer
    uint64_t heard_us;    // time of its last reply; 0: never
    uint32_t connections; // over TCP
};
// Fills in one for each upstream of the zone table, in its order. Returns how many, at most
// ZONE_TABLE_UPSTREAMS_MAX.
[[nodiscard]] size_t serve_upstreams(const struct serve *serve, uint64_t now_us,
                                     struct serve_upstream *upstreams);

// Exports what this worker has learned of its upstreams, for a worker of the successor
// (core/forward/learned.h): fills in up to `max` and returns how many. The successor's worker
// imports it, for those of its upstreams that nothing was sent to yet.
struct learned;
[[nodiscard]] size_t serve_learned(const struct serve *serve, struct learned *learned, size_t max);
void serve_learn(struct serve *serve, uint64_t now_us, const struct learned *learned, size_t count);
