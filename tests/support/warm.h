// SPDX-License-Identifier: MIT
#pragma once
#include "core/policy/cookie.h"
#include "core/serve/control.h"

// A worker's state whose cache holds the answers to `name_count` questions, without a socket: what
// the benchmarks of the hit path run on. Each question is "n<i>.bench.example A" with EDNS, each
// answer one A record, like those of a small site.

#define WARM_QUERY_MAX 64
#define WARM_SHARDS    4 // of the cache, which has to have 1 MiB at least

struct warm_query {
    uint8_t bytes[WARM_QUERY_MAX];
    uint16_t len;
};

struct warm {
    struct serve *serve;
    struct cache cache;
    struct counters counters;
    struct warm_query *queries;
    size_t name_count;
    uint8_t *out; // room for the replies of one batch
    size_t out_size;
    uint64_t now_us;
    // What the state points to:
    struct settings settings;
    struct prefix allowed;
    struct forward_zone zone;
    struct endpoint upstream;
    struct zone_table zone_table;
    struct access_list access;
    struct cookie_source cookies;
    const struct address *clients; // that ask in turn; NULL: one does
    size_t client_count;
    void *memory[6];
    void *local; // of warm_block
};

// What stands between the clients and the answers, besides one prefix that allows all.
struct warm_limits {
    struct prefix_list allow;
    uint64_t client_qps;
    uint64_t same_answers;
};

// Ends the program with a message if memory is short.
struct warm *warm_make(size_t name_count, size_t cache_size);
struct warm *warm_make_limited(size_t name_count, size_t cache_size,
                               const struct warm_limits *limits);
void warm_free(struct warm *warm);

// Gives the worker special names and a block list of so many names, none of them a warm one; half
// are like "b<i>.list.example", half like "x.b<i>.example".
void warm_block(struct warm *warm, size_t name_count);

// Asks `count` of the warm questions from the first on, in batches of `batch`, and checks that each
// is answered from memory. `rounds` times over, with a tenth of a millisecond for each batch where
// there are several clients.
void warm_hits(struct warm *warm, size_t count, size_t batch, size_t rounds);
