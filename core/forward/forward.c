// SPDX-License-Identifier: MIT
#include "core/forward/forward.h"

#include "core/forward/probe.h"
#include "core/forward/reply.h"
#include "core/forward/schedule.h"
#include "core/forward/subquestion.h"

#include <assert.h>

// An attempt stands in the list of one source port or connection, an orphan too, which moreover has
// its timer running.

enum {
    OPENS_MAX = 8,           // source ports tried for one attempt
    YIELD_SPREAD_US = 50000, // over which questions spread whose port has given its place up
    BUDGET_SENDS_MAX = 64,   // beyond one for each question
    BUDGET_SENDS_AT_START = 48,
    PROBES_MAX = 16, // copies, beyond one for each twentieth question
};

size_t forward_size(const struct forward_config *config)
{
    return question_table_size(config->pending_max) + source_port_size(config->source_ports_max) +
           connection_table_size(config->upstream_connections_max) +
           answer_store_size(config->pending_max) + 2 * sizeof(uint64_t);
}

void forward_init(struct forward *f, void *tables, const struct forward_config *config,
                  const uint8_t seed[static 32], uint64_t now_us)
{
    uint8_t *at = tables;
    f->config = *config;
    rng_seed(&f->rng, seed);
    wheel_init(&f->wheel, now_us);
    uint64_t shares_seed[2];
    rng_bytes(&f->rng, (uint8_t *)shares_seed, sizeof shares_seed);
    question_table_init(&f->questions, at, config->pending_max, shares_seed);
    at += question_table_size(config->pending_max);
    connection_table_init(&f->connections, at, config->upstream_connections_max);
    at += connection_table_size(config->upstream_connections_max);
    answer_store_init(&f->answers, at, config->pending_max);
    at += answer_store_size(config->pending_max);
    source_port_init(&f->source_ports, at, config->source_ports_max);
    f->to_send_end = &f->to_send;
    f->ended_end = &f->ended;
    f->ended_in_hand_end = &f->ended_in_hand;
    budget_init(&f->budget, BUDGET_SENDS_MAX, BUDGET_SENDS_AT_START);
    budget_init(&f->probe_budget, PROBES_MAX, PROBES_MAX);
    for (unsigned i = 0; i < NETWORK_SHARES; i++) {
        budget_init(&f->networks[i].resends, NETWORK_SENDS, NETWORK_SENDS);
        budget_init(&f->networks[i].losses, NETWORK_LOSSES, NETWORK_LOSSES);
    }
    budget_init(&f->loss_budget, BUDGET_SENDS_MAX, BUDGET_SENDS_AT_START);
    rng_bytes(&f->rng, (uint8_t *)&f->kind_secret, sizeof f->kind_secret);
    for (size_t i = 0; i < KIND_SHARES; i++)
        kind_share_init(&f->shares[i]);
    f->attempt_max = question_table_attempts(config->pending_max);
    if (f->attempt_max > (uint32_t)config->source_ports_max * SOURCE_PORT_WAITING)
        f->attempt_max = (uint32_t)config->source_ports_max * SOURCE_PORT_WAITING;
    f->answer.value = f->answer_value;
    f->source_ports_timer.kind = TIMER_SOURCE_PORTS;
    f->connections_timer.kind = TIMER_CONNECTIONS;
    for (size_t i = 0; i < config->zone_table->upstream_count; i++)
        upstream_init(&f->upstreams[i], &f->rng, now_us);
}

void forward_settings_apply(struct forward_config *config, const struct settings *settings)
{
    config->tcp_idle_us = settings->upstream_tcp_idle_timeout * 1000;
    config->random_case = settings->upstream_random_case;
    config->cookies = settings->upstream_cookies;
}

void forward_reload(struct forward *f, uint64_t now_us, const struct zone_table *zone_table,
                    const struct settings *settings)
{
    const struct zone_table *before = f->config.zone_table;
    assert(zone_table->upstream_count >= before->upstream_count);
    for (size_t i = before->upstream_count; i < zone_table->upstream_count; i++)
        upstream_init(&f->upstreams[i], &f->rng, now_us);
    f->config.zone_table = zone_table;
    forward_settings_apply(&f->config, settings);
}

void forward_start(struct forward *f, uint64_t now_us, struct question *question)
{
    schedule_start(f, now_us, question);
}

void forward_begin(struct forward *f, uint64_t now_us, struct question *question)
{
    schedule_begin(f, now_us, question);
}

void forward_joined(struct forward *f, uint64_t now_us, struct question *question)
{
    while (question->sub)
        question = question->sub;
    if (question_is_open(question))
        schedule_joined(f, now_us, question);
}

void forward_end(struct forward *f, uint64_t now_us, struct question *question,
                 enum question_state end)
{
    assert(question->state == QUESTION_PARENT && end >= QUESTION_ANSWERED);
    question_finish(f, now_us, question, end);
}

void forward_probe(struct forward *f, uint64_t now_us, const struct zone *zone)
{
    probe_start(f, now_us, zone);
}

void forward_give_up(struct forward *f, uint64_t now_us, struct question *question,
                     enum question_state end)
{
    question_fail(f, now_us, question, end);
}

bool forward_is_down(struct forward *f, uint64_t now_us, const struct zone *zone)
{
    upstreams_age(zone, f->upstreams, now_us);
    return upstream_all_dead(zone, f->upstreams);
}

void forward_reply(struct forward *f, uint64_t now_us, uint16_t slot, const uint8_t *in, size_t len)
{
    reply_datagram(f, now_us, slot, in, len);
}

void forward_message(struct forward *f, uint64_t now_us, uint16_t connection, const uint8_t *in,
                     size_t len)
{
    reply_message(f, now_us, connection, in, len);
}

void forward_connected(struct forward *f, uint64_t now_us, uint16_t connection)
{
    connection_connected(f, now_us, connection);
}

void forward_closed(struct forward *f, uint64_t now_us, uint16_t connection)
{
    connection_end(f, now_us, connection, CONNECTION_ENDED);
}

// An attempt at this port that has not been reported unreachable yet; NULL: none.
static struct attempt *reachable_find(const struct source_port *port)
{
    struct attempt *attempt = port->attempts;
    while (attempt && attempt->refused)
        attempt = attempt->next_at_slot;
    return attempt;
}

// Puts off what was to leave from a port that is not there, or to be answered there. Its question's
// timer will try again.
static void put_off(struct forward *f, uint64_t now_us, struct attempt *attempt)
{
    struct question *question = attempt->question;
    if (question && attempt->queued)
        question->sends[attempt->choice]--; // it was never sent
    if (question && question_is_open(question)) {
        question_wait_until(f, question, now_us + QUESTION_EXHAUSTED_US);
        forward_count(f, COUNTER_ports_exhausted);
    }
    attempt_drop(f, attempt);
}

// One at this port that is still to be sent, or one that was.
static struct attempt *queued_find(const struct source_port *port, bool queued)
{
    struct attempt *attempt = port->attempts;
    while (attempt && attempt->queued != queued)
        attempt = attempt->next_at_slot;
    return attempt;
}

// A port was retired: those that were still to leave from there get another one.
static void unsent_move(struct forward *f, uint64_t now_us, const struct source_port *port)
{
    struct attempt *attempt;
    while ((attempt = queued_find(port, true))) {
        source_port_detach(&f->source_ports, attempt);
        if (++attempt->opens < OPENS_MAX &&
            source_port_attach(&f->source_ports, &f->rng, attempt, attempt->upstream, now_us) !=
                SOURCE_PORT_NONE)
            continue;
        put_off(f, now_us, attempt);
    }
}

// The upstream is reported unreachable (ICMP), or nothing could be sent. Any host can forge the
// former, so a reply still counts, and without an open attempt it says nothing. If it is believed,
// other upstreams are asked at once; if not, it only brings the next send forward. It is about what
// was sent; only where nothing ever was, about what was to be.
void forward_unreachable(struct forward *f, uint64_t now_us, uint16_t index)
{
    struct source_port *port = &f->source_ports.slots[index];
    struct upstream *u = &f->upstreams[port->upstream];
    struct attempt *attempt;
    forward_count(f, COUNTER_upstream_unreachable);
    source_port_retire(&f->source_ports, index);
    bool has_sent = queued_find(port, false) || port->ended_count > 0;
    if (has_sent)
        unsent_move(f, now_us, port);
    while ((attempt = reachable_find(port))) {
        struct question *question = attempt->question;
        bool believed = upstream_unreachable(u, attempt->sent_us, now_us);
        attempt->refused = true;
        if (attempt->queued)
            attempt_drop(f, attempt);
        if (!question || !question_is_open(question))
            continue;
        if (believed)
            schedule_go_elsewhere(f, now_us, question);
        else
            schedule_hasten(f, now_us, question);
    }
}

// There is no socket to be had.
void forward_source_port_unavailable(struct forward *f, uint64_t now_us, uint16_t slot)
{
    forward_count(f, COUNTER_ports_unavailable);
    source_port_retire(&f->source_ports, slot);
    while (f->source_ports.slots[slot].attempts)
        put_off(f, now_us, f->source_ports.slots[slot].attempts);
}

// The number was taken.
void forward_source_port_refused(struct forward *f, uint64_t now_us, uint16_t slot)
{
    forward_count(f, COUNTER_ports_refused);
    source_port_retire(&f->source_ports, slot);
    unsent_move(f, now_us, &f->source_ports.slots[slot]);
}

static void ports_due(struct forward *f, uint64_t now_us)
{
    if (source_ports_retire_old(&f->source_ports, now_us))
        wheel_start(&f->wheel, &f->source_ports_timer, now_us + FORWARD_HOUSEKEEPING_US);
}

static void question_due(struct forward *f, uint64_t now_us, struct question *question)
{
    if (question->probe) {
        probe_due(f, now_us, question);
        return;
    }
    if (question->state == QUESTION_PARENT) {
        question_fail(f, now_us, question, QUESTION_SILENT);
        return;
    }
    if (schedule_expire(f, now_us, question))
        return;
    connections_stalled(f, now_us, question);
    if (question_is_open(question))
        schedule_due(f, now_us, question);
}

// With it gone its connection may be spent.
static void orphan_due(struct forward *f, uint64_t now_us, struct attempt *attempt)
{
    uint16_t index = attempt->slot;
    bool look = attempt_has_connection(attempt) && index != CONNECTION_NONE;
    attempt_orphan_due(f, now_us, attempt);
    if (look)
        connection_look(f, now_us, index);
}

void forward_due(struct forward *f, uint64_t now_us, struct timer *timer)
{
    switch (timer->kind) {
    case TIMER_QUESTION:
        question_due(f, now_us, timer_owner(timer));
        break;
    case TIMER_ORPHAN:
        orphan_due(f, now_us, (struct attempt *)timer);
        break;
    case TIMER_SOURCE_PORTS:
        ports_due(f, now_us);
        break;
    default:
        connections_due(f, now_us);
        break;
    }
}

// Of the kinds that wait at this port, how many attempts has the one that has the fewest? Orphans
// count for nothing: UINT32_MAX where there is nothing else.
static uint32_t fewest_of(struct forward *f, const struct source_port *port)
{
    uint32_t least = UINT32_MAX;
    for (const struct attempt *a = port->attempts; a; a = a->next_at_slot) {
        uint32_t attempts = forward_share(f, a->kind)->attempts;
        if (a->question && attempts < least)
            least = attempts;
    }
    return least;
}

// Which port is to give its place up? Of a few drawn at random that of the kinds that hold most,
// and among equal ones the one whose latest attempt came first. SOURCE_PORT_NONE: none can.
static uint16_t yielding_find(struct forward *f, uint64_t now_us)
{
    uint16_t found = SOURCE_PORT_NONE;
    uint32_t most = 0;
    for (unsigned i = 0; i < SOURCE_PORT_DRAWS; i++) {
        uint16_t index = source_port_draw_kept(&f->source_ports, &f->rng, now_us);
        if (index == SOURCE_PORT_NONE)
            continue;
        const struct source_port *port = &f->source_ports.slots[index];
        uint32_t fewest = fewest_of(f, port);
        if (found == SOURCE_PORT_NONE || fewest > most ||
            (fewest == most && port->used_us < f->source_ports.slots[found].used_us)) {
            found = index;
            most = fewest;
        }
    }
    return found;
}

// Where source ports run short one gives its place up. What waited there counts as sent in vain;
// its question goes on soon if nothing else of it is under way.
static bool port_yield(struct forward *f, uint64_t now_us)
{
    if (!source_ports_short(&f->source_ports))
        return false;
    uint16_t index = yielding_find(f, now_us);
    if (index == SOURCE_PORT_NONE)
        return false;
    struct source_port *port = &f->source_ports.slots[index];
    source_port_retire(&f->source_ports, index);
    while (port->attempts) {
        struct question *question = port->attempts->question;
        attempt_drop(f, port->attempts);
        if (question && !question->attempts)
            question_wait_until(f, question, now_us + rng_below(&f->rng, YIELD_SPREAD_US));
    }
    forward_count(f, COUNTER_ports_yielded);
    return true;
}

bool forward_drain(struct forward *f, uint64_t now_us, struct outgoing *outgoing)
{
    while (!attempt_drain(f, now_us, outgoing)) {
        if (!port_yield(f, now_us))
            return false;
    }
    return true;
}

static struct question *ended_pop(struct question **list, struct question ***list_end)
{
    struct question *question = *list;
    if (!question)
        return NULL;
    *list = question->next_ended;
    if (!*list)
        *list_end = list;
    question->next_ended = NULL;
    question->ending = false;
    return question;
}

struct question *forward_next_ended(struct forward *f)
{
    return ended_pop(&f->ended, &f->ended_end);
}

struct question *forward_next_in_hand(struct forward *f)
{
    struct question *question = ended_pop(&f->ended_in_hand, &f->ended_in_hand_end);
    if (!question)
        return NULL;
    assert(!f->answer_in_use && question->state == QUESTION_ANSWERED);
    answer_store_get(&f->answers, question->in_hand, &f->answer);
    subquestion_release(f, question);
    f->answer_in_use = true;
    return question;
}

struct question *forward_next_hopeless(struct forward *f)
{
    struct question *question = f->hopeless;
    if (!question)
        return NULL;
    f->hopeless = question->next_hopeless;
    question->next_hopeless = NULL;
    question->hopeless = false;
    return question;
}
