// SPDX-License-Identifier: MIT
#pragma once
#include "core/forward/zone_table.h"
#include "core/policy/access.h"
#include "io/engine/engine.h"
#include "io/engine/engine_plane.h"
#include "io/engine/listening.h"
#include "io/engine/superseded.h"
#include "io/net/clock.h"
#include "io/xdp/plane.h"

#include <pthread.h>

// What the files of the engine share: engine.c (its life), engine_region.c, engine_rules.c,
// engine_do.c, engine_answer_log.c, engine_figures.c and engine_succession.c (another engine takes
// its place).

// Wall-clock time at the start, continued by the monotonic clock that also runs while the machine
// sleeps, as answers age meanwhile.
struct engine_clock {
    uint64_t offset_us;
};

static inline uint64_t engine_now_us(const void *clock)
{
    return ((const struct engine_clock *)clock)->offset_us + clock_us(CLOCK_BOOTTIME);
}

// The rules made from the settings, one immutable object that all workers read.
struct rules {
    struct superseded superseded; // by the engine's clock
    struct zone_table zone_table;
    void *zone_table_memory;
    struct access_list access;
    void *access_memory;
};

struct engine {
    const struct settings *settings;
    const struct local *local;
    struct rules *rules; // those in force, and older ones that questions may still use
    struct cookie_source cookies;
    struct cache cache;
    void *region;
    size_t region_size;
    int region_fd;
    bool has_cache; // a predecessor's, which still writes it
    struct engine_clock clock;
    unsigned worker_count;
    uint16_t source_ports_max; // source ports of a worker
    unsigned connections_max;  // connections of clients, of all workers
    struct worker **workers;
    struct listening listening;
    struct steering steering;
    struct counters *counters;        // of each worker
    struct worker_queue *queues;      // worker_count * worker_count, from the row to the column
    uint8_t *queue_bytes;             // of all of them
    struct worker_queue **directions; // for each worker its `from` and its `to`
    const struct net_engine *net_engine;
    const char *net_refused; // why it is not io_uring, or NULL
    const struct net **nets; // of each worker
    int failure_fd;
    uint8_t *answer_log_bytes;           // of all answer logs; NULL until they are wanted; atomic
    struct counters carried;             // of predecessors; atomic
    uint64_t rules_octets, local_octets; // of those in force; atomic
    pthread_mutex_t doing;               // of those who have the workers do something
    // The XDP plane (engine_plane.h); NULL: there is none.
    struct plane *plane;
    pthread_mutex_t plane_lock;
    bool plane_rests;         // what it knows, or the settings, is being changed elsewhere
    int64_t plane_boot_ns;    // from the machine's CLOCK_BOOTTIME, which it reads, to ours
    uint64_t plane_addresses; // a sum of this host's that it listens on for wildcards
    struct top *plane_tops;   // of what it has answered: TOP_KINDS of them; NULL: none yet
    uint64_t plane_states[ENGINE_PLANE_STATES]; // interfaces in each; atomic
    uint64_t plane_cookies_until_s; // when it needs another secret, by the engine's clock
    char plane_why[PLANE_WHY_SIZE];
    char plane_interfaces_why[PLANE_LINKS_MAX][PLANE_WHY_SIZE];
};
