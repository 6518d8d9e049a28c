// SPDX-License-Identifier: MIT
#include "core/serve/explain.h"

#include "core/serve/answer.h"

static struct address upstream_of(const struct zone_table *zone_table, uint16_t tag)
{
    for (size_t i = 0; i < zone_table->upstream_count; i++) {
        if (upstream_tag(&zone_table->upstreams[i].address) == tag)
            return zone_table->upstreams[i].address;
    }
    return (struct address){.family = ADDRESS_NONE};
}

// Looks at what is cached under a key, without counting that as a hit.
static struct serve_cached cached_look(const struct serve *s, const struct key *key, uint8_t *room)
{
    struct cache_hit hit;
    if (!serve_peek(s, key, room, ANSWER_SIZE_MAX, &hit))
        return (struct serve_cached){0};
    struct answer_origin origin = answer_origin(room, hit.value_len);
    return (struct serve_cached){
        .there = true,
        .rcode = room[3] & HEADER_RCODE,
        .hits = hit.asked,
        .refreshed = answer_is_refreshed(room, hit.value_len),
        .birth_s = hit.birth_s,
        .expiry_s = hit.expiry_s,
        .len = hit.value_len,
        .records = load_be16(room + 6),
        .upstream = upstream_of(s->config.zone_table, origin.upstream),
        .transport = origin.transport,
        .validation = origin.validation,
        .withheld = answer_is_withheld(room, hit.value_len),
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
    const struct question *question = question_find(&s->forward.questions, &e->key);
    if (!question)
        return;
    e->asked_us = question->started_us;
    e->waiting = question->asker_count;
    for (size_t i = 0; i < question->zone->upstream_count; i++)
        e->sends += question->sends[i] + question->tcp_sends[i];
}

static enum serve_outcome outcome_of(const struct serve *s, uint32_t now_s,
                                     const struct serve_explanation *e)
{
    bool stale = (e->cached.there && now_s - e->cached.expiry_s < s->stale_max_s) ||
                 (e->denial.there && now_s - e->denial.expiry_s < s->stale_max_s);
    if (e->cached.there && now_s < e->cached.expiry_s)
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
    e->zone = zone_table_find(s->config.zone_table, name->bytes, name->len);
    e->zone_down = e->zone && forward_is_down(f, now_us, e->zone);
    // The forwarder's own room for an answer is free between two verbs.
    e->cached = cached_look(s, &e->key, f->answer_value);
    e->denial = cached_look(s, &denial, f->answer_value);
    const struct failure *failure = failure_find(&s->failures, e->key.hash, f->recoveries, now_us);
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
