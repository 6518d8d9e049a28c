// SPDX-License-Identifier: MIT
#include "core/policy/dns64.h"
#include "core/serve_state.h"

#include <assert.h>

// What is true between two verbs:
// - A question in the pending table can be joined. One that has ended is out of it and stands among
//   `told` until serve_drain has told its last waiter.
// - A question that goes on stands among `told` only while its waiters are being given what is
//   stale; then it has none.
// - Each waiter is answered once: it leaves its question only in serve_drain.

enum {
    FAILURES_PER_QUESTION = 2, // remembered, for each place of the pending table
    REFRESHES_PER_QUESTION = 1,
    REFRESH_EARNS = BUDGET_SEND / 4, // by each question: a quarter of a refresh
    REFRESH_SENDS_MAX = 4096,
    REFRESH_SENDS_AT_START = 256,
    SPARE_MAX = SERVE_BATCH_MAX, // places of the pending table that a batch may take at once
    SPARE_SHARE = 4,             // or one part in so many of a small one
};

static size_t aligned(size_t size)
{
    return (size + 63) & ~(size_t)63;
}

static struct forward_config forward_config_of(const struct serve_config *config)
{
    return (struct forward_config){
        .plan = config->plan,
        .counters = config->counters,
        .pending_max = config->pending_max,
        .ports_max = config->ports_max,
        .streams_max = config->streams_max,
    };
}

struct guard_config serve_guard_config(const struct serve_config *config)
{
    return (struct guard_config){
        .settings = config->settings,
        .cookies = config->cookies,
        .counters = config->counters,
        .workers = config->worker_count,
        .seed = config->seed,
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
    struct guard_config guard = serve_guard_config(config);
    return aligned(sizeof(struct serve)) + aligned(forward_size(&forward)) +
           aligned(failure_size(failures_of(config))) + guard_size(&guard) +
           aligned(refresh_size(config->pending_max * REFRESHES_PER_QUESTION));
}

void serve_limits_take(struct serve *s, const struct settings *settings)
{
    s->limits = (struct answer_limits){
        .seed = s->config.cache->seed,
        .ttl_min_s = (uint32_t)(settings->cache_ttl_min / 1000),
        .ttl_max_s = (uint32_t)(settings->cache_ttl_max / 1000),
        .ttl_negative_max_s = (uint32_t)(settings->cache_ttl_negative_max / 1000),
        .ttl_stale_s = (uint32_t)(settings->cache_stale_ttl / 1000),
        .udp_payload_max = (uint16_t)settings->server_udp_payload_max,
        .rotate = settings->cache_rotate,
    };
    s->stale_max_s = (uint32_t)(settings->cache_stale_max_age / 1000);
    s->stale_after_us = settings->cache_stale_answer_after * 1000;
    // A record takes 11 octets at least and its TTL's place 2 more, behind the message.
    s->reply_room = s->limits.udp_payload_max + s->limits.udp_payload_max / 5u + 64;
    assert(s->reply_room <= SERVE_REPLY_ROOM_MAX);
}

struct serve *serve_init(void *memory, const struct serve_config *config, uint64_t now_us)
{
    assert((uintptr_t)memory % 64 == 0);
    assert(config->worker < config->worker_count &&
           config->cache->shard_count % config->worker_count == 0);
    struct serve *s = memory;
    uint8_t *tables = (uint8_t *)memory + aligned(sizeof *s);
    memset(s, 0, sizeof *s);
    s->config = *config;
    serve_limits_take(s, config->settings);
    struct forward_config forward = forward_config_of(config);
    forward.limits = &s->limits;
    forward_settings_take(&forward, config->settings);
    forward.key_seed = config->cache->seed;
    forward_init(&s->forward, tables, &forward, config->seed, now_us);
    tables += aligned(forward_size(&forward));
    failure_init(&s->failures, tables, failures_of(config));
    tables += aligned(failure_size(failures_of(config)));
    refresh_init(&s->refreshes, tables, config->pending_max * REFRESHES_PER_QUESTION);
    tables += aligned(refresh_size(config->pending_max * REFRESHES_PER_QUESTION));
    struct guard_config guard = serve_guard_config(config);
    guard_init(&s->guard, tables, &guard);
    uint64_t loop_seed[2];
    rng_bytes(&s->forward.rng, (uint8_t *)loop_seed, sizeof loop_seed);
    error_loop_init(&s->error_loop, loop_seed);
    budget_init(&s->refresh_budget, REFRESH_SENDS_MAX, REFRESH_SENDS_AT_START);
    s->told_end = &s->told;
    return s;
}

size_t serve_reply_room(const struct serve *s)
{
    size_t query = UPSTREAM_QUERY_MAX + 2; // a length in front, on a connection
    return s->reply_room > query ? s->reply_room : query;
}

static void drop(struct serve *s, struct serve_item *item, enum counter reason)
{
    item->verdict = SERVE_DROPPED;
    serve_count(s, reason);
}

// Takes the reply that was written at *out and moves *out behind it. Without a length there is none
// and `source` is the reason.
static void answered(struct serve *s, struct serve_item *item, uint8_t **out, size_t len,
                     enum counter source)
{
    if (len == 0) {
        drop(s, item, source);
        return;
    }
    item->verdict = SERVE_ANSWERED;
    item->source = (uint8_t)source;
    item->out = *out;
    item->out_len = (uint16_t)len;
    *out += (len + 15) & ~(size_t)15;
    serve_count(s, source);
}

static enum counter source_of(uint16_t rcode)
{
    switch (rcode) {
    case RCODE_REFUSED:
        return COUNTER_answers_refused;
    case RCODE_SERVFAIL:
        return COUNTER_answers_failure;
    case RCODE_NOERROR: // to a query for a cookie alone
    case RCODE_BADCOOKIE:
        return COUNTER_answers_cookie;
    default:
        return COUNTER_answers_error;
    }
}

// The same, unless the like of it has gone there too often. `question` is the hash of the query's
// key; 0: it has none.
static inline void limited_answered(struct serve *s, struct serve_item *item,
                                    const struct query *query, uint64_t question, uint8_t **out,
                                    size_t len, enum counter source)
{
    if (s->guard.limits_answers)
        len = guard_answer(&s->guard, &item->client.from, query, question, *out, len, &source);
    answered(s, item, out, len, source);
}

// The same for what was looked up.
static inline void lookup_answered(struct serve *s, const struct lookup *lookup, uint8_t **out,
                                   size_t len, enum counter source)
{
    if ((*out)[2] & HEADER_TC)
        serve_count(s, COUNTER_truncated);
    limited_answered(s, lookup->item, &lookup->query, lookup->key.hash, out, len, source);
}

[[gnu::noinline]] static void denied(struct serve *s, struct serve_item *item,
                                     const struct query *query, uint8_t **out, bool flood)
{
    enum counter as;
    size_t len = guard_deny(&s->guard, *out, query, flood, &as);
    answered(s, item, out, len, as);
}

[[gnu::noinline]] static void answered_empty(struct serve *s, struct serve_item *item,
                                             uint8_t **out, const struct query *query,
                                             uint16_t rcode, bool ra, int ede)
{
    size_t len = reply_empty(*out, query, rcode, 0, ra, s->limits.udp_payload_max, ede);
    limited_answered(s, item, query, 0, out, len, source_of(rcode));
}

// --- questions ---------------------------------------------------------------------------------

// Has the waiters of a question told.
static void tell(struct serve *s, struct pending *pending)
{
    if (pending->told)
        return;
    pending->told = true;
    *s->told_end = pending;
    s->told_end = &pending->next_told;
}

// Takes the questions that have ended: what was answered is kept, what failed is remembered. Of a
// probe, which may be asked at a worker that is not its name's home, nothing is.
static void ended_take(struct serve *s, uint64_t now_us)
{
    struct forward *f = &s->forward;
    struct pending *pending;
    while ((pending = forward_take_ended(f))) {
        wheel_stop(&f->wheel, &pending->stale_timer);
        if (pending->probe) {
            tell(s, pending);
            continue;
        }
        if (serve_filter(s, now_us, pending))
            continue;
        if (pending->end == PENDING_ANSWERED) {
            serve_keep(s, now_us, pending);
            failure_forget(&s->failures, pending->key.hash);
        } else if (pending->unreachable && !pending->heard_rcode) {
            failure_add_gone(&s->failures, pending->key.hash, pending->era, now_us);
        } else if (!pending->abandoned && !pending->unasked) {
            failure_add(&s->failures, pending->key.hash, pending->rcode, !pending->heard_rcode,
                        pending->era, pending->has_stale ? FAILURE_STALE_US : 0, now_us);
        }
        pending->tell_stale = pending->end == PENDING_FAILED && pending->has_stale;
        tell(s, pending);
    }
}

static void probe(struct serve *s, uint64_t now_us, const struct plan_zone *zone)
{
    forward_probe(&s->forward, now_us, zone);
    ended_take(s, now_us);
}

// Answers with what is over; false: it is gone.
static bool answered_stale(struct serve *s, uint64_t now_us, struct lookup *lookup, uint8_t **out)
{
    struct cache_hit hit;
    size_t room = serve_room_for(s, &lookup->item->client);
    if (!lookup->stale || !serve_recall_stale(s, now_us, &lookup->key, *out, room, &hit))
        return false;
    struct answer_giving giving = {.turn = s->turn++, .stale = true};
    size_t len = answer_give(*out, room, hit.value_len, &lookup->query, &giving, &s->limits);
    lookup_answered(s, lookup, out, len, COUNTER_answers_stale);
    return true;
}

// Makes room in the table of questions: one that nobody waits for is given up, or else the one that
// has waited longest. A few places
// are kept free, as those of questions that have ended come back only with the next draining.
static void room_make(struct serve *s, uint64_t now_us)
{
    struct pending_table *table = &s->forward.pending;
    uint32_t spare = table->size / SPARE_SHARE < SPARE_MAX ? table->size / SPARE_SHARE : SPARE_MAX;
    if (table->open_count == 0 || table->open_count + spare < table->size)
        return;
    struct pending *pending = pending_to_abandon(table);
    pending->abandoned = true;
    serve_count(s, COUNTER_pending_abandoned);
    forward_abandon(&s->forward, now_us, pending);
    ended_take(s, now_us);
}

// Answers what failed a moment ago with that, or with what is over; false: it did not.
static bool answered_failed(struct serve *s, uint64_t now_us, struct lookup *lookup,
                            const struct plan_zone *zone, uint8_t **out)
{
    const struct failure *failure =
        failure_find(&s->failures, lookup->key.hash, s->forward.revivals, now_us);
    if (!failure)
        return false;
    serve_count(s, COUNTER_failures_remembered);
    serve_top_failed(s, now_us, &lookup->key);
    probe(s, now_us, zone);
    if (answered_stale(s, now_us, lookup, out))
        return true;
    int ede = failure->network ? EDE_NO_REACHABLE : EDE_CACHED_ERROR;
    size_t len =
        reply_empty(*out, &lookup->query, failure->rcode, 0, true, s->limits.udp_payload_max, ede);
    lookup_answered(s, lookup, out, len, COUNTER_answers_failure);
    return true;
}

// A question that nobody has asked yet; NULL: it is not to be asked, and the item is done.
static struct pending *question_begin(struct serve *s, uint64_t now_us, struct lookup *lookup,
                                      uint8_t **out)
{
    struct serve_item *item = lookup->item;
    const struct key *key = &lookup->key;
    struct forward *f = &s->forward;
    const struct plan_zone *zone = plan_find(s->config.plan, key_name(key), key_name_len(key));
    if (!zone) {
        answered_empty(s, item, out, &lookup->query, RCODE_REFUSED, true, EDE_NONE);
        return NULL;
    }
    if (answered_failed(s, now_us, lookup, zone, out))
        return NULL;
    // Asked before anything is taken or given up, so that a failure leaves all as it was.
    if (!f->pending.free || !f->pending.free_waiters) {
        drop(s, item, COUNTER_drops_pending_full);
        return NULL;
    }
    room_make(s, now_us);
    struct pending *pending = pending_add(&f->pending, key);
    assert(pending);
    pending->zone = zone;
    return pending;
}

// Where what is over is better than waiting: in an outage that is known, or when the question has
// waited long enough.
static bool stale_is_due(struct serve *s, uint64_t now_us, const struct pending *pending)
{
    return pending->stale_due || forward_is_down(&s->forward, now_us, pending->zone);
}

// Has a client that waits for long be given something else: what is over, or addresses made by
// DNS64.
static void patience_start(struct serve *s, uint64_t now_us, const struct lookup *lookup,
                           struct pending *pending)
{
    const struct key *key = &lookup->key;
    if (lookup->stale)
        wheel_start(&s->forward.wheel, &pending->stale_timer, now_us + s->stale_after_us);
    else if (key_type(key) == TYPE_AAAA && dns64_serves(s->config.settings, key_flags(key)))
        wheel_start(&s->forward.wheel, &pending->stale_timer, now_us + SERVE_DNS64_AFTER_US);
}

// Attaches the query to its question, which is asked upstream if it is new.
static void question_join(struct serve *s, uint64_t now_us, struct lookup *lookup, uint8_t **out)
{
    struct serve_item *item = lookup->item;
    struct forward *f = &s->forward;
    struct pending *pending = pending_find(&f->pending, &lookup->key);
    bool fresh = !pending;
    bool share_left = pending_share_left(&f->pending, pending, &item->client.from);
    if (fresh && share_left)
        pending = question_begin(s, now_us, lookup, out);
    if (!pending && !share_left)
        drop(s, item, COUNTER_drops_client_share);
    if (!pending)
        return;
    pending->has_stale |= lookup->stale;
    struct waiter *waiter = NULL;
    if (!stale_is_due(s, now_us, pending) || !answered_stale(s, now_us, lookup, out)) {
        if (share_left)
            waiter = waiter_add(&f->pending, pending, &item->client.from);
        item->verdict = SERVE_WAITING;
        if (waiter)
            waiter_fill(waiter, &item->client, &lookup->query, now_us);
        else
            drop(s, item, share_left ? COUNTER_drops_waiters_full : COUNTER_drops_client_share);
    } else if (!fresh) {
        probe(s, now_us, pending->zone);
    }
    pending->stale_timer.kind = TIMER_STALE;
    if (waiter && !timer_running(&pending->stale_timer))
        patience_start(s, now_us, lookup, pending);
    if (fresh) {
        budget_give(&s->refresh_budget, REFRESH_EARNS);
        forward_start(f, now_us, pending);
        ended_take(s, now_us);
    }
}

static void miss(struct serve *s, uint64_t now_us, struct lookup *lookup, uint8_t **out)
{
    struct serve_item *item = lookup->item;
    if (!(lookup->query.flags & HEADER_RD)) {
        // Not asked to find it, and it is not at hand.
        answered_empty(s, item, out, &lookup->query, RCODE_REFUSED, true, EDE_NONE);
        return;
    }
    if (lookup->hits_only) {
        if (!answered_stale(s, now_us, lookup, out))
            denied(s, item, &lookup->query, out, false);
        return;
    }
    uint32_t shard = cache_shard_of(s->config.cache, lookup->key.hash);
    item->owner = (uint16_t)(shard % s->config.worker_count);
    if (item->owner != s->config.worker) {
        item->verdict = SERVE_ELSEWHERE;
        serve_count(s, COUNTER_handed_over);
        return;
    }
    question_join(s, now_us, lookup, out);
}

// --- hits --------------------------------------------------------------------------------------

// Answers a name whose kept answer leads to a blocked name, by lists that have come since. What has
// no room here is not seen: it is not given either, but for TC.
static bool answered_blocked(struct serve *s, uint64_t now_us, struct lookup *lookup, uint8_t **out)
{
    struct cache_hit hit;
    size_t room = serve_room_for(s, &lookup->item->client);
    bool kept = serve_peek(s, &lookup->key, *out, room, &hit);
    if (kept && hit.value_len > room)
        return false;
    if (!kept || !local_blocks_chain(s->config.local, &lookup->key, *out, hit.value_len)) {
        local_memo_keep(&s->local_memo, lookup->key.hash);
        return false;
    }
    if (now_us / 1000000 >= hit.expiry_s)
        return false;
    size_t len = local_block_answer(s->config.local, &lookup->query, &s->limits, *out);
    lookup_answered(s, lookup, out, len, COUNTER_answers_blocked);
    return true;
}

// The same where it is not known to be nobody's here.
[[gnu::noinline]] static bool answered_by_local(struct serve *s, uint64_t now_us,
                                                struct lookup *lookup, uint8_t **out)
{
    enum local_source source;
    size_t len = local_answer(s->config.local, &lookup->query, &lookup->key, s->turn, &s->limits,
                              *out, &source);
    if (source == LOCAL_NOWHERE)
        return answered_blocked(s, now_us, lookup, out);
    s->turn++;
    lookup_answered(s, lookup, out, len,
                    source == LOCAL_OWN ? COUNTER_answers_local : COUNTER_answers_blocked);
    return true;
}

// Answers a name that is answered here, whatever the cache or an upstream would say.
static inline bool answered_locally(struct serve *s, uint64_t now_us, struct lookup *lookup,
                                    uint8_t **out)
{
    return s->config.local && !local_memo_holds(&s->local_memo, lookup->key.hash) &&
           answered_by_local(s, now_us, lookup, out);
}

// Answers a question for all types with little, where that is wanted.
[[gnu::noinline]] static bool answered_any(struct serve *s, struct lookup *lookup, uint8_t **out)
{
    size_t len = serve_any(s, &lookup->query, *out);
    if (len == 0)
        return false;
    lookup_answered(s, lookup, out, len, COUNTER_answers_local);
    return true;
}

// A hit is a lookup and a patch: the cache's copy of the answer becomes the client's in place.
static inline void give(struct serve *s, uint32_t now_s, struct lookup *lookup,
                        const struct cache_hit *hit, uint8_t **out, size_t room)
{
    // Its worker's clock may have been read a moment later than ours.
    struct answer_giving giving = {
        .age_s = now_s > hit->birth_s ? now_s - hit->birth_s : 0,
        .turn = s->turn++,
    };
    size_t len = answer_give(*out, room, hit->value_len, &lookup->query, &giving, &s->limits);
    lookup_answered(s, lookup, out, len, COUNTER_answers_cache);
}

// Where there is no answer to the question itself, or it is over (`own` tells of it): perhaps its
// name is known not to exist. Apart, as are the other ways that few queries go.
[[gnu::noinline]] static void find_denial(struct serve *s, uint64_t now_us, struct lookup *lookup,
                                          const struct cache_hit *own, uint8_t **out)
{
    uint32_t now_s = (uint32_t)(now_us / 1000000);
    size_t room = serve_room_for(s, &lookup->item->client);
    struct cache_hit denial;
    bool denied = serve_recall_denial(s, &lookup->key, *out, room, &denial);
    lookup->stale =
        (own && serve_is_stale(s, now_s, own)) || (denied && serve_is_stale(s, now_s, &denial));
    if (denied && now_s < denial.expiry_s)
        give(s, now_s, lookup, &denial, out, room);
    else
        miss(s, now_us, lookup, out);
}

static inline void find(struct serve *s, uint64_t now_us, struct lookup *lookup, uint8_t **out)
{
    uint32_t now_s = (uint32_t)(now_us / 1000000);
    size_t room = serve_room_for(s, &lookup->item->client);
    struct cache_hit hit;
    if (lookup->item->note) {
        serve_note_take(s, now_us, lookup, *out);
        return;
    }
    if (answered_locally(s, now_us, lookup, out) ||
        (lookup->query.type == TYPE_ANY && answered_any(s, lookup, out)))
        return;
    struct cache_key key = key_for_cache(&lookup->key);
    bool own = cache_seek_end(s->config.cache, &lookup->seek, &key, *out, room, &hit) ||
               serve_recall(s, &lookup->key, *out, room, &hit);
    if (!own || now_s >= hit.expiry_s) {
        find_denial(s, now_us, lookup, own ? &hit : NULL, out);
        return;
    }
    if (hit.asked < REFRESH_HITS)
        serve_hit_learn(s, lookup, *out, &hit);
    give(s, now_s, lookup, &hit, out, room);
}

// Looks at the options that a query asks for; false: that is an error already.
[[gnu::noinline]] static bool options_admit(struct serve *s, const struct serve_item *item,
                                            struct lookup *lookup)
{
    struct query *query = &lookup->query;
    struct reply_options *options = &lookup->options;
    bool good = !(query->asks & ASKS_COOKIE) ||
                guard_cookie(&s->guard, &item->client.from, query, options, item->handed_over);
    if (query->asks & ~ASKS_COOKIE)
        serve_options(s, query, options);
    return good;
}

[[gnu::noinline]] static void answered_error(struct serve *s, struct serve_item *item,
                                             const struct query *query, uint8_t **out)
{
    size_t len = serve_chaos(s, query, *out);
    if (len > 0)
        limited_answered(s, item, query, 0, out, len, COUNTER_answers_local);
    else
        answered_empty(s, item, out, query, query->rcode, true, EDE_NONE);
}

// What is not read at all: it comes from where nobody may ask (RFC 768 calls port 0 "none": nothing
// can be sent there), or it is cut.
[[gnu::noinline]] static bool unheard(struct serve *s, struct serve_item *item,
                                      enum access_verdict access)
{
    item->noise = access == ACCESS_DROP;
    if (access == ACCESS_DROP)
        drop(s, item, COUNTER_drops_access);
    else
        drop(s, item, item->cut ? COUNTER_drops_too_large : COUNTER_drops_source);
    return false;
}

static bool quota_admit(struct serve *s, struct serve_item *item, struct lookup *lookup,
                        uint8_t **out)
{
    enum quota_verdict quota = guard_query(&s->guard, &item->client.from, &lookup->query);
    lookup->hits_only = quota == QUOTA_HITS_ONLY;
    if (quota == QUOTA_FLOOD)
        denied(s, item, &lookup->query, out, true);
    return quota != QUOTA_FLOOD;
}

// Decides about what is no plain query of somebody who may ask.
[[gnu::noinline]] static bool unusual_admit(struct serve *s, struct serve_item *item,
                                            struct lookup *lookup, enum access_verdict access,
                                            enum query_verdict verdict, uint8_t **out)
{
    struct query *query = &lookup->query;
    // Its worker has answered it, perhaps by other settings than are in force here by now.
    if (item->note) {
        item->verdict = SERVE_NOTED;
        return verdict == QUERY_GOOD;
    }
    if (verdict == QUERY_SHORT || verdict == QUERY_RESPONSE) {
        item->noise = true;
        drop(s, item, verdict == QUERY_SHORT ? COUNTER_drops_short : COUNTER_drops_response);
        return false;
    }
    if (query->asks && !options_admit(s, item, lookup))
        verdict = QUERY_ERROR;
    if (s->guard.limits_queries && !item->handed_over && !quota_admit(s, item, lookup, out))
        return false;
    bool unreadable =
        verdict == QUERY_ERROR && (query->rcode == RCODE_FORMERR || query->name_len == 0);
    if (unreadable && !query->proven &&
        !error_loop_may(&s->error_loop, s->guard.now_us, &item->client.from)) {
        drop(s, item, COUNTER_drops_error_loop);
        return false;
    }
    if (access == ACCESS_REFUSE) {
        answered_empty(s, item, out, query, RCODE_REFUSED, false, EDE_PROHIBITED);
        return false;
    }
    if (verdict == QUERY_ERROR)
        answered_error(s, item, query, out);
    return verdict == QUERY_GOOD;
}

// Reads a datagram and decides whether an answer is to be looked for; if not, the item is done.
static inline bool admit(struct serve *s, struct serve_item *item, struct lookup *lookup,
                         uint8_t **out)
{
    struct query *query = &lookup->query;
    enum access_verdict access = ACCESS_ALLOW;
    if (!item->handed_over) {
        serve_count(s, item->client.tcp ? COUNTER_queries_tcp : COUNTER_queries);
        access = access_check(s->config.access, &item->client.from);
    }
    if (access == ACCESS_DROP || item->client.from.port == 0 || item->cut)
        return unheard(s, item, access);
    enum query_verdict verdict = query_read(query, item->in, item->in_len);
    query->tcp = item->client.tcp;
    query->proven = item->client.tcp;
    lookup->hits_only = false;
    if (verdict != QUERY_GOOD || access != ACCESS_ALLOW || query->asks)
        return unusual_admit(s, item, lookup, access, verdict, out);
    return !s->guard.limits_queries || item->handed_over || quota_admit(s, item, lookup, out);
}

static inline size_t rooms_of(const struct serve *s, const struct serve_item *items, size_t count)
{
    size_t streams = 0;
    for (size_t i = 0; i < count; i++)
        streams += items[i].client.tcp;
    return streams * SERVE_STREAM_ROOM + (count - streams) * s->reply_room;
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

    guard_time(&s->guard, now_us);
    for (struct serve_item *item = items; item < items + item_count; item++) {
        if (!admit(s, item, lookup, &out))
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
        find(s, now_us, lookup, &out);
    assert((size_t)(out - begin) <= out_size);
    return (size_t)(out - begin);
}

void serve_handover_failed(struct serve *s)
{
    serve_count(s, COUNTER_drops_handover_full);
}

// --- upstreams and time ------------------------------------------------------------------------

void serve_reply(struct serve *s, uint64_t now_us, uint16_t port, const uint8_t *in, size_t len)
{
    forward_reply(&s->forward, now_us, port, in, len);
    ended_take(s, now_us);
}

void serve_stream_reply(struct serve *s, uint64_t now_us, uint16_t stream, const uint8_t *in,
                        size_t len)
{
    forward_stream_reply(&s->forward, now_us, stream, in, len);
    ended_take(s, now_us);
}

void serve_stream_closed(struct serve *s, uint64_t now_us, uint16_t stream)
{
    forward_stream_closed(&s->forward, now_us, stream);
    ended_take(s, now_us);
}

void serve_unreachable(struct serve *s, uint64_t now_us, uint16_t port)
{
    forward_unreachable(&s->forward, now_us, port);
    ended_take(s, now_us);
}

void serve_port_refused(struct serve *s, uint64_t now_us, uint16_t port)
{
    forward_port_refused(&s->forward, now_us, port);
    ended_take(s, now_us);
}

void serve_port_unavailable(struct serve *s, uint64_t now_us, uint16_t port)
{
    forward_port_unavailable(&s->forward, now_us, port);
    ended_take(s, now_us);
}

// Its clients have waited long enough: they get what is over, if that is still there, and the
// question goes on without them.
static void stale_due(struct serve *s, uint64_t now_us, struct pending *pending)
{
    uint8_t value[MESSAGE_HEADER_LEN];
    struct cache_hit hit;
    struct key room;
    const struct key *key = serve_client_key(pending, &room);
    if (!serve_recall_stale(s, now_us, key, value, sizeof value, &hit)) {
        if (serve_dns64_is_due(s, now_us, pending))
            forward_abandon(&s->forward, now_us, pending);
        return;
    }
    pending->stale_due = true;
    pending->tell_stale = true;
    tell(s, pending);
}

void serve_expire(struct serve *s, uint64_t now_us)
{
    struct timer *timer;
    while ((timer = wheel_next(&s->forward.wheel, now_us))) {
        if (timer->kind == TIMER_STALE)
            stale_due(s, now_us, stale_timer_owner(timer));
        else if (timer->kind == TIMER_REFRESH)
            serve_refresh_due(s, now_us, (struct refresh *)timer);
        else
            forward_due(&s->forward, now_us, timer);
        ended_take(s, now_us);
    }
}

uint64_t serve_deadline(const struct serve *s)
{
    return wheel_deadline(&s->forward.wheel);
}
