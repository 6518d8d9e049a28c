// SPDX-License-Identifier: MIT
#include "core/serve/control.h"

#include "core/forward/learned.h"
#include "core/serve/state.h"

#include <assert.h>

// What an operator has a worker do between two batches: other settings, flushes, and looks at what
// it knows.

// --- settings ------------------------------------------------------------------------------------

// What such a question ends with is not cached, nor joined to what others end with that go on.
static void retire(struct key *key)
{
    key_change(key, key_type(key), key_flags(key) | KEY_RETIRED);
}

// Is it asked, or what it waits for, in a way in which it would not be now? What is put together of
// several answers is by all rules.
static bool is_by_rules_of_before(const struct serve *s, const struct question *question,
                                  bool changed)
{
    for (; question; question = question->sub) {
        bool joined = question->local || question->subquestions & SUBQUESTION_ALIAS;
        if ((joined && changed) || !policy_holds_question(&s->policy, question))
            return true;
    }
    return false;
}

// Questions that were begun by rules of before go on for the clients that wait for them. Who comes
// from now on is not to have what they end with, and it is not cached.
static void questions_retire(struct serve *s, uint32_t generation_before)
{
    struct question_table *table = &s->forward.questions;
    bool changed = s->policy.generation != generation_before;
    struct question *question = s->forward.ended_in_hand;
    for (; question && changed; question = question->next_ended)
        retire(&question->key);
    for (question = table->oldest; question; question = question->younger) {
        struct key key;
        if (question->probe || !is_by_rules_of_before(s, question, changed))
            continue;
        key_copy(&key, &question->key);
        retire(&key);
        question_rekey(table, question, &key);
    }
}

void serve_local(struct serve *s, const struct local *local)
{
    uint32_t generation = s->policy.generation;
    s->config.local = local;
    policy_local(&s->policy, local);
    questions_retire(s, generation);
}

void serve_reload(struct serve *s, uint64_t now_us, const struct serve_update *update)
{
    uint32_t generation = s->policy.generation;
    s->config.settings = update->settings;
    s->config.zone_table = update->zone_table;
    s->config.access = update->access;
    s->config.cookies = update->cookies;
    s->config.local = update->local;
    serve_limits_apply(s, update->settings);
    forward_reload(&s->forward, now_us, update->zone_table, update->settings);
    // What failed with the upstreams of before may be had from those of now.
    failure_init(&s->failures, s->failures.entries, s->failures.bucket_count * FAILURE_WAYS);
    struct policy_config policy = serve_policy_config(&s->config, &s->limits);
    policy_reload(&s->policy, &policy);
    questions_retire(s, generation);
}

void serve_keeps(struct serve *s, bool keeps)
{
    s->keeps_none = !keeps;
}

// --- looks ---------------------------------------------------------------------------------------

static void in_use_mark(const struct zone_table *zone_table, struct serve_upstream *upstreams)
{
    for (size_t z = 0; z < zone_table->zone_count; z++) {
        for (size_t i = 0; i < zone_table->zones[z].upstream_count; i++)
            upstreams[zone_table->zones[z].upstreams[i]].in_use = true;
    }
}

size_t serve_upstreams(const struct serve *s, uint64_t now_us, struct serve_upstream *upstreams)
{
    const struct zone_table *zone_table = s->config.zone_table;
    const struct connection_table *connections = &s->forward.connections;
    for (size_t i = 0; i < zone_table->upstream_count; i++) {
        const struct upstream *u = &s->forward.upstreams[i];
        upstreams[i] = (struct serve_upstream){
            .address = zone_table->upstreams[i].address,
            .health = u->over_tcp ? UPSTREAM_ALIVE : u->health,
            .fails = upstream_fails_all(u),
            .knows_edns = support_edns(&u->support, now_us),
            .keeps_case = support_case(&u->support, now_us),
            .knows_cookies = upstream_cookie_len(u, now_us) > 0,
            .loss_pm = u->loss_pm,
            .in_flight = u->in_flight,
            .fast_us = u->latency.fast_us,
            .slow_us = u->latency.slow_tail_us,
            .heard_us = u->reply_us,
        };
    }
    for (uint16_t i = 0; i < connections->size; i++)
        upstreams[connections->slots[i].upstream].connections += connections->slots[i].open;
    in_use_mark(zone_table, upstreams);
    return zone_table->upstream_count;
}

size_t serve_learned(const struct serve *s, struct learned *learned, size_t max)
{
    const struct zone_table *zone_table = s->config.zone_table;
    size_t count = zone_table->upstream_count < max ? zone_table->upstream_count : max;
    for (size_t i = 0; i < count; i++)
        learned_export(&learned[i], &s->forward.upstreams[i], &zone_table->upstreams[i].address);
    return count;
}

void serve_learn(struct serve *s, uint64_t now_us, const struct learned *learned, size_t count)
{
    const struct zone_table *zone_table = s->config.zone_table;
    for (size_t i = 0; i < zone_table->upstream_count; i++) {
        struct upstream *u = &s->forward.upstreams[i];
        for (size_t j = 0; j < count && u->health == UPSTREAM_UNKNOWN && u->in_flight == 0; j++) {
            if (address_equal(&learned[j].address, &zone_table->upstreams[i].address) &&
                learned_import(&learned[j], u, now_us))
                break;
        }
    }
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
