// SPDX-License-Identifier: MIT
#include "tests/sim/sim.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

// A seed's life: draw the parameters, let things happen in the order of time until nothing is left
// to happen, then add up.

enum { STEPS_MAX = 1000000 };

void sim_fail(struct sim *sim, const char *format, ...)
{
    if (sim->failed)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sim->why, sizeof sim->why, format, arguments);
    va_end(arguments);
    sim_trace(sim, "FAILED: %s", sim->why);
    sim->failed = true;
}

void sim_trace_line(struct sim *sim, const char *format, ...)
{
    uint64_t us = sim->now_us - sim->start_us;
    printf("%6" PRIu64 ".%06" PRIu64 " ", us / 1000000, us % 1000000);
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
}

void sim_note(struct sim *sim, uint64_t value)
{
    sim->digest = dice_mix(sim->digest ^ value ^ sim->now_us << 20);
}

void sim_note_bytes(struct sim *sim, const uint8_t *bytes, size_t len)
{
    uint64_t sum = len;
    for (; len >= 8; bytes += 8, len -= 8) {
        uint64_t word;
        memcpy(&word, bytes, 8);
        sum = (sum ^ word) * 0x9e3779b97f4a7c15u;
        sum ^= sum >> 29;
    }
    for (; len > 0; bytes++, len--)
        sum = (sum ^ *bytes) * 0x100000001b3u;
    sim_note(sim, sum);
}

const char *sim_question_text(const struct sim *sim, uint32_t question)
{
    static char text[NAME_TEXT_SIZE + 64];
    const struct strict_name *qname = &question_qname(sim, question)->name;
    struct name name = {.len = qname->len};
    memcpy(name.bytes, qname->bytes, qname->len);
    size_t len = name_format(&name, text);
    snprintf(text + len, sizeof text - len, " TYPE%u%s%s", question_type(sim, question),
             question & 1 ? " DO" : "", question & 2 ? " CD" : "");
    return text;
}

static void *taken(size_t size)
{
    size = (size + 63) & ~(size_t)63;
    void *memory = aligned_alloc(64, size);
    assert(memory);
    return memory;
}

struct sim *sim_make(void)
{
    struct sim *sim = taken(sizeof *sim);
    memset(sim, 0, sizeof *sim);
    params_largest(sim);
    sim->zone_table_memory = taken(zone_table_size(&sim->settings));
    sim->access_memory = taken(access_size(&sim->settings));
    sim->region = taken(2 * cache_size_min(2 * WORKERS_MAX));
    struct serve_config config = params_config(sim, 0);
    sim->serve_memory_size = serve_size(&config) + CANARY_LEN;
    for (unsigned i = 0; i < WORKERS_MAX; i++)
        sim->serve_memory[i] = taken(sim->serve_memory_size);
    sim->copy = taken(sizeof *sim->copy);
    sim->out = taken(OUT_SIZE);
    sim->outgoing = taken(SERVE_MESSAGE_ROOM);
    return sim;
}

void sim_free(struct sim *sim)
{
    for (unsigned i = 0; i < WORKERS_MAX; i++)
        free(sim->serve_memory[i]);
    free(sim->outgoing);
    free(sim->out);
    free(sim->copy);
    free(sim->region);
    free(sim->access_memory);
    free(sim->zone_table_memory);
    free(sim);
}

static void cache_make(struct sim *sim)
{
    // Two shards for each worker, or one.
    uint32_t shard_count = sim->params.workers << (sim->seed & 1);
    size_t size = cache_size_min(shard_count);
    if (dice_chance(&sim->dice, 200))
        size += dice_below(&sim->dice, (uint32_t)size);
    memset(sim->region, 0, size);
    int error = cache_format(&sim->cache, sim->region, size, shard_count, dice_u64(&sim->dice));
    assert(error == 0);
    sim->cache.stale_s = (uint32_t)(sim->settings.cache_stale_max_age / 1000);
}

// Which upstream of the zone table each server is.
static void upstreams_find(struct sim *sim)
{
    for (unsigned i = 0; i < sim->params.servers; i++) {
        sim->servers[i].upstream = -1;
        for (size_t u = 0; u < sim->zone_table.upstream_count; u++) {
            if (address_equal(&sim->zone_table.upstreams[u].address, &sim->servers[i].address))
                sim->servers[i].upstream = (int)u;
        }
    }
}

// `servers` of a plain world; 0: one that the seed decides.
static void start(struct sim *sim, uint64_t seed, bool trace, unsigned servers)
{
    sim->seed = seed;
    sim->dice = dice_for(seed, 0);
    sim->stall_from_us = sim->stall_until_us = sim->outage_until_us = 0;
    sim->digest = sim->order = sim->steps = 0;
    sim->trace = trace;
    sim->failed = false;
    sim->asked_count = sim->asking_count = sim->sent_count = sim->served_count = 0;
    sim->event_count = 0;
    sim->queries_left = 0;
    sim->now_us = sim->start_us = 0;
    memset(&sim->tally, 0, sizeof sim->tally);
    memset(sim->ports_taken, 0, sizeof sim->ports_taken);
    memset(sim->questions, 0, sizeof sim->questions);
    memset(sim->denials, 0, sizeof sim->denials);
    if (servers)
        params_plain(sim, servers);
    else
        params_draw(sim);
    upstreams_find(sim);
    cache_make(sim);
    for (unsigned i = 0; i < sim->params.workers; i++)
        worker_start(sim, i);
}

static void events_plan(struct sim *sim)
{
    const struct params *s = &sim->params;
    event_push(sim, &(struct event){.kind = EVENT_CLIENT}, sim->now_us);
    if (s->spoof_us)
        event_push(sim, &(struct event){.kind = EVENT_SPOOF}, sim->now_us);
    for (uint32_t i = 0; i < s->stalls; i++)
        event_push(sim, &(struct event){.kind = EVENT_STALL},
                   sim->now_us + dice_below(&sim->dice, s->span_us));
    for (uint32_t i = 0; i < s->outages; i++)
        event_push(sim, &(struct event){.kind = EVENT_OUTAGE},
                   sim->now_us + dice_below(&sim->dice, s->span_us));
    for (unsigned i = 0; s->mode_us > 0 && i < s->servers; i++)
        event_push(sim, &(struct event){.kind = EVENT_MODE, .server = (uint8_t)i},
                   sim->now_us + dice_below(&sim->dice, s->mode_us));
}

static void tidy_up(struct sim *sim)
{
    events_clear(sim);
    for (uint32_t i = 0; i < sim->asked_count; i++)
        free(sim->asked[i].packet);
}

static void cache_check(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->cache.shard_count; i++) {
        const char *why = cache_verify(&sim->cache, i);
        if (why)
            sim_fail(sim, "cache shard %u: %s", i, why);
    }
}

// What one message from upstream made of the counters.
struct taken {
    uint64_t accepted, failed, truncated, edns, late, inserted;
};

static struct taken taken_now(const struct node *node)
{
    return (struct taken){
        .accepted = sim_counted(node, COUNTER_replies_accepted),
        .failed = sim_counted(node, COUNTER_replies_failed),
        .truncated = sim_counted(node, COUNTER_replies_truncated),
        .edns = sim_counted(node, COUNTER_replies_edns),
        .late = sim_counted(node, COUNTER_replies_late),
        .inserted = sim_counted(node, COUNTER_cache_inserted),
    };
}

static struct taken taken_since(const struct node *node, const struct taken *before)
{
    struct taken now = taken_now(node);
    return (struct taken){
        .accepted = now.accepted - before->accepted,
        .failed = now.failed - before->failed,
        .truncated = now.truncated - before->truncated,
        .edns = now.edns - before->edns,
        .late = now.late - before->late,
        .inserted = now.inserted - before->inserted,
    };
}

// A server has answered what was sent.
static void answered(struct sim *sim, struct sent *sent)
{
    struct heard *heard = &sim->nodes[sent->worker].heard[sent->server];
    if (sent->answered_us == NEVER)
        sent->answered_us = sim->now_us;
    heard->answers++;
    heard->gone = false;
    if (!sent->tcp && sent->at_us > heard->reply_sent_us)
        heard->reply_sent_us = sent->at_us;
}

// What became of the question whose send was answered.
static void reply_note(struct sim *sim, struct sent *sent, uint32_t number,
                       const struct taken *taken)
{
    struct asking *asking = &sim->askings[sent->asking];
    if (taken->failed)
        asking->failed |= (uint8_t)(1u << sent->server);
    if (taken->truncated || taken->edns)
        asking->complained |= (uint8_t)(1u << sent->server);
    if (taken->failed || taken->truncated || taken->edns)
        asking->credits++;
    if (sent->tcp && (taken->failed || taken->edns))
        asking->other_ways[sent->server] += asking->other_ways[sent->server] < OTHER_WAYS_MAX;
    if (!taken->accepted)
        return;
    asking->answer = number;
    // Only a probe is asked elsewhere than at home, and it is a sign of life and no more.
    bool home = asking_home(sim, asking) == sent->worker;
    if (home && !asking->probe)
        memory_taken(sim, number - 1, taken->inserted, asking->refresh);
    else if (taken->inserted || !asking->probe)
        sim_fail(sim, "worker %u writes to another worker's shard", sent->worker);
}

// Has the server that this was sent to been heard of right now? What has a wrong case or lacks
// its cookie is no answer but a sign of life.
static bool heard_now(const struct sim *sim, uint32_t sent)
{
    if (!sent)
        return false;
    const struct node *node = &sim->nodes[sim->sent[sent - 1].worker];
    int upstream = sim->servers[sim->sent[sent - 1].server].upstream;
    return node->forward->upstreams[upstream].reply_us == sim->now_us;
}

// Delivers a message. What it was taken for shows in the counters; what is no server's word may be
// taken for nothing, and what was cut on its way for no more than that it is too long.
static void deliver(struct sim *sim, unsigned worker, uint16_t port, bool tcp,
                    const struct packet *packet, uint32_t number)
{
    struct node *node = &sim->nodes[worker];
    struct taken before = taken_now(node);
    uint16_t id = packet->len < 2 ? 0 : (uint16_t)(packet->bytes[0] << 8 | packet->bytes[1]);
    bool sent_here = tcp ? connection_find(&node->forward->connections, port, id) != NULL
                         : source_port_find(&node->forward->source_ports, port, id) != NULL;
    uint32_t sent = sent_here ? asking_sent_find(sim, worker, port, tcp, id) : 0;
    bool heard_before = heard_now(sim, sent);
    sim->tally.replies++;
    if (number && sim->served[number - 1].delivered_us == NEVER)
        sim->served[number - 1].delivered_us = sim->now_us;
    if (tcp)
        serve_message(node->serve, sim->now_us, port, packet->bytes, packet->len);
    else
        serve_reply(node->serve, sim->now_us, port, packet->bytes, packet->len);
    struct taken taken = taken_since(node, &before);
    bool heard = heard_now(sim, sent) && !heard_before;
    bool read = taken.accepted + taken.failed + taken.truncated + taken.edns > 0;
    if ((read && !sent) || (taken.accepted + taken.failed > 0 && !number))
        sim_fail(sim, "worker %u takes a reply that no server made", worker);
    if (sent && (read || taken.late || heard))
        answered(sim, &sim->sent[sent - 1]);
    if (sent && heard && !read && !taken.late)
        sim->askings[sim->sent[sent - 1].asking].credits++;
    if (sent && read && !sim->failed)
        reply_note(sim, &sim->sent[sent - 1], number, &taken);
    asking_look(sim, worker);
    worker_drain(sim, worker);
}

void world_reply(struct sim *sim, unsigned worker, uint16_t port, bool tcp,
                 const struct packet *packet, uint32_t number)
{
    bool marked = memmem(packet->bytes, packet->len, FORGED_MARK, sizeof FORGED_MARK - 1);
    if (marked && forged_right(sim, worker, port, tcp, packet))
        return;
    sim_trace(sim, "worker %u gets %zu octets at %s %u%s", worker, packet->len,
              tcp ? "connection" : "port", port, marked ? ", forged" : "");
    deliver(sim, worker, port, tcp, packet, number);
}

bool world_busy(const struct sim *sim)
{
    const struct tally *t = &sim->tally;
    return sim->queries_left > 0 || t->arrived > t->answered + t->dropped;
}

// The daemon drains with the time that it read before it took the queries in, so a drain that was
// put off is not put off over a leap.
static void stall(struct sim *sim)
{
    for (unsigned i = 0; i < sim->params.workers; i++) {
        if (sim->nodes[i].drain_event)
            worker_drain(sim, i);
    }
    if (sim->now_us != sim->stall_until_us)
        sim->stall_from_us = sim->now_us;
    sim->now_us += 1 + dice_below(&sim->dice, sim->params.stall_us);
    sim->stall_until_us = sim->now_us;
    sim_trace(sim, "the clock leaps");
    cache_check(sim);
}

void world_unreachable(struct sim *sim, unsigned worker, uint16_t port)
{
    struct node *node = &sim->nodes[worker];
    sim_trace(sim, "worker %u learns that port %u leads nowhere", worker, port);
    sim->tally.unreachables++;
    node->heard[node->slots[port].server].gone = true;
    asking_credit_all(sim, worker, port, false);
    serve_unreachable(node->serve, sim->now_us, port);
    asking_look(sim, worker);
    worker_drain(sim, worker);
}

static void port_event_do(struct sim *sim, struct event *event)
{
    struct node *node = &sim->nodes[event->worker];
    const struct slot *slot = &node->slots[event->port];
    if (slot->state != SLOT_OPEN || slot->generation != event->generation) {
        free(event->packet);
        return;
    }
    if (event->kind == EVENT_REPLY) {
        world_reply(sim, event->worker, event->port, false, event->packet, event->number);
        free(event->packet);
        return;
    }
    world_unreachable(sim, event->worker, event->port);
}

static void event_do(struct sim *sim, struct event *event)
{
    switch ((enum event_kind)event->kind) {
    case EVENT_CLIENT:
        client_next(sim);
        break;
    case EVENT_QUERY:
        worker_arrived(sim, event->worker, client_arrives(sim, event->number), false, false);
        break;
    case EVENT_HANDED:
        worker_arrived(sim, event->worker, event->number, true, event->hint);
        break;
    case EVENT_INBOX:
        worker_inbox(sim, event->worker);
        break;
    case EVENT_DRAIN:
        sim->nodes[event->worker].drain_event = false;
        worker_drain(sim, event->worker);
        break;
    case EVENT_ASKED:
        server_asked(sim, event);
        free(event->packet);
        break;
    case EVENT_REPLY:
    case EVENT_UNREACHABLE:
        port_event_do(sim, event);
        break;
    case EVENT_TCP_ASKED:
    case EVENT_TCP_REPLY:
    case EVENT_TCP_OPEN:
    case EVENT_TCP_CLOSED:
    case EVENT_TCP_IDLE:
        tcp_event(sim, event);
        break;
    case EVENT_MODE:
        server_mode_change(sim, event->server, true);
        break;
    case EVENT_OUTAGE:
        server_outage(sim);
        break;
    case EVENT_SPOOF:
        spoof(sim);
        break;
    case EVENT_BENCH:
        break;
    case EVENT_STALL:
        stall(sim);
        break;
    }
}

// Moves the clock to what comes next and lets it happen; false when nothing is left.
bool sim_step(struct sim *sim)
{
    uint64_t next_us = event_next_us(sim);
    int worker = -1;
    for (unsigned i = 0; i < sim->params.workers; i++) {
        if (sim->nodes[i].wake_us < next_us) {
            next_us = sim->nodes[i].wake_us;
            worker = (int)i;
        }
    }
    if (next_us == NEVER || sim->failed)
        return false;
    if (++sim->steps == STEPS_MAX)
        sim_fail(sim, "it does not come to an end");
    if (next_us > sim->now_us)
        sim->now_us = next_us;
    struct event event;
    if (worker >= 0)
        worker_wake(sim, (unsigned)worker);
    else if (event_take(sim, &event))
        event_do(sim, &event);
    return true;
}

static uint64_t sum_of(const struct sim *sim, unsigned first, unsigned last)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < sim->params.workers; i++) {
        for (unsigned c = first; c <= last; c++)
            sum += counter_get(&sim->nodes[i].counters, c);
    }
    return sum;
}

static void sum_check(struct sim *sim, const char *what, unsigned first, unsigned last,
                      uint64_t expected)
{
    uint64_t sum = sum_of(sim, first, last);
    if (sum != expected)
        sim_fail(sim, "%s: counted %" PRIu64 ", happened %" PRIu64, what, sum, expected);
}

#define COUNTED(name) COUNTER_##name, COUNTER_##name

// Every counter against what the driver saw; the first and last rows of a range stand together in
// counters.def.
static void counters_check(struct sim *sim)
{
    const struct tally *t = &sim->tally;
    sum_check(sim, "queries", COUNTED(queries), t->arrived - t->arrived_tcp);
    sum_check(sim, "queries over TCP", COUNTED(queries_tcp), t->arrived_tcp);
    sum_check(sim, "answers", COUNTER_answers_cache, COUNTER_answers_error, t->answered);
    sum_check(sim, "answers from memory", COUNTED(answers_cache), t->hits);
    sum_check(sim, "stale answers", COUNTED(answers_stale), t->stale);
    sum_check(sim, "fresh answers", COUNTED(answers_upstream), t->fresh);
    sum_check(sim, "drops", COUNTER_drops_short, COUNTER_drops_handover_full, t->dropped);
    sum_check(sim, "drops of full tables", COUNTER_drops_pending_full, COUNTER_drops_client_share,
              t->dropped_full);
    sum_check(sim, "drops at hand-over", COUNTED(drops_handover_full), t->handed_failed);
    sum_check(sim, "handed over", COUNTED(handed_over), t->handed);
    sum_check(sim, "truncated", COUNTED(truncated), t->truncated);
    sum_check(sim, "upstream queries", COUNTED(upstream_queries), t->sends);
    sum_check(sim, "upstream queries over TCP", COUNTED(upstream_queries_tcp), t->tcp_sends);
    sum_check(sim, "upstream resends", COUNTED(upstream_resends), t->resends);
    sum_check(sim, "upstream replies", COUNTER_replies_accepted, COUNTER_replies_garbage,
              t->replies);
    sum_check(sim, "unreachable", COUNTED(upstream_unreachable), t->unreachables);
    sum_check(sim, "refreshes", COUNTED(refreshes), t->refreshes);
}

// The same of what is open at some time and closed at the end.
static void opens_check(struct sim *sim)
{
    const struct tally *t = &sim->tally;
    sum_check(sim, "ports opened", COUNTED(ports_opened), t->opens);
    sum_check(sim, "ports refused", COUNTED(ports_refused), t->refusals);
    sum_check(sim, "ports closed", COUNTED(ports_opened), t->closes);
    sum_check(sim, "ports open", COUNTED(ports), 0);
    sum_check(sim, "connections opened", COUNTED(upstream_connections_opened), t->connects);
    sum_check(sim, "connections closed", COUNTED(upstream_connections_opened),
              t->ends + t->disconnects);
    sum_check(sim, "connections open", COUNTED(upstream_connections), 0);
    sum_check(sim, "pending questions", COUNTED(pending), 0);
    sum_check(sim, "waiting clients", COUNTED(waiters), 0);
    uint64_t used = sum_of(sim, COUNTED(refreshes_used));
    if (used < t->refreshes_used || used > t->refreshes_used + t->refreshes_used_maybe)
        sim_fail(sim, "refreshes used: counted %" PRIu64 ", happened %" PRIu64, used,
                 t->refreshes_used);
    if (t->arrived != t->answered + t->dropped)
        sim_fail(sim, "%" PRIu64 " queries arrived, %" PRIu64 " were answered, %" PRIu64 " dropped",
                 t->arrived, t->answered, t->dropped);
}

static void totals_add(struct sim *sim)
{
    const uint64_t *from = (const uint64_t *)&sim->tally;
    uint64_t *to = (uint64_t *)&sim->tallies;
    for (unsigned i = 0; i < sim->params.workers; i++) {
        sim_note_bytes(sim, (const uint8_t *)&sim->nodes[i].counters, sizeof(struct counters));
        for (unsigned c = 0; c < COUNTER_COUNT; c++)
            sim->totals[c] += sim_counted(&sim->nodes[i], c);
    }
    for (size_t i = 0; i < sizeof sim->tally / sizeof *from; i++)
        to[i] += from[i];
}

// Refreshes are forgone where there is no room for them, or too many for one network; notes where
// half of the places are taken.
static void forgone_check(struct sim *sim)
{
    for (unsigned i = 0; i < sim->params.workers; i++) {
        const struct node *node = &sim->nodes[i];
        bool room = node->open_most < sim->params.pending_max / 2 && sim->tally.refreshes < 128;
        if (room && sim_counted(node, COUNTER_refreshes_forgone) > 0)
            sim_fail(sim, "worker %u has forgone a refresh, and had room", i);
        if (sim->tally.popular < sim->params.pending_max / 2 &&
            sim_counted(node, COUNTER_refreshes_full) > 0)
            sim_fail(sim, "worker %u has not recorded a popular answer, and had room", i);
    }
}

static void end_check(struct sim *sim)
{
    totals_add(sim);
    for (unsigned i = 0; i < sim->params.workers; i++) {
        const char *why = worker_check(sim, i);
        if (why)
            sim_fail(sim, "worker %u: %s", i, why);
        if (serve_deadline(sim->nodes[i].serve) != WHEEL_NEVER)
            sim_fail(sim, "worker %u still wants to be woken", i);
    }
    for (uint32_t i = 0; i < sim->asked_count; i++) {
        if (sim->asked[i].state == ASKED_WAITING)
            sim_fail(sim, "query %u waits for ever", i);
    }
    for (uint32_t i = 0; i < sim->asking_count; i++) {
        if (!sim->askings[i].end)
            sim_fail(sim, "%s is asked for ever", sim_question_text(sim, sim->askings[i].question));
    }
    cache_check(sim);
    memory_check(sim);
    forgone_check(sim);
    if (!sim->failed)
        counters_check(sim);
    if (!sim->failed)
        opens_check(sim);
}

static void params_trace(struct sim *sim)
{
    const struct params *s = &sim->params;
    sim_trace(sim,
              "%u workers, %u clients, %u queries in %u us, %u names, %u types, %u zones, "
              "%u servers, tables of %u questions, %u ports and %u connections%s%s",
              s->workers, s->clients, s->queries, s->span_us, s->names, s->types, s->zones,
              s->servers, s->pending_max, s->source_ports_max, s->upstream_connections_max,
              s->lazy ? ", lazy" : "", s->must_answer ? ", no excuse" : "");
}

bool sim_end(struct sim *sim)
{
    while (sim_step(sim))
        continue;
    if (!sim->failed)
        end_check(sim);
    tidy_up(sim);
    return !sim->failed;
}

bool sim_run(struct sim *sim, uint64_t seed, bool trace)
{
    start(sim, seed, trace, 0);
    events_plan(sim);
    params_trace(sim);
    return sim_end(sim);
}

void sim_begin_plain(struct sim *sim, uint64_t seed, unsigned servers)
{
    start(sim, seed, false, servers);
}
