// SPDX-License-Identifier: MIT
#include "core/forward/forward.h"

#include "core/forward/question.h"

#include <assert.h>

// An attempt stands in the list of one source port or connection, an orphan too, which moreover has
// its timer running.

enum {
    OPENS_MAX = 8,             // source ports tried for one attempt
    STREAM_STUCK_US = 4000000, // without a word, after which a connection is given up
    STREAM_CUT_US = 1000000,   // since its last reply, after which its end tells of no limit
    BUDGET_SENDS_MAX = 64,     // beyond one for each question
    BUDGET_SENDS_AT_START = 48,
    TRIALS_MAX = 16, // beside other sends, beyond a twentieth of the questions
};

size_t forward_size(const struct forward_config *config)
{
    return pending_size(config->pending_max) + port_size(config->ports_max) +
           stream_size(config->streams_max) + 2 * sizeof(uint64_t);
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
    pending_init(&f->pending, at, config->pending_max, shares_seed);
    at += pending_size(config->pending_max);
    stream_init(&f->streams, at, config->streams_max);
    at += stream_size(config->streams_max);
    port_init(&f->ports, at, config->ports_max);
    f->to_send_end = &f->to_send;
    f->ended_end = &f->ended;
    budget_init(&f->budget, BUDGET_SENDS_MAX, BUDGET_SENDS_AT_START);
    budget_init(&f->trial_budget, TRIALS_MAX, TRIALS_MAX);
    f->answer.value = f->answer_value;
    f->ports_timer.kind = TIMER_PORTS;
    f->streams_timer.kind = TIMER_STREAMS;
    for (size_t i = 0; i < config->plan->upstream_count; i++)
        upstream_init(&f->upstreams[i], &f->rng, now_us);
}

void forward_settings_take(struct forward_config *config, const struct settings *settings)
{
    config->stream_idle_us = settings->upstream_tcp_idle_timeout * 1000;
    config->spelling = settings->upstream_random_case;
    config->cookies = settings->upstream_cookies;
}

void forward_reload(struct forward *f, uint64_t now_us, const struct plan *plan,
                    const struct settings *settings)
{
    const struct plan *before = f->config.plan;
    assert(plan->upstream_count >= before->upstream_count);
    for (size_t i = before->upstream_count; i < plan->upstream_count; i++)
        upstream_init(&f->upstreams[i], &f->rng, now_us);
    f->config.plan = plan;
    forward_settings_take(&f->config, settings);
}

// Takes the attempts from a connection, those whose question still waits, the oldest first; orphans
// end here. Says how many had been sent.
static struct attempt *attempts_take(struct forward *f, struct stream *stream, unsigned *sent)
{
    struct attempt *list = NULL, *next;
    *sent = 0;
    for (struct attempt *attempt = stream->attempts; attempt; attempt = next) {
        next = attempt->next_at_port;
        attempt->port = STREAM_NONE;
        *sent += attempt->sent_us != 0;
        if (attempt->pending) {
            attempt->next_at_port = list;
            list = attempt;
        } else {
            attempt_drop(f, attempt);
        }
    }
    stream->attempts = NULL;
    stream->in_flight = stream->held = 0;
    return list;
}

// Where the other side closes a connection just after a reply, and leaves several questions
// unanswered, it has a limit. Where it does so after a rest, or leaves one, the two have just met.
static void cut_note(struct forward *f, uint64_t now_us, const struct stream *stream, unsigned lost)
{
    if (lost > 1 && now_us - stream->heard_us < STREAM_CUT_US)
        upstream_tcp_cut(&f->upstreams[stream->upstream], stream->replies, now_us);
}

void forward_stream_end(struct forward *f, uint64_t now_us, uint16_t index, enum stream_ending how)
{
    struct stream *stream = &f->streams.streams[index];
    bool served = stream->replies > 0 && how != STREAM_STUCK;
    unsigned lost;
    struct attempt *list = attempts_take(f, stream, &lost);
    if (how == STREAM_ENDED)
        stream_closed(&f->streams, index);
    else
        stream_close(&f->streams, index);
    forward_count(f, how == STREAM_SPENT ? COUNTER_streams_spent
                     : served            ? COUNTER_streams_ended
                                         : COUNTER_streams_failed);
    if (!served)
        upstream_tcp_failed(&f->upstreams[stream->upstream], now_us);
    else if (how == STREAM_ENDED)
        cut_note(f, now_us, stream, lost);
    while (list) {
        struct attempt *attempt = list;
        struct pending *pending = attempt->pending;
        int choice = attempt->choice;
        list = attempt->next_at_port;
        // What never left does not count as sent.
        pending->tcp_sends[choice] -= attempt->queued;
        attempt_drop(f, attempt);
        bool asked = served && attempt_ask_stream(f, now_us, pending, choice);
        // What is held has waited for a while, and is not to begin anew with each connection.
        if (asked && !pending->attempts->held)
            question_wait_until(f, pending, now_us + QUESTION_STREAM_US);
        else if (!pending->attempts)
            question_go_on(f, now_us, pending);
    }
}

void forward_stream_closed(struct forward *f, uint64_t now_us, uint16_t stream)
{
    forward_stream_end(f, now_us, stream, STREAM_ENDED);
}

void forward_stream_look(struct forward *f, uint64_t now_us, uint16_t index)
{
    const struct stream *stream = &f->streams.streams[index];
    uint32_t allowance = upstream_tcp_allowance(&f->upstreams[stream->upstream], now_us);
    if (stream->open && !stream->closing && stream_is_spent(stream, allowance))
        forward_stream_end(f, now_us, index, STREAM_SPENT);
}

// What waited at this port has been told that nobody is there: other upstreams are asked at once.
void forward_unreachable(struct forward *f, uint64_t now_us, uint16_t port)
{
    struct attempt **attempts = &f->ports.ports[port].attempts;
    forward_count(f, COUNTER_upstream_unreachable);
    upstream_unreachable(&f->upstreams[f->ports.ports[port].upstream], now_us);
    port_retire(&f->ports, port);
    while (*attempts) {
        struct pending *pending = (*attempts)->pending;
        attempt_drop(f, *attempts);
        if (pending && pending->end == PENDING_WAITS)
            question_go_elsewhere(f, now_us, pending);
    }
}

// The number was taken: those who were to leave from there get another one.
void forward_port_refused(struct forward *f, uint64_t now_us, uint16_t port)
{
    struct attempt **attempts = &f->ports.ports[port].attempts;
    forward_count(f, COUNTER_ports_refused);
    port_retire(&f->ports, port);
    while (*attempts) {
        struct attempt *attempt = *attempts;
        port_detach(&f->ports, attempt);
        if (++attempt->opens < OPENS_MAX &&
            port_attach(&f->ports, &f->rng, attempt, attempt->upstream, now_us) != PORT_NONE)
            continue;
        // It was never sent; the question's timer will try again.
        attempt->pending->sends[attempt->choice]--;
        question_wait_until(f, attempt->pending, now_us + QUESTION_EXHAUSTED_US);
        attempt_drop(f, attempt);
        forward_count(f, COUNTER_ports_exhausted);
    }
}

static void ports_due(struct forward *f, uint64_t now_us)
{
    if (ports_retire_old(&f->ports, now_us))
        wheel_start(&f->wheel, &f->ports_timer, now_us + FORWARD_HOUSEKEEPING_US);
}

static void streams_due(struct forward *f, uint64_t now_us)
{
    uint16_t stuck;
    for (uint16_t i = 0; i < f->streams.size && f->streams.open_count > 0; i++)
        forward_stream_look(f, now_us, i);
    bool any = streams_close_idle(&f->streams, now_us - f->config.stream_idle_us,
                                  now_us - STREAM_STUCK_US, &stuck);
    if (stuck != STREAM_NONE)
        forward_stream_end(f, now_us, stuck, STREAM_STUCK);
    if (any)
        wheel_start(&f->wheel, &f->streams_timer, now_us + FORWARD_HOUSEKEEPING_US);
}

void forward_due(struct forward *f, uint64_t now_us, struct timer *timer)
{
    switch (timer->kind) {
    case TIMER_QUESTION:
        question_due(f, now_us, timer_owner(timer));
        break;
    case TIMER_ORPHAN:
        attempt_orphan_due(f, now_us, (struct attempt *)timer);
        break;
    case TIMER_PORTS:
        ports_due(f, now_us);
        break;
    default:
        streams_due(f, now_us);
        break;
    }
}

bool forward_drain(struct forward *f, uint64_t now_us, struct outgoing *outgoing)
{
    return attempt_drain(f, now_us, outgoing);
}

struct pending *forward_take_ended(struct forward *f)
{
    struct pending *pending = f->ended;
    if (!pending)
        return NULL;
    f->ended = pending->next_ended;
    if (!f->ended)
        f->ended_end = &f->ended;
    pending->next_ended = NULL;
    return pending;
}
