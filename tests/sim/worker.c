// SPDX-License-Identifier: MIT
#include "tests/sim/sim.h"

#include <stdlib.h>

// The driver of one worker: what io/engine does in the daemon. It checks each thing that serve
// wants done at the moment when serve wants it.

enum { DRAIN_MAX = 100000, DRAIN_LATE_US = 50, CANARY = 0xc5 };

void worker_start(struct sim *sim, unsigned worker)
{
    struct node *node = &sim->nodes[worker];
    struct serve_config config = params_config(sim, worker);
    for (unsigned i = 0; i < sizeof config.seed; i++)
        config.seed[i] = (uint8_t)dice_u64(&sim->dice);
    // Generations go on from seed to seed, so no reply of an old one can be taken for a new one's.
    memset(&node->counters, 0, sizeof node->counters);
    for (unsigned i = 0; i < PORTS_MAX; i++)
        node->slots[i].state = SLOT_FREE;
    for (unsigned i = 0; i < STREAMS_MAX; i++)
        node->wires[i].open = false;
    memset(node->slot_asking, 0, sizeof node->slot_asking);
    memset(node->failures, 0, sizeof node->failures);
    memset(node->heard, 0, sizeof node->heard);
    node->inbox_count = node->began = node->budgeted = node->looks = node->loops = 0;
    node->open_most = 0;
    node->inbox_event = false;
    node->drain_event = false;
    node->wake_us = NEVER;
    size_t size = serve_size(&config);
    memset(sim->serve_memory[worker] + size, CANARY, CANARY_LEN);
    node->serve = serve_init(sim->serve_memory[worker], &config, sim->now_us);
    node->forward = inside_forward(node->serve);
    sim->reply_room = serve_reply_room(node->serve);
}

const char *worker_check(struct sim *sim, unsigned worker)
{
    struct serve_config config = params_config(sim, worker);
    const uint8_t *end = sim->serve_memory[worker] + serve_size(&config);
    for (unsigned i = 0; i < CANARY_LEN; i++) {
        if (end[i] != CANARY)
            return "it has written behind its memory";
    }
    return inside_check(sim->nodes[worker].serve);
}

static void deadline_take(struct sim *sim, struct node *node)
{
    uint64_t deadline_us = serve_deadline(node->serve);
    node->wake_us = NEVER;
    if (deadline_us != WHEEL_NEVER)
        node->wake_us = deadline_us + dice_below(&sim->dice, sim->params.wake_late_us + 1);
}

uint64_t worker_patience(const struct sim *sim, uint64_t due_us)
{
    uint64_t end_us = due_us + 2 * TICK_US + sim->params.wake_late_us + DRAIN_LATE_US;
    if (sim->stall_until_us > end_us && sim->stall_from_us <= end_us)
        end_us = sim->stall_until_us + TICK_US + DRAIN_LATE_US;
    return end_us;
}

// No client waits longer than that if there is a stale answer.
static void stale_check(struct sim *sim, uint32_t number)
{
    const struct asked *asked = &sim->asked[number];
    uint64_t due_us = asked->waiting_since_us + sim->settings.cache_stale_answer_after * 1000;
    const struct kept *stale = memory_stale(sim, asked->question);
    if (asked->stale && sim->now_us > worker_patience(sim, due_us) && memory_whole(sim) && stale &&
        stale->served == asked->stale)
        sim_fail(sim, "query %u has waited %llu us though there is a stale answer", number,
                 (unsigned long long)(sim->now_us - asked->waiting_since_us));
}

static void reply_do(struct sim *sim, unsigned worker, const struct outgoing *out)
{
    uint32_t number = out->client.listener;
    struct asked *asked = &sim->asked[number];
    if (number >= sim->asked_count || asked->state != ASKED_WAITING) {
        sim_fail(sim, "worker %u answers query %u, which does not wait", worker, number);
        return;
    }
    if (!address_equal(&asked->client.from, &out->client.from) ||
        asked->client.transport != out->client.transport ||
        asked->client.worker != out->client.worker ||
        asked->client.connection != out->client.connection ||
        asked->client.generation != out->client.generation)
        sim_fail(sim, "the answer to query %u goes to another client", number);
    if (sim->now_us > worker_patience(sim, asked->waiting_since_us + DEADLINE_US))
        sim_fail(sim, "query %u is answered %llu us after it came", number,
                 (unsigned long long)(sim->now_us - asked->waiting_since_us));
    stale_check(sim, number);
    judge_reply(sim, worker, number, out->bytes, out->len);
    sim_note_bytes(sim, out->bytes, out->len);
    asked->state = ASKED_ANSWERED;
    asked->answered_us = sim->now_us;
    sim->tally.answered++;
    sim->askings[asked->asking].waiting--;
}

static void outgoing_do(struct sim *sim, unsigned worker, const struct outgoing *out)
{
    bool tcp = out->kind == OUTGOING_CONNECT || out->kind == OUTGOING_MESSAGE ||
               out->kind == OUTGOING_DISCONNECT;
    if (out->kind != OUTGOING_REPLY &&
        out->slot >= (tcp ? sim->params.upstream_connections_max : sim->params.source_ports_max)) {
        sim_fail(sim, "worker %u: port %u is out of bounds", worker, out->slot);
        return;
    }
    switch (out->kind) {
    case OUTGOING_REPLY:
        reply_do(sim, worker, out);
        break;
    case OUTGOING_OPEN:
        asking_open(sim, worker, out);
        break;
    case OUTGOING_CLOSE:
        asking_close(sim, worker, out->slot);
        break;
    case OUTGOING_CONNECT:
        asking_connect(sim, worker, out);
        break;
    case OUTGOING_DISCONNECT:
        asking_disconnect(sim, worker, out->slot);
        break;
    case OUTGOING_QUERY:
    case OUTGOING_MESSAGE:
        sim_note_bytes(sim, out->bytes, out->len);
        asking_send(sim, worker, out);
        break;
    }
}

void worker_drain(struct sim *sim, unsigned worker)
{
    struct node *node = &sim->nodes[worker];
    unsigned count = 0;
    struct outgoing out;
    for (;;) {
        // What is not filled in shows.
        memset(&out, 0xa5, sizeof out);
        out.bytes = sim->outgoing;
        if (sim->failed || !serve_drain(node->serve, sim->now_us, &out))
            break;
        sim_note(sim, (uint64_t)out.kind << 32 | worker);
        if (++count > DRAIN_MAX)
            sim_fail(sim, "worker %u: serve_drain never comes to its end", worker);
        else
            outgoing_do(sim, worker, &out);
    }
    if (!sim->failed)
        asking_look(sim, worker);
    deadline_take(sim, node);
}

// After the worker has done something: as in the daemon several batches may come before a drain.
static void drain_soon(struct sim *sim, unsigned worker)
{
    struct node *node = &sim->nodes[worker];
    if (!sim->params.lazy) {
        worker_drain(sim, worker);
        return;
    }
    if (!node->drain_event)
        event_push(sim, &(struct event){.kind = EVENT_DRAIN, .worker = (uint8_t)worker},
                   sim->now_us + dice_below(&sim->dice, 50));
    node->drain_event = true;
}

void worker_wake(struct sim *sim, unsigned worker)
{
    struct node *node = &sim->nodes[worker];
    serve_expire(node->serve, sim->now_us);
    asking_look(sim, worker);
    worker_drain(sim, worker);
    uint64_t deadline_us = serve_deadline(node->serve);
    if (deadline_us <= sim->now_us)
        sim_fail(sim, "worker %u wants to be woken at once after serve_expire", worker);
}

static void waits(struct sim *sim, unsigned worker, uint32_t number)
{
    struct asked *asked = &sim->asked[number];
    if (asked->expect != EXPECT_ANSWER || !asked->recursion) {
        sim_fail(sim, "query %u waits, and should have been answered at once", number);
        return;
    }
    asked->state = ASKED_WAITING;
    asked->waiting_since_us = sim->now_us;
    if (memory_has(sim, asked->question))
        sim_fail(sim, "query %u waits, and its answer should be in memory", number);
    uint32_t asking = asking_of_client(sim, worker, asked->question, number);
    if (!asking) {
        sim_fail(sim, "query %u waits for nothing", number);
        return;
    }
    asked->asking = asking - 1;
    const struct kept *stale = memory_stale(sim, asked->question);
    asked->stale = stale ? stale->served : 0;
    if (asked->stale && !sim->askings[asking - 1].stale_since_us)
        sim->askings[asking - 1].stale_since_us = sim->now_us;
    sim->askings[asking - 1].waiting++;
}

// A connection on which something other than a query arrives is closed.
static bool is_not_dns(const struct asked *asked)
{
    const struct address *from = &asked->client.from;
    const struct packet *packet = asked->packet;
    if (from->family == ADDRESS_IPV4 && from->ip[1] == 99)
        return true;
    return from->port != 0 && !asked->cut && (packet->len < 12 || packet->bytes[2] & 0x80);
}

static void dropped(struct sim *sim, unsigned worker, const struct serve_item *item,
                    uint32_t number)
{
    const struct question_table *table = &sim->nodes[worker].forward->questions;
    struct asked *asked = &sim->asked[number];
    const struct topic *q = &sim->questions[asked->question];
    asked->state = ASKED_DROPPED;
    sim->tally.dropped++;
    if (item->not_dns != is_not_dns(asked))
        sim_fail(sim, "query %u is not DNS to one of us only", number);
    struct node *node = &sim->nodes[worker];
    bool loops = sim_counted(node, COUNTER_drops_error_loop) > node->loops;
    node->loops += loops;
    if (loops && asked->expect == EXPECT_ANSWER)
        sim_fail(sim, "query %u is dropped as if it were nonsense", number);
    if (asked->expect == EXPECT_DROP || loops)
        return;
    sim->tally.dropped_full++;
    bool full = table->count >= table->size / 2 || table->asker_count >= 2 * table->size ||
                (q->asking && sim->askings[q->asking - 1].waiting >= WAITERS_PER_QUESTION_MAX / 2);
    if (!full || asked->expect != EXPECT_ANSWER)
        sim_fail(sim, "query %u is dropped without a reason", number);
}

// A worker sends another one a popularity hint. It may get lost without harm.
static void hinted(struct sim *sim, unsigned worker, const struct serve_item *item, uint32_t number)
{
    const struct kept *kept = memory_alive(sim, sim->asked[number].question, false);
    if (item->owner == worker || item->owner >= sim->params.workers || !kept ||
        (kept->hits != REFRESH_HITS && !kept->hasty) || !sim->settings.cache_prefetch) {
        sim_fail(sim, "worker %u sends %u a popularity hint without a reason", worker, item->owner);
        return;
    }
    sim->tally.hints++;
    if (dice_chance(&sim->dice, sim->params.handed_fail_pm))
        return;
    struct event event = {.kind = EVENT_HANDED, .worker = (uint8_t)item->owner, .number = number};
    event.hint = true;
    event_push(sim, &event, sim->now_us + dice_below(&sim->dice, sim->params.handed_us + 1));
}

static void elsewhere(struct sim *sim, unsigned worker, const struct serve_item *item,
                      uint32_t number)
{
    struct node *node = &sim->nodes[worker];
    sim->tally.handed++;
    if (item->handed_over || item->owner == worker || item->owner >= sim->params.workers) {
        sim_fail(sim, "query %u is handed from worker %u to %u", number, worker, item->owner);
        return;
    }
    if (dice_chance(&sim->dice, sim->params.handed_fail_pm)) {
        serve_handover_failed(node->serve);
        sim->tally.handed_failed++;
        sim->tally.dropped++;
        sim->asked[number].state = ASKED_DROPPED;
        return;
    }
    event_push(
        sim,
        &(struct event){.kind = EVENT_HANDED, .worker = (uint8_t)item->owner, .number = number},
        sim->now_us + dice_below(&sim->dice, sim->params.handed_us + 1));
}

static void verdict_do(struct sim *sim, unsigned worker, const struct serve_item *item,
                       const uint8_t *end)
{
    uint32_t number = item->client.listener;
    struct asked *asked = &sim->asked[number];
    sim_note(sim, (uint64_t)item->verdict << 32 | number);
    switch (item->verdict) {
    case SERVE_ANSWERED:
        if (item->out_len > end - item->out) {
            sim_fail(sim, "the answer to query %u lies outside of its buffer", number);
            return;
        }
        sim_note_bytes(sim, item->out, item->out_len);
        judge_reply(sim, worker, number, item->out, item->out_len);
        asked->state = ASKED_ANSWERED;
        asked->answered_us = sim->now_us;
        sim->tally.answered++;
        if (item->hint)
            hinted(sim, worker, item, number);
        break;
    case SERVE_WAITING:
        waits(sim, worker, number);
        break;
    case SERVE_ELSEWHERE:
        elsewhere(sim, worker, item, number);
        break;
    default:
        dropped(sim, worker, item, number);
        break;
    }
}

static void verdicts_do(struct sim *sim, unsigned worker, const struct serve_item *items,
                        const struct inbox_item *from, size_t count, const uint8_t *end)
{
    for (size_t i = 0; i < count && !sim->failed; i++) {
        if (from[i].hint != (items[i].verdict == SERVE_HINTED))
            sim_fail(sim, "worker %u takes a query for a hint, or a hint for a query", worker);
        else if (!from[i].hint)
            verdict_do(sim, worker, &items[i], end);
    }
}

static void batch_do(struct sim *sim, unsigned worker, const struct inbox_item *from, size_t count)
{
    struct node *node = &sim->nodes[worker];
    struct serve_item items[SERVE_BATCH_MAX];
    struct packet *copies[SERVE_BATCH_MAX];
    // At the buffer's end, so that a sanitizer sees what is too long.
    uint8_t *out = sim->out + OUT_SIZE;
    for (size_t i = 0; i < count; i++) {
        const struct asked *asked = &sim->asked[from[i].asked];
        // A copy, so that a sanitizer detects late reads.
        copies[i] = packet_make(asked->packet->bytes, asked->packet->len);
        items[i] = (struct serve_item){
            .client = asked->client,
            .in = copies[i]->bytes,
            .in_len = (uint16_t)copies[i]->len,
            .handed_over = from[i].handed,
            .hint = from[i].hint,
            .cut = asked->cut,
            .verdict = 0xff,
        };
        out -= client_has_connection(&asked->client) ? SERVE_MESSAGE_ROOM : sim->reply_room;
        sim->tally.arrived += !from[i].handed;
        sim->tally.arrived_tcp += !from[i].handed && client_has_connection(&asked->client);
        sim_trace(sim, "worker %u takes query %u%s", worker, from[i].asked,
                  from[i].hint     ? ", a hint"
                  : from[i].handed ? ", handed over"
                                   : "");
    }
    size_t out_size = (size_t)(sim->out + OUT_SIZE - out);
    size_t used = serve_queries(node->serve, sim->now_us, items, count, out, out_size);
    asking_look(sim, worker);
    for (size_t i = 0; i < count; i++)
        free(copies[i]);
    verdicts_do(sim, worker, items, from, count, out + used);
}

void worker_inbox(struct sim *sim, unsigned worker)
{
    struct node *node = &sim->nodes[worker];
    node->inbox_event = false;
    size_t at = 0;
    while (at < node->inbox_count && !sim->failed) {
        size_t count = node->inbox_count - at;
        size_t most =
            dice_chance(&sim->dice, 100) ? dice_between(&sim->dice, 1, 4) : SERVE_BATCH_MAX;
        count = count < most ? count : most;
        batch_do(sim, worker, node->inbox + at, count);
        drain_soon(sim, worker);
        at += count;
    }
    node->inbox_count = 0;
}

void worker_arrived(struct sim *sim, unsigned worker, uint32_t asked, bool handed, bool hint)
{
    struct node *node = &sim->nodes[worker];
    // What a socket cannot hold is lost uncounted; what was handed over is not.
    if (node->inbox_count >= (handed ? (uint32_t)INBOX_MAX : sim->params.inbox_max)) {
        struct event event = {.kind = EVENT_HANDED, .worker = (uint8_t)worker, .number = asked};
        event.hint = hint;
        if (handed)
            event_push(sim, &event, sim->now_us + 1000);
        return;
    }
    node->inbox[node->inbox_count++] = (struct inbox_item){asked, handed, hint};
    if (!node->inbox_event)
        event_push(sim, &(struct event){.kind = EVENT_INBOX, .worker = (uint8_t)worker},
                   sim->now_us + (sim->params.plain ? 0 : dice_skewed(&sim->dice, 200)));
    node->inbox_event = true;
}
