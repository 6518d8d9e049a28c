// SPDX-License-Identifier: MIT
#include "core/forward/learned.h"
#include "core/serve_state.h"

#include <assert.h>

// What an operator has a worker do between two batches: other settings, flushes, and looks at what
// it knows.

// --- settings ------------------------------------------------------------------------------------

void serve_local(struct serve *s, const struct local *local)
{
    s->config.local = local;
    memset(&s->local_memo, 0, sizeof s->local_memo);
}

void serve_reload(struct serve *s, uint64_t now_us, const struct serve_update *update)
{
    s->config.settings = update->settings;
    s->config.plan = update->plan;
    s->config.access = update->access;
    s->config.cookies = update->cookies;
    serve_local(s, update->local);
    serve_limits_take(s, update->settings);
    forward_reload(&s->forward, now_us, update->plan, update->settings);
    // What failed with the upstreams of before may be had from those of now.
    failure_init(&s->failures, s->failures.entries, s->failures.bucket_count * FAILURE_WAYS);
    struct guard_config guard = serve_guard_config(&s->config);
    guard_reload(&s->guard, &guard);
}

void serve_keeps(struct serve *s, bool keeps)
{
    s->keeps_none = !keeps;
}

// --- looks ---------------------------------------------------------------------------------------

static void in_use_mark(const struct plan *plan, struct serve_upstream *upstreams)
{
    for (size_t z = 0; z < plan->zone_count; z++) {
        for (size_t i = 0; i < plan->zones[z].upstream_count; i++)
            upstreams[plan->zones[z].upstreams[i]].in_use = true;
    }
}

size_t serve_upstreams(const struct serve *s, uint64_t now_us, struct serve_upstream *upstreams)
{
    const struct plan *plan = s->config.plan;
    const struct stream_table *streams = &s->forward.streams;
    for (size_t i = 0; i < plan->upstream_count; i++) {
        const struct upstream *u = &s->forward.upstreams[i];
        upstreams[i] = (struct serve_upstream){
            .address = plan->upstreams[i],
            .health = u->over_tcp ? UPSTREAM_ALIVE : u->health,
            .fails = upstream_fails_all(u),
            .knows_edns = support_edns(&u->support, now_us),
            .keeps_spelling = support_case(&u->support, now_us),
            .knows_cookies = upstream_cookie_len(u, now_us) > 0,
            .loss_pm = u->loss_pm,
            .in_flight = u->in_flight,
            .fast_us = u->latency.fast_us,
            .slow_us = u->latency.slow_tail_us,
            .heard_us = u->reply_us,
        };
    }
    for (uint16_t i = 0; i < streams->size; i++)
        upstreams[streams->streams[i].upstream].connections += streams->streams[i].open;
    in_use_mark(plan, upstreams);
    return plan->upstream_count;
}

size_t serve_learned(const struct serve *s, struct learned *learned, size_t max)
{
    const struct plan *plan = s->config.plan;
    size_t count = plan->upstream_count < max ? plan->upstream_count : max;
    for (size_t i = 0; i < count; i++)
        learned_take(&learned[i], &s->forward.upstreams[i], &plan->upstreams[i]);
    return count;
}

void serve_learn(struct serve *s, uint64_t now_us, const struct learned *learned, size_t count)
{
    const struct plan *plan = s->config.plan;
    for (size_t i = 0; i < plan->upstream_count; i++) {
        struct upstream *u = &s->forward.upstreams[i];
        for (size_t j = 0; j < count && u->health == UPSTREAM_UNKNOWN && u->in_flight == 0; j++) {
            if (address_equal(&learned[j].address, &plan->upstreams[i]) &&
                learned_give(&learned[j], u, now_us))
                break;
        }
    }
}

// Looks at what is kept under a key, without counting that as a hit.
static struct serve_kept kept_look(const struct serve *s, const struct key *key, uint8_t *room)
{
    struct cache_hit hit;
    if (!serve_peek(s, key, room, ANSWER_SIZE_MAX, &hit))
        return (struct serve_kept){0};
    return (struct serve_kept){
        .there = true,
        .rcode = room[3] & HEADER_RCODE,
        .hits = hit.asked,
        .refreshed = answer_is_refreshed(room, hit.value_len),
        .birth_s = hit.birth_s,
        .expiry_s = hit.expiry_s,
        .len = hit.value_len,
        .records = load_be16(room + 6),
    };
}

// Is the name answered here? Asked as a client would.
static bool local_look(const struct serve *s, const struct name *name, uint16_t type,
                       struct serve_explanation *e, uint8_t *room)
{
    uint8_t bytes[UPSTREAM_QUERY_MAX];
    struct upstream_query asked = {
        .name = name->bytes, .name_len = name->len, .type = type, .class = CLASS_IN};
    struct query query;
    enum local_source source;
    size_t len = upstream_query_write(bytes, &asked);
    if (!s->config.local || query_read(&query, bytes, len) != QUERY_GOOD ||
        local_answer(s->config.local, &query, &e->key, 0, &s->limits, room, &source) == 0)
        return false;
    e->outcome = source == LOCAL_BLOCKED ? OUTCOME_BLOCKED : OUTCOME_LOCAL;
    e->local_rcode = room[3] & HEADER_RCODE;
    return true;
}

static void pending_look(const struct serve *s, struct serve_explanation *e)
{
    const struct pending *pending = pending_find(&s->forward.pending, &e->key);
    if (!pending)
        return;
    e->asked_us = pending->started_us;
    e->waiting = pending->waiter_count;
    for (size_t i = 0; i < pending->zone->upstream_count; i++)
        e->sends += pending->sends[i] + pending->tcp_sends[i];
}

static enum serve_outcome outcome_of(const struct serve *s, uint32_t now_s,
                                     const struct serve_explanation *e)
{
    bool stale = (e->kept.there && now_s - e->kept.expiry_s < s->stale_max_s) ||
                 (e->denial.there && now_s - e->denial.expiry_s < s->stale_max_s);
    if (e->kept.there && now_s < e->kept.expiry_s)
        return OUTCOME_MEMORY;
    if (e->denial.there && now_s < e->denial.expiry_s)
        return OUTCOME_DENIED;
    if (!e->zone)
        return OUTCOME_REFUSED;
    if (e->failed_until_us > 0)
        return stale ? OUTCOME_STALE : OUTCOME_FAILURE;
    if (e->zone_down && stale)
        return OUTCOME_STALE;
    return e->asked_us > 0 ? OUTCOME_JOIN : OUTCOME_UPSTREAM;
}

void serve_explain(struct serve *s, uint64_t now_us, const struct name *name, uint16_t type,
                   const struct address *client, struct serve_explanation *e)
{
    struct forward *f = &s->forward;
    struct key denial;
    *e = (struct serve_explanation){0};
    key_of_name(&e->key, name, type, s->config.cache->seed);
    key_make_denial(&denial, &e->key);
    e->home = cache_shard_of(s->config.cache, e->key.hash) % s->config.worker_count;
    e->access = client ? (uint8_t)access_check(s->config.access, client) : ACCESS_ALLOW;
    e->zone = plan_find(s->config.plan, name->bytes, name->len);
    e->zone_down = e->zone && forward_is_down(f, now_us, e->zone);
    // The forwarder's own room for an answer is free between two verbs.
    e->kept = kept_look(s, &e->key, f->answer_value);
    e->denial = kept_look(s, &denial, f->answer_value);
    const struct failure *failure = failure_find(&s->failures, e->key.hash, f->revivals, now_us);
    if (failure) {
        e->failed_until_us = failure->until_us;
        e->failed_rcode = failure->rcode;
    }
    pending_look(s, e);
    if (e->access != ACCESS_ALLOW)
        e->outcome = e->access == ACCESS_DROP ? OUTCOME_DROPPED : OUTCOME_REFUSED;
    else if (!local_look(s, name, type, e, f->answer_value))
        e->outcome = (uint8_t)outcome_of(s, (uint32_t)(now_us / 1000000), e);
}

// --- flushes -------------------------------------------------------------------------------------

static bool everything(const void *context, const struct cache_entry *entry)
{
    (void)context;
    (void)entry;
    return true;
}

// Is it kept of this name, or of one whose CNAMEs lead there?
static bool speaks_of_name(const void *name, const struct cache_entry *entry)
{
    struct name target;
    struct answer_chain chain = answer_chain_of(entry->value, entry->value_len);
    if (key_is_name(name, entry->key, entry->key_len))
        return true;
    while (answer_chain_next(&chain, &target)) {
        if (name_equal(&target, name))
            return true;
    }
    return false;
}

static bool speaks_of_subtree(const void *name, const struct cache_entry *entry)
{
    struct name target;
    struct answer_chain chain = answer_chain_of(entry->value, entry->value_len);
    if (key_is_within(name, entry->key, entry->key_len))
        return true;
    while (answer_chain_next(&chain, &target)) {
        if (name_within(&target, name))
            return true;
    }
    return false;
}

bool serve_flush(struct serve *s, struct serve_flush *flush, size_t budget)
{
    static bool (*const matches[])(const void *name, const struct cache_entry *entry) = {
        [FLUSH_NAME] = speaks_of_name,
        [FLUSH_SUBTREE] = speaks_of_subtree,
        [FLUSH_ALL] = everything,
    };
    struct cache *cache = s->config.cache;
    flush->sweep.shard = s->config.worker + flush->shards_done * s->config.worker_count;
    if (cache_sweep(cache, &flush->sweep, budget, matches[flush->what], &flush->name))
        return true;
    flush->sweep.bucket = 0;
    return ++flush->shards_done < cache->shard_count / s->config.worker_count;
}
