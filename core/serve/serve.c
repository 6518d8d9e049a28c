// SPDX-License-Identifier: MIT
#include "core/serve/serve.h"

#include "core/serve/admission.h"
#include "core/serve/ended.h"
#include "core/serve/hit.h"
#include "core/serve/refresh.h"
#include "core/serve/waiters.h"

#include <assert.h>

// What is true between two verbs:
// - A question in the question table can be joined. One that has ended is out of it and stands
//   among `told` until serve_drain has told its last waiter. Before that, where it has its answer
//   in hand, it waits for its turn to be looked at, which only serve_drain gives.
// - A question that goes on stands among `told` only while its waiters are being given what is
//   stale; then it has none.
// - Each waiter is answered once: it leaves its question only in serve_drain.

enum {
    FAILURES_PER_QUESTION = 2, // remembered, for each place of the question table
    REFRESHES_PER_QUESTION = 1,
    REFRESH_SENDS_MAX = 4096,
    REFRESH_SENDS_AT_START = 256,
};

static struct forward_config forward_config_of(const struct serve_config *config)
{
    return (struct forward_config){
        .zone_table = config->zone_table,
        .counters = config->counters,
        .pending_max = config->pending_max,
        .source_ports_max = config->source_ports_max,
        .upstream_connections_max = config->upstream_connections_max,
    };
}

static uint32_t failures_of(const struct serve_config *config)
{
    uint32_t count = config->pending_max * FAILURES_PER_QUESTION;
    return count > 4 ? count : 4;
}

size_t serve_size(const struct serve_config *config)
{
    struct forward_config forward = forward_config_of(config);
    struct policy_config policy = serve_policy_config(config, NULL);
    return serve_aligned(sizeof(struct serve)) + serve_aligned(forward_size(&forward)) +
           serve_aligned(waiter_table_size(config->pending_max)) +
           serve_aligned(failure_size(failures_of(config))) + policy_size(&policy) +
           serve_aligned(refresh_size(config->pending_max * REFRESHES_PER_QUESTION));
}

struct serve *serve_init(void *memory, const struct serve_config *config, uint64_t now_us)
{
    assert((uintptr_t)memory % 64 == 0);
    assert(config->worker < config->worker_count &&
           config->cache->shard_count % config->worker_count == 0);
    struct serve *s = memory;
    uint8_t *tables = (uint8_t *)memory + serve_aligned(sizeof *s);
    memset(s, 0, sizeof *s);
    s->config = *config;
    serve_limits_apply(s, config->settings);
    struct forward_config forward = forward_config_of(config);
    forward.limits = &s->limits;
    forward_settings_apply(&forward, config->settings);
    forward.key_seed = config->cache->seed;
    forward_init(&s->forward, tables, &forward, config->seed, now_us);
    tables += serve_aligned(forward_size(&forward));
    waiter_table_init(&s->waiters, tables, config->pending_max);
    tables += serve_aligned(waiter_table_size(config->pending_max));
    failure_init(&s->failures, tables, failures_of(config));
    tables += serve_aligned(failure_size(failures_of(config)));
    refresh_init(&s->refreshes, tables, config->pending_max * REFRESHES_PER_QUESTION);
    tables += serve_aligned(refresh_size(config->pending_max * REFRESHES_PER_QUESTION));
    struct policy_config policy = serve_policy_config(config, &s->limits);
    uint64_t loop_seed[2];
    rng_bytes(&s->forward.rng, (uint8_t *)loop_seed, sizeof loop_seed);
    policy_init(&s->policy, tables, &policy, loop_seed);
    budget_init(&s->refresh_budget, REFRESH_SENDS_MAX, REFRESH_SENDS_AT_START);
    for (unsigned i = 0; i < REFRESH_NETWORKS; i++)
        budget_init(&s->refresh_budgets[i], REFRESH_SENDS_MAX / 2, REFRESH_SENDS_AT_START / 2);
    s->told_end = &s->told;
    return s;
}

size_t serve_reply_room(const struct serve *s)
{
    size_t query = UPSTREAM_QUERY_MAX + 2; // a length in front, on a connection
    return s->reply_room > query ? s->reply_room : query;
}

static inline size_t rooms_of(const struct serve *s, const struct serve_item *items, size_t count)
{
    size_t connections = 0;
    for (size_t i = 0; i < count; i++)
        connections += client_has_connection(&items[i].client);
    return connections * SERVE_MESSAGE_ROOM + (count - connections) * s->reply_room;
}

size_t serve_queries(struct serve *s, uint64_t now_us, struct serve_item *items, size_t item_count,
                     uint8_t *out, size_t out_size)
{
    assert(item_count <= SERVE_BATCH_MAX);
    assert(rooms_of(s, items, item_count) <= out_size);
    const uint8_t *begin = out;
    const struct cache *cache = s->config.cache;
    struct lookup *lookup = s->lookups;
    uint64_t seed = cache->seed;

    client_limits_time(&s->policy.client_limits, now_us);
    for (struct serve_item *item = items; item < items + item_count; item++) {
        if (!serve_admit(s, item, lookup, &out))
            continue;
        lookup->item = item;
        lookup->stale = false;
        key_make(&lookup->key, &lookup->query, seed);
        cache_seek_bucket(cache, lookup->key.hash, &lookup->seek);
        lookup++;
    }
    const struct lookup *end = lookup;
    for (lookup = s->lookups; lookup < end; lookup++)
        cache_seek_entry(cache, lookup->key.hash, &lookup->seek);
    if (end > s->lookups)
        serve_top_note(s, now_us, (size_t)(end - s->lookups));
    for (lookup = s->lookups; lookup < end; lookup++)
        serve_find(s, now_us, lookup, &out);
    assert((size_t)(out - begin) <= out_size);
    return (size_t)(out - begin);
}

void serve_handover_failed(struct serve *s)
{
    serve_count(s, COUNTER_drops_handover_full);
}

// --- upstreams and time ------------------------------------------------------------------------

void serve_reply(struct serve *s, uint64_t now_us, uint16_t slot, const uint8_t *in, size_t len)
{
    forward_reply(&s->forward, now_us, slot, in, len);
    serve_ended_process(s, now_us);
}

void serve_message(struct serve *s, uint64_t now_us, uint16_t connection, const uint8_t *in,
                   size_t len)
{
    forward_message(&s->forward, now_us, connection, in, len);
    serve_ended_process(s, now_us);
}

void serve_connected(struct serve *s, uint64_t now_us, uint16_t connection)
{
    forward_connected(&s->forward, now_us, connection);
}

void serve_closed(struct serve *s, uint64_t now_us, uint16_t connection)
{
    forward_closed(&s->forward, now_us, connection);
    serve_ended_process(s, now_us);
}

void serve_unreachable(struct serve *s, uint64_t now_us, uint16_t slot)
{
    forward_unreachable(&s->forward, now_us, slot);
    serve_ended_process(s, now_us);
}

void serve_source_port_refused(struct serve *s, uint64_t now_us, uint16_t slot)
{
    forward_source_port_refused(&s->forward, now_us, slot);
    serve_ended_process(s, now_us);
}

void serve_source_port_unavailable(struct serve *s, uint64_t now_us, uint16_t slot)
{
    forward_source_port_unavailable(&s->forward, now_us, slot);
    serve_ended_process(s, now_us);
}

void serve_expire(struct serve *s, uint64_t now_us)
{
    struct timer *timer;
    while ((timer = wheel_next(&s->forward.wheel, now_us))) {
        if (timer->kind == TIMER_PATIENCE)
            serve_patience_due(s, now_us, (struct waiting *)timer);
        else if (timer->kind == TIMER_REFRESH)
            serve_refresh_due(s, now_us, (struct refresh *)timer);
        else
            forward_due(&s->forward, now_us, timer);
        serve_ended_process(s, now_us);
    }
}

uint64_t serve_deadline(const struct serve *s)
{
    return wheel_deadline(&s->forward.wheel);
}

bool serve_drain(struct serve *s, uint64_t now_us, struct outgoing *outgoing)
{
    const struct forward *f = &s->forward;
    for (;;) {
        if (forward_drain(&s->forward, now_us, outgoing) ||
            serve_waiters_drain(s, now_us, outgoing))
            return true;
        // Questions that have waited for others end once those have been told.
        if (f->ended)
            serve_ended_process(s, now_us);
        else if (!serve_in_hand_process(s, now_us))
            break;
    }
    counter_set(s->config.counters, COUNTER_pending, f->questions.count);
    counter_set(s->config.counters, COUNTER_waiters,
                f->questions.asker_count - f->questions.parent_count);
    counter_set(s->config.counters, COUNTER_ports,
                f->source_ports.size - f->source_ports.free_count);
    counter_set(s->config.counters, COUNTER_upstream_connections, f->connections.open_count);
    return false;
}
