// SPDX-License-Identifier: MIT
#include "core/serve.h"

#include "core/forward/port.h"
#include "core/forward/upstream.h"

#include <assert.h>

// What is true between two verbs:
// - A question in the pending table can be joined; a finished one is out of it, has no attempts and
//   no timer, and stands in `finished` until serve_drain has told its last waiter.
// - At most one finished question has an answer, the one in `answer`; all others have an rcode.
// - An attempt that is queued stands in `to_send`; one that is not has been sent.
// - Each waiter is answered once: it leaves its question only in serve_drain.

enum {
    QUESTION_DEADLINE_US = 5000000,
    SENDS_MAX = 3,              // of a question to one server (RFC 9520 3.1)
    OPENS_MAX = 8,              // source ports tried for one attempt
    EXHAUSTED_RETRY_US = 50000, // when there was no source port or attempt to be had
    PORTS_PAUSE_US = 1000000,   // between two looks for source ports that have grown old
    UPSTREAM_QUERY_ROOM = MESSAGE_HEADER_LEN + NAME_MAX_LEN + 4 + OPT_LEN,
};

// Pauses after the last send of a round, so that three sends also outlast a short outage.
static const uint32_t round_pause_us[SENDS_MAX + 1] = {0, 0, 400000, 1200000};

struct lookup {
    struct serve_item *item;
    struct query query;
    struct key key;
};

struct serve {
    struct serve_config config;
    struct answer_limits limits;
    size_t reply_room;
    struct rng rng;
    struct wheel wheel;
    struct pending_table pending;
    struct port_table ports;
    struct timer ports_timer; // runs while ports are open
    struct upstream upstreams[PLAN_UPSTREAMS_MAX];
    struct attempt *to_send;
    struct attempt **to_send_end;
    struct pending *finished;
    struct pending **finished_end;
    uint32_t turn;     // for answers with several addresses
    bool answer_taken; // by a finished question
    struct answer answer;
    struct lookup lookups[SERVE_BATCH_MAX];
    uint8_t answer_value[ANSWER_SIZE_MAX];
};

static size_t aligned(size_t size)
{
    return (size + 63) & ~(size_t)63;
}

size_t serve_size(const struct serve_config *config)
{
    return aligned(sizeof(struct serve)) + aligned(pending_size(config->pending_max)) +
           aligned(port_size(config->ports_max));
}

struct serve *serve_init(void *memory, const struct serve_config *config, uint64_t now_us)
{
    assert((uintptr_t)memory % 64 == 0);
    assert(config->worker < config->worker_count &&
           config->cache->shard_count % config->worker_count == 0);
    const struct settings *settings = config->settings;
    struct serve *s = memory;
    uint8_t *tables = (uint8_t *)memory + aligned(sizeof *s);

    memset(s, 0, sizeof *s);
    s->config = *config;
    s->limits = (struct answer_limits){
        .ttl_min_s = (uint32_t)(settings->cache_ttl_min / 1000),
        .ttl_max_s = (uint32_t)(settings->cache_ttl_max / 1000),
        .ttl_negative_max_s = (uint32_t)(settings->cache_ttl_negative_max / 1000),
        .udp_payload_max = (uint16_t)settings->server_udp_payload_max,
        .rotate = settings->cache_rotate,
    };
    // A record takes 11 octets at least and its TTL's place 2 more, behind the message.
    s->reply_room = s->limits.udp_payload_max + s->limits.udp_payload_max / 5u + 64;
    rng_seed(&s->rng, config->seed);
    wheel_init(&s->wheel, now_us);
    pending_init(&s->pending, tables, config->pending_max);
    port_init(&s->ports, tables + aligned(pending_size(config->pending_max)), config->ports_max);
    s->to_send_end = &s->to_send;
    s->finished_end = &s->finished;
    s->answer.value = s->answer_value;
    return s;
}

size_t serve_reply_room(const struct serve *s)
{
    return s->reply_room > UPSTREAM_QUERY_ROOM ? s->reply_room : UPSTREAM_QUERY_ROOM;
}

static void count(struct serve *s, enum counter which)
{
    counter_add(s->config.counters, which, 1);
}

static void drop(struct serve *s, struct serve_item *item, enum counter reason)
{
    item->verdict = SERVE_DROPPED;
    count(s, reason);
}

// Takes the reply that was written at *out and moves *out behind it.
static void answered(struct serve *s, struct serve_item *item, uint8_t **out, size_t len,
                     enum counter source)
{
    item->verdict = SERVE_ANSWERED;
    item->out = *out;
    item->out_len = (uint16_t)len;
    *out += (len + 15) & ~(size_t)15;
    count(s, source);
}

static void answered_empty(struct serve *s, struct serve_item *item, uint8_t **out,
                           const struct query *query, uint16_t rcode, bool ra, int ede)
{
    size_t len = reply_empty(*out, query, rcode, 0, ra, s->limits.udp_payload_max, ede);
    answered(s, item, out, len,
             rcode == RCODE_REFUSED ? COUNTER_answers_refused : COUNTER_answers_error);
}

// Ends an attempt, whether it was sent or still waits for that.
static void attempt_end(struct serve *s, struct attempt *attempt)
{
    if (attempt->queued) {
        struct attempt **link = &s->to_send;
        while (*link != attempt)
            link = &(*link)->next_to_send;
        *link = attempt->next_to_send;
        if (!*link)
            s->to_send_end = link;
    }
    port_detach(&s->ports, attempt);
    attempt_free(&s->pending, attempt);
}

static void finish(struct serve *s, struct pending *pending, uint16_t rcode, bool with_answer)
{
    wheel_stop(&s->wheel, &pending->timer);
    while (pending->attempts)
        attempt_end(s, pending->attempts);
    pending_unlink(&s->pending, pending);
    pending->rcode = rcode;
    pending->answered = with_answer;
    s->answer_taken |= with_answer;
    *s->finished_end = pending;
    s->finished_end = &pending->next;
}

// Queues what is to go to an upstream next for this question and sets its timer. Where nothing can
// be sent any more, the attempts under way have until the deadline; without any it is over.
static void attempt_start(struct serve *s, uint64_t now_us, struct pending *pending)
{
    const struct plan_zone *zone = pending->zone;
    uint64_t wait_us = EXHAUSTED_RETRY_US;
    int choice = upstream_choose(zone, s->upstreams, pending->sends, SENDS_MAX, &s->rng, now_us);
    if (choice < 0) {
        if (pending->attempts)
            wheel_start(&s->wheel, &pending->timer, pending->deadline_us);
        else
            finish(s, pending, RCODE_SERVFAIL, false);
        return;
    }
    uint16_t upstream = zone->upstreams[choice];
    struct attempt *attempt = attempt_add(&s->pending, pending);
    if (attempt && port_attach(&s->ports, &s->rng, attempt, upstream, now_us) == PORT_NONE) {
        attempt_free(&s->pending, attempt);
        attempt = NULL;
    }
    if (attempt) {
        attempt->choice = (uint8_t)choice;
        attempt->queued = true;
        *s->to_send_end = attempt;
        s->to_send_end = &attempt->next_to_send;
        unsigned round = ++pending->sends[choice];
        wait_us = upstream_timeout_us(&s->upstreams[upstream]) + round_pause_us[round];
    } else {
        count(s, COUNTER_ports_exhausted);
    }
    uint64_t due_us = now_us + wait_us;
    wheel_start(&s->wheel, &pending->timer,
                due_us < pending->deadline_us ? due_us : pending->deadline_us);
}

static void waiter_fill(struct waiter *waiter, const struct lookup *lookup)
{
    const struct query *query = &lookup->query;
    waiter->client = lookup->item->client;
    waiter->id = query->id;
    waiter->udp_size = query->udp_size;
    waiter->flags = query->flags;
    waiter->edns = query->edns;
    name_case_take(&waiter->spelling, query_name(query), query->name_len);
}

// Attaches the query to its question, which is asked upstream if it is new.
static void question_join(struct serve *s, uint64_t now_us, struct lookup *lookup, uint8_t **out)
{
    struct serve_item *item = lookup->item;
    struct pending *pending = pending_find(&s->pending, &lookup->key);
    bool fresh = !pending;
    if (fresh) {
        const struct plan_zone *zone =
            plan_find(s->config.plan, key_name(&lookup->key), key_name_len(&lookup->key));
        if (!zone) {
            answered_empty(s, item, out, &lookup->query, RCODE_REFUSED, true, EDE_NONE);
            return;
        }
        // Asked before anything is taken, so that a failure leaves nothing behind.
        if (s->pending.free_waiters)
            pending = pending_add(&s->pending, &lookup->key);
        if (!pending) {
            drop(s, item, COUNTER_drops_pending_full);
            return;
        }
        pending->zone = zone;
        pending->deadline_us = now_us + QUESTION_DEADLINE_US;
    }
    struct waiter *waiter = waiter_add(&s->pending, pending);
    if (!waiter) {
        drop(s, item, COUNTER_drops_waiters_full);
        return;
    }
    waiter_fill(waiter, lookup);
    item->verdict = SERVE_WAITING;
    if (fresh)
        attempt_start(s, now_us, pending);
}

static void miss(struct serve *s, uint64_t now_us, struct lookup *lookup, uint8_t **out)
{
    struct serve_item *item = lookup->item;
    if (!(lookup->query.flags & HEADER_RD)) {
        // Not asked to find it, and it is not at hand.
        answered_empty(s, item, out, &lookup->query, RCODE_REFUSED, true, EDE_NONE);
        return;
    }
    uint32_t shard = cache_shard_of(s->config.cache, lookup->key.hash);
    item->owner = (uint16_t)(shard % s->config.worker_count);
    if (item->owner != s->config.worker) {
        item->verdict = SERVE_ELSEWHERE;
        count(s, COUNTER_handed_over);
        return;
    }
    question_join(s, now_us, lookup, out);
}

static bool recall(const struct serve *s, uint32_t now_s, const struct key *key, uint8_t *out,
                   struct cache_hit *hit)
{
    struct cache_key cache_key = key_for_cache(key);
    return cache_lookup(s->config.cache, &cache_key, out, s->reply_room, hit) == CACHE_HIT &&
           now_s < hit->expiry_s;
}

static bool recall_denial(const struct serve *s, uint32_t now_s, const struct key *key,
                          uint8_t *out, struct cache_hit *hit)
{
    struct key denial;
    key_make_denial(&denial, key);
    return recall(s, now_s, &denial, out, hit);
}

// A hit is a lookup and a patch: the cache's copy of the answer becomes the client's in place.
static void find(struct serve *s, uint64_t now_us, struct lookup *lookup, uint8_t **out)
{
    uint32_t now_s = (uint32_t)(now_us / 1000000);
    struct cache_hit hit;
    if (!recall(s, now_s, &lookup->key, *out, &hit) &&
        !recall_denial(s, now_s, &lookup->key, *out, &hit)) {
        miss(s, now_us, lookup, out);
        return;
    }
    // Its worker's clock may have been read a moment later than ours.
    uint32_t age_s = now_s > hit.birth_s ? now_s - hit.birth_s : 0;
    size_t len = answer_give(*out, s->reply_room, hit.value_len, &lookup->query, age_s, s->turn++,
                             &s->limits);
    if ((*out)[2] & HEADER_TC)
        count(s, COUNTER_truncated);
    answered(s, lookup->item, out, len, COUNTER_answers_cache);
}

// Reads a datagram and decides whether an answer is to be looked for; if not, the item is done.
static bool admit(struct serve *s, struct serve_item *item, struct query *query, uint8_t **out)
{
    enum access_verdict access = ACCESS_ALLOW;
    if (!item->handed_over) {
        count(s, COUNTER_queries);
        access = access_check(s->config.access, &item->client.from);
    }
    if (access == ACCESS_DROP) {
        drop(s, item, COUNTER_drops_access);
        return false;
    }
    // Nothing can be sent to port 0 (RFC 768 calls it "none"), and a cut query cannot be read.
    if (item->client.from.port == 0 || item->cut) {
        drop(s, item, item->cut ? COUNTER_drops_too_large : COUNTER_drops_source);
        return false;
    }
    enum query_verdict verdict = query_read(query, item->in, item->in_len);
    if (verdict == QUERY_SHORT || verdict == QUERY_RESPONSE) {
        drop(s, item, verdict == QUERY_SHORT ? COUNTER_drops_short : COUNTER_drops_response);
        return false;
    }
    if (access == ACCESS_REFUSE) {
        answered_empty(s, item, out, query, RCODE_REFUSED, false, EDE_PROHIBITED);
        return false;
    }
    if (verdict == QUERY_ERROR)
        answered_empty(s, item, out, query, query->rcode, true, EDE_NONE);
    return verdict == QUERY_GOOD;
}

void serve_queries(struct serve *s, uint64_t now_us, struct serve_item *items, size_t item_count,
                   uint8_t *out)
{
    assert(item_count <= SERVE_BATCH_MAX);
    const struct cache *cache = s->config.cache;
    size_t lookup_count = 0;

    for (size_t i = 0; i < item_count; i++) {
        struct lookup *lookup = &s->lookups[lookup_count];
        if (!admit(s, &items[i], &lookup->query, &out))
            continue;
        lookup->item = &items[i];
        key_make(&lookup->key, &lookup->query, cache->seed);
        cache_prefetch_bucket(cache, lookup->key.hash);
        lookup_count++;
    }
    for (size_t i = 0; i < lookup_count; i++)
        cache_prefetch_entry(cache, s->lookups[i].key.hash);
    for (size_t i = 0; i < lookup_count; i++)
        find(s, now_us, &s->lookups[i], &out);
}

void serve_handover_failed(struct serve *s)
{
    count(s, COUNTER_drops_handover_full);
}

// Of an answer to the question and a denial of its name only what came last stays, so that it does
// not matter which is looked up first. Answers to other types go on until they are over.
static void answer_keep(struct serve *s, uint64_t now_us, const struct key *key)
{
    uint32_t now_s = (uint32_t)(now_us / 1000000);
    struct key denial;
    key_make_denial(&denial, key);
    struct cache_key own = key_for_cache(key), of_name = key_for_cache(&denial);
    bool denies = s->answer.denies;
    struct cache_value value = {
        .bytes = s->answer.value,
        .len = s->answer.len,
        .birth_s = now_s,
        .expiry_s = now_s + s->answer.lifetime_s,
    };
    struct cache_inserted inserted;
    // What may not be kept changes nothing: it is truncated, without an SOA, or over already.
    if (s->answer.lifetime_s == 0 ||
        cache_insert(s->config.cache, denies ? &of_name : &own, &value, now_s, &inserted) != 0)
        return;
    cache_remove(s->config.cache, denies ? &own : &of_name);
    count(s, COUNTER_cache_inserted);
    counter_add(s->config.counters, COUNTER_cache_evicted, inserted.evicted);
    counter_add(s->config.counters, COUNTER_cache_expired, inserted.expired);
}

// An upstream says that it cannot or will not answer: the question goes to the next one, and only
// when there is none and nothing is under way is the client told what this one said (RFC 5625).
static void upstream_failed(struct serve *s, uint64_t now_us, struct attempt *attempt)
{
    struct pending *pending = attempt->pending;
    count(s, COUNTER_replies_failed);
    pending->sends[attempt->choice] = SENDS_MAX;
    attempt_end(s, attempt);
    if (upstream_choose(pending->zone, s->upstreams, pending->sends, SENDS_MAX, &s->rng, now_us) >=
        0)
        attempt_start(s, now_us, pending);
    else if (!pending->attempts)
        finish(s, pending, s->answer.rcode, true);
}

void serve_reply(struct serve *s, uint64_t now_us, uint16_t port, const uint8_t *in, size_t len)
{
    if (len < MESSAGE_HEADER_LEN) {
        count(s, COUNTER_replies_garbage);
        return;
    }
    uint16_t id = load_be16(in);
    struct attempt *attempt = port_find(&s->ports, port, id);
    if (!attempt) {
        count(s, COUNTER_replies_late);
        return;
    }
    assert(!s->answer_taken); // or serve_drain was not called to its end
    struct pending *pending = attempt->pending;
    enum reply_verdict verdict = reply_match(in, len, id, &pending->key);
    if (verdict == REPLY_GOOD)
        verdict = answer_take(&s->answer, in, len, &pending->key, &s->limits);
    if (verdict != REPLY_GOOD) {
        count(s, verdict == REPLY_QUESTION ? COUNTER_replies_mismatched : COUNTER_replies_garbage);
        return;
    }
    upstream_answered(&s->upstreams[pending->zone->upstreams[attempt->choice]],
                      (uint32_t)(now_us - attempt->sent_us));
    if (s->answer.rcode != RCODE_NOERROR && s->answer.rcode != RCODE_NXDOMAIN) {
        upstream_failed(s, now_us, attempt);
        return;
    }
    count(s, COUNTER_replies_accepted);
    answer_keep(s, now_us, &pending->key);
    finish(s, pending, s->answer.rcode, true);
}

void serve_unreachable(struct serve *s, uint64_t now_us, uint16_t port)
{
    count(s, COUNTER_upstream_unreachable);
    struct attempt *next;
    for (struct attempt *attempt = s->ports.ports[port].attempts; attempt; attempt = next) {
        next = attempt->next_at_port;
        struct pending *pending = attempt->pending;
        upstream_lost(&s->upstreams[pending->zone->upstreams[attempt->choice]], now_us);
        unsigned sends = pending->sends[attempt->choice];
        attempt_end(s, attempt);
        // Another upstream is asked at once; the same one only when its time has come.
        int choice = upstream_choose(pending->zone, s->upstreams, pending->sends, SENDS_MAX,
                                     &s->rng, now_us);
        if (choice >= 0 && pending->sends[choice] < sends)
            attempt_start(s, now_us, pending);
    }
    port_retire(&s->ports, port);
}

void serve_port_refused(struct serve *s, uint64_t now_us, uint16_t port)
{
    count(s, COUNTER_ports_refused);
    port_retire(&s->ports, port);
    struct attempt *next;
    for (struct attempt *attempt = s->ports.ports[port].attempts; attempt; attempt = next) {
        next = attempt->next_at_port;
        struct pending *pending = attempt->pending;
        uint16_t upstream = pending->zone->upstreams[attempt->choice];
        port_detach(&s->ports, attempt);
        if (++attempt->opens < OPENS_MAX &&
            port_attach(&s->ports, &s->rng, attempt, upstream, now_us) != PORT_NONE)
            continue;
        // It was never sent; the question's timer will try again.
        pending->sends[attempt->choice]--;
        attempt_end(s, attempt);
        count(s, COUNTER_ports_exhausted);
    }
}

static void question_due(struct serve *s, uint64_t now_us, struct pending *pending)
{
    if (now_us >= pending->deadline_us) {
        finish(s, pending, RCODE_SERVFAIL, false);
        return;
    }
    struct attempt *latest = pending->attempts;
    if (latest && !latest->counted_lost) {
        latest->counted_lost = true;
        upstream_lost(&s->upstreams[pending->zone->upstreams[latest->choice]], now_us);
    }
    attempt_start(s, now_us, pending);
}

static void ports_due(struct serve *s, uint64_t now_us)
{
    if (ports_retire_old(&s->ports, now_us))
        wheel_start(&s->wheel, &s->ports_timer, now_us + PORTS_PAUSE_US);
}

void serve_expire(struct serve *s, uint64_t now_us)
{
    struct timer *timer;
    while ((timer = wheel_next(&s->wheel, now_us))) {
        if (timer == &s->ports_timer)
            ports_due(s, now_us);
        else
            question_due(s, now_us, timer_owner(timer));
    }
}

uint64_t serve_deadline(const struct serve *s)
{
    return wheel_deadline(&s->wheel);
}

static bool everything(const void *context, const uint8_t *key, size_t key_len)
{
    (void)context;
    (void)key;
    (void)key_len;
    return true;
}

bool serve_flush(struct serve *s, struct serve_flush *flush, size_t budget)
{
    static bool (*const matches[])(const void *name, const uint8_t *key, size_t key_len) = {
        [FLUSH_NAME] = key_is_name,
        [FLUSH_SUBTREE] = key_is_within,
        [FLUSH_ALL] = everything,
    };
    struct cache *cache = s->config.cache;
    flush->sweep.shard = s->config.worker + flush->shards_done * s->config.worker_count;
    if (cache_sweep(cache, &flush->sweep, budget, matches[flush->what], &flush->name))
        return true;
    flush->sweep.bucket = 0;
    return ++flush->shards_done < cache->shard_count / s->config.worker_count;
}

static void query_drain(struct serve *s, uint64_t now_us, struct outgoing *outgoing)
{
    struct attempt *attempt = s->to_send;
    struct pending *pending = attempt->pending;
    struct port *port = &s->ports.ports[attempt->port];
    outgoing->port = attempt->port;
    outgoing->number = port->number;
    outgoing->upstream = &s->config.plan->upstreams[port->upstream];
    if (port->to_open) {
        port->to_open = false;
        outgoing->kind = OUTGOING_OPEN;
        if (!timer_running(&s->ports_timer))
            wheel_start(&s->wheel, &s->ports_timer, now_us + PORTS_PAUSE_US);
        count(s, COUNTER_ports_opened);
        return;
    }
    s->to_send = attempt->next_to_send;
    if (!s->to_send)
        s->to_send_end = &s->to_send;
    attempt->next_to_send = NULL;
    attempt->queued = false;
    attempt->sent_us = now_us;
    // Counted here and not when it was queued: its port may be refused, and then it never leaves.
    count(s, COUNTER_upstream_queries);
    if (pending->sent)
        count(s, COUNTER_upstream_resends);
    pending->sent = true;
    const struct key *key = &pending->key;
    outgoing->kind = OUTGOING_QUERY;
    outgoing->len = upstream_query_write(
        outgoing->bytes, attempt->id, key_name(key), key_name_len(key), key_type(key),
        key_class(key), key_flags(key) & KEY_CD, key_flags(key) & KEY_DO, UPSTREAM_UDP_SIZE, NULL);
}

// What the waiter asked, as query_read would have read it; the message is written to `message`.
static struct query waiter_query(const struct waiter *waiter, const struct key *key,
                                 uint8_t message[static UPSTREAM_QUERY_ROOM])
{
    uint8_t name_len = key_name_len(key);
    uint8_t *name = message + MESSAGE_HEADER_LEN;
    memcpy(name, key_name(key), name_len);
    name_case_apply(&waiter->spelling, name, name_len);
    store_be16(name + name_len, key_type(key));
    store_be16(name + name_len + 2, key_class(key));
    return (struct query){
        .message = message,
        .id = waiter->id,
        .type = key_type(key),
        .class = key_class(key),
        .name_len = name_len,
        .flags = waiter->flags,
        .edns = waiter->edns,
        .dnssec_ok = key_flags(key) & KEY_DO,
        .checking_disabled = key_flags(key) & KEY_CD,
        .udp_size = waiter->udp_size,
    };
}

static void reply_drain(struct serve *s, const struct pending *pending, const struct waiter *waiter,
                        struct outgoing *outgoing)
{
    uint8_t message[UPSTREAM_QUERY_ROOM];
    struct query query = waiter_query(waiter, &pending->key, message);
    outgoing->kind = OUTGOING_REPLY;
    outgoing->client = waiter->client;
    if (!pending->answered) {
        outgoing->len = reply_empty(outgoing->bytes, &query, pending->rcode, 0, true,
                                    s->limits.udp_payload_max, EDE_NO_REACHABLE);
        count(s, COUNTER_answers_failure);
        return;
    }
    size_t copied = s->answer.len < s->reply_room ? s->answer.len : s->reply_room;
    memcpy(outgoing->bytes, s->answer.value, copied);
    outgoing->len = answer_give(outgoing->bytes, s->reply_room, s->answer.len, &query, 0, s->turn++,
                                &s->limits);
    if (outgoing->bytes[2] & HEADER_TC)
        count(s, COUNTER_truncated);
    bool found = pending->rcode == RCODE_NOERROR || pending->rcode == RCODE_NXDOMAIN;
    count(s, found ? COUNTER_answers_upstream : COUNTER_answers_failure);
}

bool serve_drain(struct serve *s, uint64_t now_us, struct outgoing *outgoing)
{
    uint16_t closing = port_take_closing(&s->ports);
    if (closing != PORT_NONE) {
        outgoing->kind = OUTGOING_CLOSE;
        outgoing->port = closing;
        return true;
    }
    if (s->to_send) {
        query_drain(s, now_us, outgoing);
        return true;
    }
    while (s->finished) {
        struct pending *pending = s->finished;
        struct waiter *waiter = waiter_take(&s->pending, pending);
        if (waiter) {
            reply_drain(s, pending, waiter, outgoing);
            return true;
        }
        s->finished = pending->next;
        if (!s->finished)
            s->finished_end = &s->finished;
        s->answer_taken &= !pending->answered;
        pending_free(&s->pending, pending);
    }
    counter_set(s->config.counters, COUNTER_pending, s->pending.count);
    counter_set(s->config.counters, COUNTER_waiters, s->pending.waiter_count);
    counter_set(s->config.counters, COUNTER_ports, s->ports.size - s->ports.free_count);
    return false;
}
