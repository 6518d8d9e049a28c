// SPDX-License-Identifier: MIT
#include "tests/sim/sim.h"

#include <stdlib.h>

// The driver of one worker: what io/engine does in the daemon. It checks each thing that serve
// wants done at the moment when serve wants it.

enum { DRAIN_MAX = 100000 };

void worker_start(struct sim *sim, unsigned worker)
{
    struct node *node = &sim->nodes[worker];
    struct serve_config config = {
        .settings = &sim->settings,
        .plan = &sim->plan,
        .access = &sim->access,
        .cache = &sim->cache,
        .counters = &node->counters,
        .worker = worker,
        .worker_count = sim->scenario.workers,
        .pending_max = sim->scenario.pending_max,
        .ports_max = (uint16_t)sim->scenario.ports_max,
    };
    for (unsigned i = 0; i < sizeof config.seed; i++)
        config.seed[i] = (uint8_t)dice_u64(&sim->dice);
    // Generations go on from seed to seed, so no reply of an old one can be taken for a new one's.
    memset(&node->counters, 0, sizeof node->counters);
    for (unsigned i = 0; i < PORTS_MAX; i++)
        node->slots[i].state = SLOT_FREE;
    node->inbox_count = 0;
    node->waiting = 0;
    node->questions = 0;
    node->inbox_event = false;
    node->drain_event = false;
    node->wake_us = NEVER;
    node->serve = serve_init(sim->serve_memory[worker], &config, sim->now_us);
    sim->reply_room = serve_reply_room(node->serve);
}

static void deadline_take(struct sim *sim, struct node *node)
{
    uint64_t deadline_us = serve_deadline(node->serve);
    node->wake_us = NEVER;
    if (deadline_us != WHEEL_NEVER)
        node->wake_us = deadline_us + dice_below(&sim->dice, sim->scenario.wake_late_us + 1);
}

static int server_of(const struct sim *sim, const struct address *address)
{
    for (unsigned i = 0; i < sim->scenario.servers; i++) {
        if (address_equal(&sim->servers[i].address, address))
            return (int)i;
    }
    return -1;
}

static bool number_taken(const struct sim *sim, uint16_t number)
{
    return sim->ports_taken[number / 64] >> number % 64 & 1;
}

static void number_flip(struct sim *sim, uint16_t number)
{
    sim->ports_taken[number / 64] ^= (uint64_t)1 << number % 64;
}

static void open_do(struct sim *sim, unsigned worker, const struct outgoing *out)
{
    struct node *node = &sim->nodes[worker];
    struct slot *slot = &node->slots[out->port];
    int server = server_of(sim, out->upstream);
    sim->tally.opens++;
    if (slot->state != SLOT_FREE || out->number < 1024 || server < 0) {
        sim_fail(sim, "worker %u opens port %u wrongly: number %u, server %d, state %u", worker,
                 out->port, out->number, server, slot->state);
        return;
    }
    slot->state = SLOT_FAILED;
    if (number_taken(sim, out->number) || dice_chance(&sim->dice, sim->scenario.refuse_pm)) {
        sim_trace(sim, "worker %u cannot open port %u (%u)", worker, out->port, out->number);
        sim->tally.refusals++;
        serve_port_refused(node->serve, sim->now_us, out->port);
    } else if (dice_chance(&sim->dice, sim->scenario.connect_fail_pm)) {
        sim_trace(sim, "worker %u cannot connect port %u", worker, out->port);
        sim->tally.unreachables++;
        serve_unreachable(node->serve, sim->now_us, out->port);
    } else {
        sim_trace(sim, "worker %u opens port %u (%u) to server %d", worker, out->port, out->number,
                  server);
        slot->state = SLOT_OPEN;
        slot->generation++;
        slot->number = out->number;
        slot->server = (uint8_t)server;
        slot->sent_count = 0;
        number_flip(sim, slot->number);
    }
}

static void close_do(struct sim *sim, unsigned worker, uint16_t port)
{
    struct slot *slot = &sim->nodes[worker].slots[port];
    sim_trace(sim, "worker %u closes port %u", worker, port);
    sim->tally.closes++;
    if (slot->state == SLOT_FREE)
        sim_fail(sim, "worker %u closes port %u, which is not open", worker, port);
    if (slot->state == SLOT_OPEN)
        number_flip(sim, slot->number);
    slot->state = SLOT_FREE;
}

// Which question of the table an upstream is asked; -1 with the reason in *why.
static int query_read_back(const struct sim *sim, struct strict *m, const char **why)
{
    struct strict_record opt = {0};
    *why = NULL;
    bool whole = m->counts[0] == 1 && m->counts[1] == 0 && m->counts[2] == 0 && m->counts[3] == 1;
    if (!whole || !strict_next(m, &opt) || opt.type != TYPE_OPT || strict_rest(m))
        *why = "it is not one question and one OPT record";
    else if (m->flags[0] != 0x01 || (m->flags[1] & ~0x10) || m->class != 1)
        *why = "its header or class is wrong";
    else if (opt.class != UPSTREAM_UDP_SIZE || (opt.ttl & ~0x8000u) || opt.owner.len != 1)
        *why = "its OPT record is wrong";
    if (*why)
        return -1;
    unsigned flags = (opt.ttl & 0x8000 ? 1u : 0u) + (m->flags[1] & 0x10 ? 2u : 0u);
    for (unsigned n = 0; n < sim->scenario.names; n++) {
        if (!strict_equal(&sim->names[n].name, &m->question))
            continue;
        for (unsigned t = 0; t < sim->scenario.types; t++) {
            if (sim->types[t] == m->type)
                return (int)((n * TYPES_MAX + t) * FLAGS_MAX + flags);
        }
    }
    *why = "nobody asked that";
    return -1;
}

static const char *send_check(struct sim *sim, unsigned worker, const struct slot *slot,
                              const struct outgoing *out, int question)
{
    struct question *q = &sim->questions[question];
    const struct qname *qname = question_qname(sim, (uint32_t)question);
    int server = server_of(sim, out->upstream);
    if (slot->state != SLOT_OPEN)
        return "its port is not open";
    if (slot->number != out->number || slot->server != server)
        return "its port leads elsewhere";
    if (q->waiting == 0)
        return "nobody waits for it";
    if (q->worker != worker)
        return "another worker is its home";
    sim->tally.resends += q->sent;
    q->sent = true;
    if (q->failed >> server & 1)
        return "that server has refused or failed already";
    if (++q->sends[server] > SENDS_PER_SERVER_MAX)
        return "that server had it three times already";
    for (unsigned i = 0; qname->zone >= 0 && i < sim->zones[qname->zone].server_count; i++) {
        if (sim->zones[qname->zone].servers[i] == server)
            return NULL;
    }
    return "the plan does not send it there";
}

static void query_do(struct sim *sim, unsigned worker, const struct outgoing *out)
{
    struct slot *slot = &sim->nodes[worker].slots[out->port];
    struct strict m;
    const char *why = NULL;
    int question = -1;
    sim->tally.sends++;
    sim_note_bytes(sim, out->bytes, out->len);
    if (strict_open(&m, out->bytes, out->len))
        question = query_read_back(sim, &m, &why);
    else
        why = m.why;
    if (!why)
        why = send_check(sim, worker, slot, out, question);
    if (why) {
        sim_fail(sim, "worker %u sends %s to an upstream: %s", worker,
                 question < 0 ? "a query" : sim_question_text(sim, (uint32_t)question), why);
        return;
    }
    sim_trace(sim, "worker %u asks server %u from port %u, ID %u: %s", worker, slot->server,
              out->port, m.id, sim_question_text(sim, (uint32_t)question));
    slot->sent[slot->sent_count++ % PORT_SENDS_MAX] = (struct sent){(uint32_t)question, m.id};
    struct event event = {
        .kind = EVENT_ASKED,
        .worker = (uint8_t)worker,
        .server = slot->server,
        .port = out->port,
        .generation = slot->generation,
        .number = (uint32_t)question,
        .packet = packet_make(out->bytes, out->len),
    };
    link_carry(sim, &sim->servers[slot->server].there, &event, 0);
}

// The latest time at which one who began to wait then may be answered.
static uint64_t patience_end(const struct sim *sim, uint64_t since_us)
{
    uint64_t slack_us = TICK_US + sim->scenario.wake_late_us;
    uint64_t end_us = since_us + DEADLINE_US + slack_us;
    if (sim->stall_until_us > end_us && sim->stall_from_us <= end_us)
        end_us = sim->stall_until_us;
    return end_us;
}

static void reply_do(struct sim *sim, unsigned worker, const struct outgoing *out)
{
    struct node *node = &sim->nodes[worker];
    uint32_t number = out->client.listener;
    struct asked *asked = &sim->asked[number];
    if (number >= sim->asked_count || asked->state != ASKED_WAITING) {
        sim_fail(sim, "worker %u answers query %u, which does not wait", worker, number);
        return;
    }
    if (!address_equal(&asked->client.from, &out->client.from))
        sim_fail(sim, "the answer to query %u goes to another client", number);
    if (sim->now_us > patience_end(sim, asked->waiting_since_us))
        sim_fail(sim, "query %u is answered %llu us after it came", number,
                 (unsigned long long)(sim->now_us - asked->waiting_since_us));
    judge_reply(sim, number, out->bytes, out->len);
    sim_note_bytes(sim, out->bytes, out->len);
    asked->state = ASKED_ANSWERED;
    sim->tally.answered++;
    node->waiting--;
    if (--sim->questions[asked->question].waiting == 0)
        node->questions--;
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
        if (++count > DRAIN_MAX) {
            sim_fail(sim, "worker %u: serve_drain never comes to its end", worker);
        } else if (out.kind == OUTGOING_REPLY) {
            reply_do(sim, worker, &out);
        } else if (out.port >= sim->scenario.ports_max) {
            sim_fail(sim, "worker %u: port %u is out of bounds", worker, out.port);
        } else if (out.kind == OUTGOING_OPEN) {
            open_do(sim, worker, &out);
        } else if (out.kind == OUTGOING_QUERY) {
            query_do(sim, worker, &out);
        } else {
            close_do(sim, worker, out.port);
        }
    }
    deadline_take(sim, node);
}

// After the worker has done something: as in the daemon several batches may come before a drain.
static void drain_soon(struct sim *sim, unsigned worker)
{
    struct node *node = &sim->nodes[worker];
    if (!sim->scenario.lazy) {
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
    worker_drain(sim, worker);
    uint64_t deadline_us = serve_deadline(node->serve);
    if (deadline_us <= sim->now_us)
        sim_fail(sim, "worker %u wants to be woken at once after serve_expire", worker);
}

static void waits(struct sim *sim, unsigned worker, uint32_t number)
{
    struct node *node = &sim->nodes[worker];
    struct asked *asked = &sim->asked[number];
    struct question *question = &sim->questions[asked->question];
    if (asked->expect != EXPECT_ANSWER || !asked->recursion) {
        sim_fail(sim, "query %u waits, and should have been answered at once", number);
        return;
    }
    asked->state = ASKED_WAITING;
    asked->waiting_since_us = sim->now_us;
    node->waiting++;
    if (judge_kept(sim, asked->question))
        sim_fail(sim, "query %u waits, and its answer should be in memory", number);
    if (question->waiting++ > 0) {
        if (question->worker != worker)
            sim_fail(sim, "query %u waits at worker %u and others at %u", number, worker,
                     question->worker);
        return;
    }
    node->questions++;
    question->worker = (uint8_t)worker;
    question->sent = false;
    question->failed = 0;
    memset(question->sends, 0, sizeof question->sends);
}

static void dropped(struct sim *sim, unsigned worker, uint32_t number)
{
    const struct node *node = &sim->nodes[worker];
    struct asked *asked = &sim->asked[number];
    asked->state = ASKED_DROPPED;
    sim->tally.dropped++;
    if (asked->expect == EXPECT_DROP)
        return;
    sim->tally.dropped_full++;
    bool full = node->questions == sim->scenario.pending_max ||
                node->waiting == 4 * sim->scenario.pending_max ||
                sim->questions[asked->question].waiting == PENDING_PER_QUESTION_MAX;
    if (!full || asked->expect != EXPECT_ANSWER)
        sim_fail(sim, "query %u is dropped without a reason", number);
}

static void elsewhere(struct sim *sim, unsigned worker, const struct serve_item *item,
                      uint32_t number)
{
    struct node *node = &sim->nodes[worker];
    sim->tally.handed++;
    if (item->handed_over || item->owner == worker || item->owner >= sim->scenario.workers) {
        sim_fail(sim, "query %u is handed from worker %u to %u", number, worker, item->owner);
        return;
    }
    if (dice_chance(&sim->dice, sim->scenario.handed_fail_pm)) {
        serve_handover_failed(node->serve);
        sim->tally.handed_failed++;
        sim->tally.dropped++;
        sim->asked[number].state = ASKED_DROPPED;
        return;
    }
    event_push(
        sim,
        &(struct event){.kind = EVENT_HANDED, .worker = (uint8_t)item->owner, .number = number},
        sim->now_us + dice_below(&sim->dice, sim->scenario.handed_us + 1));
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
        judge_reply(sim, number, item->out, item->out_len);
        asked->state = ASKED_ANSWERED;
        sim->tally.answered++;
        break;
    case SERVE_WAITING:
        waits(sim, worker, number);
        break;
    case SERVE_ELSEWHERE:
        elsewhere(sim, worker, item, number);
        break;
    default:
        dropped(sim, worker, number);
        break;
    }
}

static void batch_do(struct sim *sim, unsigned worker, const struct inbox_item *from, size_t count)
{
    struct node *node = &sim->nodes[worker];
    struct serve_item items[SERVE_BATCH_MAX];
    struct packet *copies[SERVE_BATCH_MAX];
    // At the buffer's end, so that a sanitizer sees what is too long.
    uint8_t *end = sim->out + SERVE_BATCH_MAX * sim->reply_room;
    uint8_t *out = end - count * sim->reply_room;
    for (size_t i = 0; i < count; i++) {
        const struct asked *asked = &sim->asked[from[i].asked];
        // A copy, so that a sanitizer sees who still reads it later.
        copies[i] = packet_make(asked->packet->bytes, asked->packet->len);
        items[i] = (struct serve_item){
            .client = asked->client,
            .in = copies[i]->bytes,
            .in_len = (uint16_t)copies[i]->len,
            .handed_over = from[i].handed,
            .cut = asked->cut,
            .verdict = 0xff,
        };
        sim->tally.arrived += !from[i].handed;
        sim_trace(sim, "worker %u takes query %u%s", worker, from[i].asked,
                  from[i].handed ? ", handed over" : "");
    }
    serve_queries(node->serve, sim->now_us, items, count, out);
    for (size_t i = 0; i < count; i++) {
        free(copies[i]);
        if (!sim->failed)
            verdict_do(sim, worker, &items[i], end);
    }
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

void worker_arrived(struct sim *sim, unsigned worker, uint32_t asked, bool handed)
{
    struct node *node = &sim->nodes[worker];
    // What a socket cannot hold is lost before anybody counts it; what was handed over is not.
    if (node->inbox_count >= (handed ? (uint32_t)INBOX_MAX : sim->scenario.inbox_max)) {
        if (handed)
            event_push(
                sim,
                &(struct event){.kind = EVENT_HANDED, .worker = (uint8_t)worker, .number = asked},
                sim->now_us + 1000);
        return;
    }
    node->inbox[node->inbox_count++] = (struct inbox_item){asked, handed};
    if (!node->inbox_event)
        event_push(sim, &(struct event){.kind = EVENT_INBOX, .worker = (uint8_t)worker},
                   sim->now_us + dice_skewed(&sim->dice, 200));
    node->inbox_event = true;
}
