// SPDX-License-Identifier: MIT
#include "tests/support/warm.h"

#include "core/settings/parse.h"

#include <stdio.h>
#include <stdlib.h>

enum { BATCH_US = 100 };

static void *take(size_t size)
{
    void *memory = aligned_alloc(64, (size + 63) & ~(size_t)63);
    if (!memory) {
        fputs("no memory\n", stderr);
        exit(1);
    }
    memset(memory, 0, (size + 63) & ~(size_t)63);
    return memory;
}

static void settings_make(struct warm *w, const struct warm_limits *limits)
{
    settings_init(&w->settings);
    w->settings.limits_client_qps = limits->client_qps;
    w->settings.limits_same_answers = limits->same_answers;
    w->settings.upstream_cookies = false; // reply_make writes over an OPT record without options
    w->allowed = (struct prefix){.family = ADDRESS_IPV4}; // 0.0.0.0/0
    w->settings.access_allow =
        limits->allow.count > 0 ? limits->allow : (struct prefix_list){&w->allowed, 1};
    w->upstream =
        (struct endpoint){.address = {.ip = {127, 0, 0, 1}, .port = 53, .family = ADDRESS_IPV4}};
    forward_zone_init(&w->zone);
    w->zone.zone = (struct name){.len = 1};
    w->zone.to = (struct endpoint_list){&w->upstream, 1};
    w->settings.forward = (struct forward_zone_list){&w->zone, 1};
}

static void query_make(struct warm_query *query, size_t number)
{
    struct name name;
    char text[WARM_QUERY_MAX];
    int len = snprintf(text, sizeof text, "n%zu.bench.example", number);
    if (!name_parse(&name, text, (size_t)len))
        abort();
    struct upstream_query asked = {
        .name = name.bytes,
        .name_len = name.len,
        .id = (uint16_t)number,
        .type = TYPE_A,
        .class = CLASS_IN,
        .udp_size = 1232,
    };
    query->len = (uint16_t)upstream_query_write(query->bytes, &asked);
}

// The upstream's part: turns the query that serve sent into its answer.
static size_t reply_make(uint8_t *message, size_t len)
{
    static const uint8_t record[] = {0xc0, 12,   0, TYPE_A, 0,   CLASS_IN, 0, 1,
                                     0x51, 0x80, 0, 4,      192, 0,        2, 1};
    len -= OPT_LEN;
    message[2] |= HEADER_QR;
    message[3] |= HEADER_RA;
    store_be16(message + 6, 1);
    store_be16(message + 10, 0);
    memcpy(message + len, record, sizeof record);
    return len + sizeof record;
}

static struct serve_item item_of(const struct warm_query *query)
{
    return (struct serve_item){
        .client.from = {.ip = {127, 0, 0, 1}, .port = 5000, .family = ADDRESS_IPV4},
        .in = query->bytes,
        .in_len = query->len,
    };
}

static void question_warm(struct warm *w, const struct warm_query *query)
{
    struct serve_item item = item_of(query);
    struct outgoing outgoing = {.bytes = w->out};
    uint8_t reply[512];
    size_t reply_len = 0;
    uint16_t port = 0;
    (void)serve_queries(w->serve, w->now_us, &item, 1, w->out, w->out_size);
    while (serve_drain(w->serve, w->now_us, &outgoing)) {
        if (outgoing.kind != OUTGOING_QUERY)
            continue;
        memcpy(reply, outgoing.bytes, outgoing.len);
        reply_len = reply_make(reply, outgoing.len);
        port = outgoing.slot;
    }
    if (reply_len > 0)
        serve_reply(w->serve, w->now_us, port, reply, reply_len);
    while (serve_drain(w->serve, w->now_us, &outgoing))
        continue;
}

struct warm *warm_make(size_t name_count, size_t cache_size)
{
    return warm_make_limited(name_count, cache_size, &(struct warm_limits){0});
}

struct warm *warm_make_limited(size_t name_count, size_t cache_size,
                               const struct warm_limits *limits)
{
    struct warm *w = take(sizeof *w);
    w->memory[0] = take(cache_size);
    w->now_us = 1000000000;
    w->name_count = name_count;
    w->cookies.count = 1;
    settings_make(w, limits);
    if (cache_format(&w->cache, w->memory[0], cache_size, WARM_SHARDS, 42) != 0)
        abort();
    w->memory[1] = take(zone_table_size(&w->settings));
    w->memory[2] = take(access_size(&w->settings));
    if (zone_table_build(&w->zone_table, w->memory[1], &w->settings))
        abort();
    access_build(&w->access, w->memory[2], &w->settings);
    struct serve_config config = {
        .settings = &w->settings,
        .zone_table = &w->zone_table,
        .access = &w->access,
        .cookies = &w->cookies,
        .cache = &w->cache,
        .counters = &w->counters,
        .worker_count = 1,
        .pending_max = 64,
        .source_ports_max = 64,
    };
    w->memory[3] = take(serve_size(&config));
    w->serve = serve_init(w->memory[3], &config, w->now_us);
    w->out_size = SERVE_BATCH_MAX * serve_reply_room(w->serve);
    w->out = w->memory[4] = take(w->out_size);
    w->queries = w->memory[5] = take(name_count * sizeof *w->queries);
    for (size_t i = 0; i < name_count; i++) {
        query_make(&w->queries[i], i);
        question_warm(w, &w->queries[i]);
    }
    return w;
}

// Makes a block of local names; the caller frees it.
static const struct local *local_make(const struct settings *settings, size_t name_count,
                                      void **memory)
{
    struct local_draft draft;
    struct block_names *names = take(sizeof *names);
    uint64_t *entries = take((name_count + 1) * sizeof *entries);
    local_draft(&draft, 42);
    draft.size = (size_t)1 << 16;
    draft.bytes = take(draft.size);
    if (!local_add_special(&draft, settings))
        abort();
    for (size_t i = 0; i < name_count; i++) {
        char text[WARM_QUERY_MAX];
        int len = snprintf(text, sizeof text, i % 2 ? "x.b%zu.example" : "b%zu.list.example", i);
        if (block_line_read(text, (size_t)len, false, draft.seed, names) != BLOCK_LINE_TAKEN)
            abort();
        entries[i] = names->entries[0];
    }
    struct local_making making = {.draft = &draft, .entries = entries, .entry_count = name_count};
    *memory = take(local_size(&making));
    const struct local *local = local_build(&making, *memory);
    free(draft.bytes);
    free(entries);
    free(names);
    return local;
}

void warm_block(struct warm *w, size_t name_count)
{
    void *before = w->local;
    serve_local(w->serve, local_make(&w->settings, name_count, &w->local));
    free(before);
}

void warm_free(struct warm *w)
{
    free(w->local);
    for (size_t i = 0; i < sizeof w->memory / sizeof *w->memory; i++)
        free(w->memory[i]);
    free(w);
}

void warm_hits(struct warm *w, size_t count, size_t batch, size_t rounds)
{
    struct serve_item items[SERVE_BATCH_MAX];
    uint64_t before = counter_get(&w->counters, COUNTER_answers_cache);
    for (size_t round = 0; round < rounds; round++) {
        for (size_t from = 0; from + batch <= count; from += batch) {
            for (size_t i = 0; i < batch; i++) {
                items[i] = item_of(&w->queries[from + i]);
                if (w->clients)
                    items[i].client.from = w->clients[(from + i) % w->client_count];
            }
            w->now_us += w->clients ? BATCH_US : 0;
            (void)serve_queries(w->serve, w->now_us, items, batch, w->out, w->out_size);
        }
    }
    uint64_t hits = counter_get(&w->counters, COUNTER_answers_cache) - before;
    if (hits != count / batch * batch * rounds) {
        fprintf(stderr, "only %llu hits\n", (unsigned long long)hits);
        exit(1);
    }
}
