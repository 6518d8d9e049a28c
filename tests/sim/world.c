// SPDX-License-Identifier: MIT
#include "tests/sim/sim.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

// A seed's life: make the scenario, let things happen in the order of time until nothing is left to
// happen, then add up.

enum { STEPS_MAX = 400000 };

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

void sim_trace(struct sim *sim, const char *format, ...)
{
    if (!sim->trace)
        return;
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
    scenario_largest(sim);
    sim->plan_memory = taken(plan_size(&sim->settings));
    sim->access_memory = taken(access_size(&sim->settings));
    sim->region = taken(2 * cache_size_min(2 * WORKERS_MAX));
    struct serve_config config = {
        .settings = &sim->settings, .pending_max = PENDING_MAX, .ports_max = PORTS_MAX};
    for (unsigned i = 0; i < WORKERS_MAX; i++)
        sim->serve_memory[i] = taken(serve_size(&config));
    return sim;
}

void sim_free(struct sim *sim)
{
    for (unsigned i = 0; i < WORKERS_MAX; i++)
        free(sim->serve_memory[i]);
    free(sim->region);
    free(sim->access_memory);
    free(sim->plan_memory);
    free(sim);
}

static void cache_make(struct sim *sim)
{
    // Two shards for each worker, or one.
    uint32_t shard_count = sim->scenario.workers << (sim->seed & 1);
    size_t size = cache_size_min(shard_count);
    if (dice_chance(&sim->dice, 200))
        size += dice_below(&sim->dice, (uint32_t)size);
    memset(sim->region, 0, size);
    int error = cache_format(&sim->cache, sim->region, size, shard_count, dice_u64(&sim->dice));
    assert(error == 0);
}

static void start(struct sim *sim, uint64_t seed, bool trace)
{
    sim->seed = seed;
    sim->dice = dice_for(seed, 0);
    sim->stall_from_us = sim->stall_until_us = 0;
    sim->digest = sim->order = sim->steps = 0;
    sim->trace = trace;
    sim->failed = false;
    sim->asked_count = sim->served_count = 0;
    sim->event_count = 0;
    sim->queries_left = 0;
    sim->now_us = sim->start_us = 0;
    memset(&sim->tally, 0, sizeof sim->tally);
    memset(sim->ports_taken, 0, sizeof sim->ports_taken);
    memset(sim->questions, 0, sizeof sim->questions);
    memset(sim->denials, 0, sizeof sim->denials);
    scenario_draw(sim);
    cache_make(sim);
    for (unsigned i = 0; i < sim->scenario.workers; i++)
        worker_start(sim, i);
    sim->out = malloc(SERVE_BATCH_MAX * sim->reply_room);
    sim->outgoing = malloc(sim->reply_room);
    assert(sim->out && sim->outgoing);

    event_push(sim, &(struct event){.kind = EVENT_CLIENT}, sim->now_us);
    if (sim->scenario.spoof_us)
        event_push(sim, &(struct event){.kind = EVENT_SPOOF}, sim->now_us);
    for (uint32_t i = 0; i < sim->scenario.stalls; i++)
        event_push(sim, &(struct event){.kind = EVENT_STALL},
                   sim->now_us + dice_below(&sim->dice, sim->scenario.span_us));
    for (unsigned i = 0; sim->scenario.mode_us > 0 && i < sim->scenario.servers; i++)
        event_push(sim, &(struct event){.kind = EVENT_MODE, .server = (uint8_t)i},
                   sim->now_us + dice_below(&sim->dice, sim->scenario.mode_us));
}

static void end(struct sim *sim)
{
    events_clear(sim);
    for (uint32_t i = 0; i < sim->asked_count; i++)
        free(sim->asked[i].packet);
    free(sim->out);
    free(sim->outgoing);
}

static void cache_check(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->cache.shard_count; i++) {
        const char *why = cache_verify(&sim->cache, i);
        if (why)
            sim_fail(sim, "cache shard %u: %s", i, why);
    }
}

// Would this be taken for a right reply, and rightly? Only a liar's luck can make it so.
static bool matches_sent(const struct sim *sim, const struct slot *slot,
                         const struct packet *packet)
{
    struct strict m;
    if (!strict_open(&m, packet->bytes, packet->len) || m.question.len == 0 || m.class != 1 ||
        (m.flags[0] & 0xf8) != 0x80)
        return false;
    for (unsigned i = 0; i < slot->sent_count && i < PORT_SENDS_MAX; i++) {
        const struct sent *sent = &slot->sent[i];
        if (sent->id == m.id && question_type(sim, sent->question) == m.type &&
            strict_equal(&question_qname(sim, sent->question)->name, &m.question))
            return true;
    }
    return false;
}

// Delivers a datagram. What it was taken for shows in the counters; what is no server's word may
// be taken for nothing.
static void deliver(struct sim *sim, unsigned worker, uint16_t port, const struct packet *packet,
                    uint32_t number)
{
    struct node *node = &sim->nodes[worker];
    struct served *served = number > 0 ? &sim->served[number - 1] : NULL;
    if (served && served->delivered_us == NEVER)
        served->delivered_us = sim->now_us;
    uint64_t taken = counter_get(&node->counters, COUNTER_replies_accepted);
    uint64_t failed = counter_get(&node->counters, COUNTER_replies_failed);
    sim->tally.replies++;
    serve_reply(node->serve, sim->now_us, port, packet->bytes, packet->len);
    taken = counter_get(&node->counters, COUNTER_replies_accepted) - taken;
    failed = counter_get(&node->counters, COUNTER_replies_failed) - failed;
    if (!served && (taken || failed))
        sim_fail(sim, "worker %u takes a reply that no server made", worker);
    else if (failed)
        sim->questions[served->question].failed |= (uint8_t)(1u << node->slots[port].server);
    else if (taken)
        judge_taken(sim, number - 1);
    worker_drain(sim, worker);
}

void world_reply(struct sim *sim, unsigned worker, uint16_t port, struct packet *packet,
                 uint32_t number)
{
    bool marked = memmem(packet->bytes, packet->len, FORGED_MARK, sizeof FORGED_MARK - 1);
    if (!marked || !matches_sent(sim, &sim->nodes[worker].slots[port], packet)) {
        sim_trace(sim, "worker %u gets %zu octets at port %u%s", worker, packet->len, port,
                  marked ? ", forged" : "");
        deliver(sim, worker, port, packet, number);
    }
    free(packet);
}

// The daemon drains with the time that it read before it took the queries in, so a drain that was
// put off is not put off over a leap.
static void stall(struct sim *sim)
{
    for (unsigned i = 0; i < sim->scenario.workers; i++) {
        if (sim->nodes[i].drain_event)
            worker_drain(sim, i);
    }
    if (sim->now_us != sim->stall_until_us)
        sim->stall_from_us = sim->now_us;
    sim->now_us += 1 + dice_below(&sim->dice, sim->scenario.stall_us);
    sim->stall_until_us = sim->now_us;
    sim_trace(sim, "the clock leaps");
    cache_check(sim);
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
        world_reply(sim, event->worker, event->port, event->packet, event->number);
        return;
    }
    sim_trace(sim, "worker %u learns that port %u leads nowhere", event->worker, event->port);
    sim->tally.unreachables++;
    serve_unreachable(node->serve, sim->now_us, event->port);
    worker_drain(sim, event->worker);
}

static void event_do(struct sim *sim, struct event *event)
{
    switch ((enum event_kind)event->kind) {
    case EVENT_CLIENT:
        client_next(sim);
        break;
    case EVENT_QUERY:
        worker_arrived(sim, event->worker, client_arrives(sim, event->number), false);
        break;
    case EVENT_HANDED:
        worker_arrived(sim, event->worker, event->number, true);
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
    case EVENT_MODE:
        server_mode_change(sim, event->server);
        break;
    case EVENT_SPOOF:
        server_spoof(sim);
        break;
    case EVENT_STALL:
        stall(sim);
        break;
    }
}

// Moves the clock to what comes next and lets it happen; false when nothing is left.
static bool step(struct sim *sim)
{
    uint64_t next_us = event_next_us(sim);
    int worker = -1;
    for (unsigned i = 0; i < sim->scenario.workers; i++) {
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
    for (unsigned i = 0; i < sim->scenario.workers; i++) {
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
    sum_check(sim, "queries", COUNTED(queries), t->arrived);
    sum_check(sim, "answers", COUNTER_answers_cache, COUNTER_answers_error, t->answered);
    sum_check(sim, "drops", COUNTER_drops_short, COUNTER_drops_handover_full, t->dropped);
    sum_check(sim, "drops of full tables", COUNTER_drops_pending_full, COUNTER_drops_waiters_full,
              t->dropped_full);
    sum_check(sim, "drops at hand-over", COUNTED(drops_handover_full), t->handed_failed);
    sum_check(sim, "handed over", COUNTED(handed_over), t->handed);
    sum_check(sim, "truncated", COUNTED(truncated), t->truncated);
    sum_check(sim, "upstream queries", COUNTED(upstream_queries), t->sends);
    sum_check(sim, "upstream resends", COUNTED(upstream_resends), t->resends);
    sum_check(sim, "upstream replies", COUNTER_replies_accepted, COUNTER_replies_garbage,
              t->replies);
    sum_check(sim, "unreachable", COUNTED(upstream_unreachable), t->unreachables);
    sum_check(sim, "ports opened", COUNTED(ports_opened), t->opens);
    sum_check(sim, "ports refused", COUNTED(ports_refused), t->refusals);
    sum_check(sim, "ports closed", COUNTED(ports_opened), t->closes);
    sum_check(sim, "ports open", COUNTED(ports), 0);
    sum_check(sim, "pending questions", COUNTED(pending), 0);
    sum_check(sim, "waiting clients", COUNTED(waiters), 0);
    if (t->arrived != t->answered + t->dropped)
        sim_fail(sim, "%" PRIu64 " queries arrived, %" PRIu64 " were answered, %" PRIu64 " dropped",
                 t->arrived, t->answered, t->dropped);
}

static void end_check(struct sim *sim)
{
    for (unsigned i = 0; i < sim->scenario.workers; i++) {
        if (serve_deadline(sim->nodes[i].serve) != WHEEL_NEVER)
            sim_fail(sim, "worker %u still wants to be woken", i);
        sim_note_bytes(sim, (const uint8_t *)&sim->nodes[i].counters, sizeof(struct counters));
        for (unsigned c = 0; c < COUNTER_COUNT; c++)
            sim->totals[c] += counter_get(&sim->nodes[i].counters, c);
    }
    sim->forged_total += sim->tally.forged;
    for (uint32_t i = 0; i < sim->asked_count; i++) {
        if (sim->asked[i].state == ASKED_WAITING)
            sim_fail(sim, "query %u waits for ever", i);
    }
    cache_check(sim);
    if (!sim->failed)
        counters_check(sim);
}

static void scenario_trace(struct sim *sim)
{
    const struct scenario *s = &sim->scenario;
    sim_trace(sim,
              "%u workers, %u clients, %u queries in %u us, %u names, %u types, %u zones, "
              "%u servers, tables of %u questions and %u ports%s%s",
              s->workers, s->clients, s->queries, s->span_us, s->names, s->types, s->zones,
              s->servers, s->pending_max, s->ports_max, s->lazy ? ", lazy" : "",
              s->must_answer ? ", no excuse" : "");
}

bool sim_run(struct sim *sim, uint64_t seed, bool trace)
{
    start(sim, seed, trace);
    scenario_trace(sim);
    while (step(sim))
        continue;
    if (!sim->failed)
        end_check(sim);
    end(sim);
    return !sim->failed;
}
