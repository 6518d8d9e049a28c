// SPDX-License-Identifier: MIT
#include "core/forward/attempt.h"

#include "core/wire/frame.h"

enum {
    ORPHAN_MIN_US = 200000, // an orphan is lost when so much has passed, or so many slow tails
    ORPHAN_MAX_US = 4000000,
    ORPHAN_TAILS = 4,
    SHARE_MIN = 16, // attempts that any kind or network may have
};

static void queue_remove(struct forward *f, struct attempt *attempt)
{
    struct attempt **link = &f->to_send;
    while (*link != attempt)
        link = &(*link)->next_to_send;
    *link = attempt->next_to_send;
    if (!*link)
        f->to_send_end = link;
    attempt->queued = false;
}

static void detach(struct forward *f, struct attempt *attempt)
{
    if (attempt_has_connection(attempt))
        connection_detach(&f->connections, attempt);
    else
        source_port_detach(&f->source_ports, attempt);
}

static void end(struct forward *f, struct attempt *attempt)
{
    detach(f, attempt);
    forward_share(f, attempt->kind)->attempts--;
    f->attempt_count--;
    attempt_free(&f->questions, attempt);
}

// Over a connection its reply may still come.
static void give_up(struct forward *f, struct attempt *attempt)
{
    if (attempt_has_connection(attempt) && attempt->sent_us != 0 &&
        attempt->slot != CONNECTION_NONE)
        f->connections.slots[attempt->slot].unanswered++;
    end(f, attempt);
}

// What stalled a connection was only slow.
static void forgive(struct forward *f, struct question *question)
{
    if (!question || question->charged.family == ADDRESS_NONE)
        return;
    stalling_forgive(&f->stalling, &question->charged);
    question->charged = (struct network){0};
}

void attempt_drop(struct forward *f, struct attempt *attempt)
{
    if (attempt->queued)
        queue_remove(f, attempt);
    else if (attempt->sent_us != 0)
        upstream_forgotten(&f->upstreams[attempt->upstream]);
    wheel_stop(&f->wheel, &attempt->timer);
    give_up(f, attempt);
}

void attempt_answered(struct forward *f, uint64_t now_us, struct attempt *attempt)
{
    struct upstream *upstream = &f->upstreams[attempt->upstream];
    bool there = upstream_is_there(upstream);
    bool sample = attempt_has_connection(attempt) ||
                  kind_share_sample(forward_share(f, attempt->kind), now_us);
    upstream_replied(upstream, attempt->kind, attempt->sent_us, now_us, attempt->transport, sample);
    f->recoveries += !there && upstream_is_there(upstream);
    if (!attempt_has_connection(attempt))
        histogram_add(&f->config.counters->timings[TIMING_REPLY], now_us - attempt->sent_us, 1);
    wheel_stop(&f->wheel, &attempt->timer);
    if (attempt_has_connection(attempt)) {
        struct connection *connection = &f->connections.slots[attempt->slot];
        connection->replies++;
        upstream->tcp_any_order |= connection_oldest(connection) != attempt;
        if (attempt->sent_us > connection->answered_us)
            connection->answered_us = attempt->sent_us;
        upstream_tcp_worked(upstream);
        forgive(f, attempt->question);
    }
    end(f, attempt);
}

void attempt_leave(struct forward *f, uint64_t now_us, struct attempt *attempt, bool answered)
{
    if (attempt->sent_us == 0) {
        attempt_drop(f, attempt);
        return;
    }
    uint64_t wait_us = ORPHAN_TAILS * (uint64_t)upstream_late_us(&f->upstreams[attempt->upstream]);
    wait_us = wait_us > ORPHAN_MIN_US ? wait_us : ORPHAN_MIN_US;
    // On a connection the other attempts may be waiting for it.
    wait_us = !attempt_has_connection(attempt) && wait_us < ORPHAN_MAX_US ? wait_us : ORPHAN_MAX_US;
    attempt->needed = answered;
    attempt_orphan(&f->questions, attempt);
    attempt->timer.kind = TIMER_ORPHAN;
    wheel_start(&f->wheel, &attempt->timer, now_us + wait_us);
}

// This orphan got no reply. If its upstream answered later sends, and the question was answered, it
// was lost, and the resend was needed: the budget gets it back. Otherwise the upstream owes this
// reply too; a copy may be all that it is ever asked.
void attempt_orphan_due(struct forward *f, uint64_t now_us, struct attempt *attempt)
{
    struct upstream *upstream = &f->upstreams[attempt->upstream];
    struct kind_share *share = forward_share(f, attempt->kind);
    if (!attempt_has_connection(attempt) && attempt->needed &&
        upstream->reply_sent_us >= attempt->sent_us) {
        upstream_lost(upstream, kind_share_sample(share, now_us));
        budget_give(&f->budget, BUDGET_SEND);
        budget_give(&share->budget, BUDGET_SEND);
        budget_give(&forward_network(f, &attempt->network)->resends, BUDGET_SEND);
        forward_count(f, COUNTER_upstream_lost);
    } else {
        if (!attempt_has_connection(attempt) && !attempt->overdue && !attempt->refused)
            upstream_overdue(upstream, attempt->kind, attempt->sent_us, now_us);
        upstream_forgotten(upstream);
    }
    give_up(f, attempt);
}

// How many attempts each kind and each client network may have when they run short. A client that
// asks for a few silent domains has a few kinds, and each question may be sent to many upstreams.
static uint32_t share_max(const struct forward *f)
{
    if (f->attempt_count < f->attempt_max / 2)
        return UINT32_MAX;
    return f->attempt_max / 4 > SHARE_MIN ? f->attempt_max / 4 : SHARE_MIN;
}

// How well does an attempt go at the expense of this asker's network?
enum asker_rating {
    ASKER_SPENT,  // it has had its share
    ASKER_STALLS, // it is known for what stalls connections
    ASKER_FREE,
};

static enum asker_rating asker_rate(struct forward *f, uint64_t now_us, const struct asker *asker,
                                    uint32_t max)
{
    if (asker->share == SHARE_NONE)
        return ASKER_SPENT;
    const struct share *share = &f->questions.shares.shares[asker->share];
    struct network network = share_network(share);
    if (share->apart >= max)
        return ASKER_SPENT;
    return stalling_has(&f->stalling, &network, now_us) ? ASKER_STALLS : ASKER_FREE;
}

// Finds an asker whose network has not used its share of attempts. Any asker will do, or one that
// has used it up would block others with the same question; but those come first whose network is
// not known for questions that stall connections. A parent stands for the clients that wait for it,
// and has the network of the first. NULL: there is none.
static const struct asker *asker_find(struct forward *f, uint64_t now_us,
                                      const struct question *question, uint32_t max, bool parents)
{
    const struct asker *best = NULL;
    enum asker_rating best_rating = ASKER_SPENT;
    for (const struct asker *a = question->askers; a && best_rating < ASKER_FREE; a = a->next) {
        const struct asker *asker = a;
        if (a->parent && parents)
            asker = asker_find(f, now_us, a->parent, max, false);
        enum asker_rating rating = asker ? asker_rate(f, now_us, asker, max) : ASKER_SPENT;
        if (rating > best_rating) {
            best = asker;
            best_rating = rating;
        }
    }
    return best;
}

// A free attempt; where none is left, the oldest orphan makes room.
static struct attempt *attempt_reserve(struct forward *f, uint64_t now_us,
                                       struct question *question, int choice)
{
    uint32_t max = share_max(f);
    const struct asker *asker = asker_find(f, now_us, question, max, true);
    struct attempt *attempt = NULL;
    // A question without clients can wait until there are enough. A send that follows a reply
    // replaces the attempt that was answered.
    if (max == UINT32_MAX || question->kind == KIND_PROBE || question->follows ||
        (asker && forward_share(f, question->kind)->attempts < max)) {
        attempt = attempt_add(&f->questions, question);
        if (!attempt && f->questions.oldest_orphan) {
            attempt_drop(f, f->questions.oldest_orphan);
            attempt = attempt_add(&f->questions, question);
        }
    }
    if (!attempt) {
        forward_count(f, COUNTER_attempts_exhausted);
        return NULL;
    }
    if (asker)
        attempt_charge(&f->questions, attempt, asker->share);
    attempt->network =
        asker ? share_network(&f->questions.shares.shares[asker->share]) : question->network;
    attempt->kind = question->kind;
    attempt->choice = (uint8_t)choice;
    forward_share(f, question->kind)->attempts++;
    f->attempt_count++;
    attempt->upstream = question->zone->upstreams[choice];
    return attempt;
}

// Puts an attempt that has its port or connection among those to send. A timer then closes
// the latter when it is too old.
static void attempt_queue(struct forward *f, uint64_t now_us, struct attempt *attempt)
{
    const struct upstream *u = &f->upstreams[attempt->upstream];
    struct timer *timer =
        attempt_has_connection(attempt) ? &f->connections_timer : &f->source_ports_timer;
    if (!timer_running(timer))
        wheel_start(&f->wheel, timer, now_us + FORWARD_HOUSEKEEPING_US);
    const struct question *question = attempt->question;
    int choice = attempt->choice;
    attempt->plain = choice_in(question->plain, choice) || !support_edns(&u->support, now_us);
    attempt->cookied = f->config.cookies && !attempt->plain &&
                       !choice_in(question->no_cookie, choice) &&
                       support_cookies(&u->support, now_us);
    attempt->random_case = f->config.random_case && !choice_in(question->no_case, choice) &&
                           support_case(&u->support, now_us);
    attempt->queued = true;
    *f->to_send_end = attempt;
    f->to_send_end = &attempt->next_to_send;
}

bool attempt_ask(struct forward *f, uint64_t now_us, struct question *question, int choice)
{
    struct attempt *attempt = attempt_reserve(f, now_us, question, choice);
    uint16_t upstream = question->zone->upstreams[choice];
    if (!attempt)
        return false;
    if (source_port_attach(&f->source_ports, &f->rng, attempt, upstream, now_us) ==
        SOURCE_PORT_NONE) {
        end(f, attempt);
        forward_count(f, COUNTER_ports_exhausted);
        return false;
    }
    question->sends[choice]++;
    attempt_queue(f, now_us, attempt);
    return true;
}

// True if the question already waits for a connection to this upstream.
static bool is_deferred(const struct question *question, int choice)
{
    const struct attempt *a = question->attempts;
    while (a && (a->choice != choice || !a->deferred))
        a = a->next;
    return a != NULL;
}

bool attempt_may_ask_tcp(const struct forward *f, uint64_t now_us, const struct question *question,
                         int choice)
{
    const struct upstream *u = &f->upstreams[question->zone->upstreams[choice]];
    return f->connections.size > 0 && question->tcp_sends[choice] < UPSTREAM_SENDS_MAX &&
           now_us >= u->tcp_retry_us && !is_deferred(question, choice) &&
           question->cuts[choice] < ATTEMPT_CUTS_MAX;
}

void attempt_stalled(struct forward *f, uint64_t now_us, const struct attempt *attempt, bool closed)
{
    struct kind_share *share = forward_share(f, attempt->kind);
    struct question *question = attempt->question;
    if (stalling_has(&f->stalling, &attempt->network, now_us))
        return;
    bool known = kind_share_stalls(share, now_us);
    kind_share_stall(share, closed ? 1 : KIND_STALLS, now_us);
    if (known || (question && question->charged.family != ADDRESS_NONE))
        return;
    stalling_charge(&f->stalling, &attempt->network, now_us);
    if (question && !closed)
        question->charged = attempt->network;
}

static bool networks_stall(struct forward *f, uint64_t now_us, const struct question *question,
                           bool parents)
{
    if (!question->askers)
        return stalling_has(&f->stalling, &question->network, now_us);
    for (const struct asker *a = question->askers; a; a = a->next) {
        struct network network =
            a->parent ? a->parent->network : share_network(&f->questions.shares.shares[a->share]);
        bool stalls = a->parent && parents ? networks_stall(f, now_us, a->parent, false)
                                           : stalling_has(&f->stalling, &network, now_us);
        if (!stalls)
            return false;
    }
    return true;
}

bool attempt_networks_stall(struct forward *f, uint64_t now_us, const struct question *question)
{
    return networks_stall(f, now_us, question, true);
}

// Chooses the lane of the connection for this question. SOA probes are ours and not a client's.
static enum connection_lane lane_of(struct forward *f, uint64_t now_us, struct question *question,
                                    int choice)
{
    bool probe = question->kind == KIND_PROBE;
    bool kind = !probe && kind_share_stalls(forward_share(f, question->kind), now_us);
    question->apart = !probe && !kind && attempt_networks_stall(f, now_us, question);
    if (kind || question->apart)
        return LANE_APART;
    return choice_in(question->suspect, choice) ? LANE_SUSPECT : LANE_SHARED;
}

unsigned attempt_batch_part(const struct forward *f, const struct network *network)
{
    return forward_network_hash(f, network) % LANE_BATCHES;
}

bool attempt_ask_tcp(struct forward *f, uint64_t now_us, struct question *question, int choice)
{
    uint16_t upstream = question->zone->upstreams[choice];
    const struct upstream *u = &f->upstreams[upstream];
    if (!attempt_may_ask_tcp(f, now_us, question, choice))
        return false;
    struct attempt *attempt = attempt_reserve(f, now_us, question, choice);
    if (!attempt)
        return false;
    attempt->transport = TRANSPORT_TCP;
    uint64_t late_us = upstream_late_us(u);
    enum connection_lane lane = lane_of(f, now_us, question, choice);
    unsigned part = attempt_batch_part(f, &attempt->network);
    struct connection_wish wish = {
        .upstream = upstream,
        .lane = lane,
        .batch = u->tcp_batches[lane][part],
        .part = (uint8_t)part,
        .stale_us = late_us > CONNECTION_STALE_US ? late_us : CONNECTION_STALE_US,
        .now_us = now_us,
    };
    if (connection_attach(&f->connections, &f->rng, attempt, &wish) == CONNECTION_NONE) {
        end(f, attempt);
        forward_count(f, COUNTER_upstream_connections_exhausted);
        return false;
    }
    if (attempt->deferred)
        return true;
    question->tcp_sends[choice]++;
    attempt_queue(f, now_us, attempt);
    return true;
}

bool attempt_ask_over(struct forward *f, uint64_t now_us, struct question *question, int choice,
                      enum transport transport)
{
    return transport_has_connections(transport) ? attempt_ask_tcp(f, now_us, question, choice)
                                                : attempt_ask(f, now_us, question, choice);
}

static size_t query_write(struct forward *f, uint64_t now_us, const struct attempt *attempt,
                          uint8_t *out)
{
    const struct upstream *u = &f->upstreams[attempt->upstream];
    const struct question *question = attempt->question;
    const struct key *key = &question->key;
    uint8_t cookie[COOKIE_MAX_LEN];
    memcpy(cookie, u->cookie, COOKIE_CLIENT_LEN);
    uint8_t server_len = upstream_cookie_len(u, now_us);
    memcpy(cookie + COOKIE_CLIENT_LEN, u->cookie_server, server_len);
    struct upstream_query query = {
        .name = key_name(key),
        .name_case = attempt->random_case ? &question->name_case : NULL,
        .cookie = cookie,
        .id = attempt->id,
        .type = key_type(key),
        .class = key_class(key),
        .udp_size = attempt->plain ? 0 : UPSTREAM_UDP_SIZE,
        .name_len = key_name_len(key),
        .cookie_len = (uint8_t)(attempt->cookied ? COOKIE_CLIENT_LEN + server_len : 0),
        .checking_disabled = key_flags(key) & KEY_CD,
        .dnssec_ok = key_flags(key) & KEY_DO,
    };
    return upstream_query_write(out, &query);
}

// The first that waits to be sent, or the opening of what it leaves from.
static void send_drain(struct forward *f, uint64_t now_us, struct outgoing *outgoing)
{
    struct attempt *attempt = f->to_send;
    bool *to_open = attempt_has_connection(attempt) ? &f->connections.slots[attempt->slot].to_open
                                                    : &f->source_ports.slots[attempt->slot].to_open;
    outgoing->slot = attempt->slot;
    outgoing->source_port =
        attempt_has_connection(attempt) ? 0 : f->source_ports.slots[attempt->slot].number;
    outgoing->upstream = &f->config.zone_table->upstreams[attempt->upstream];
    if (*to_open) {
        *to_open = false;
        outgoing->kind = attempt_has_connection(attempt) ? OUTGOING_CONNECT : OUTGOING_OPEN;
        forward_count(f, attempt_has_connection(attempt) ? COUNTER_upstream_connections_opened
                                                         : COUNTER_ports_opened);
        return;
    }
    queue_remove(f, attempt);
    source_port_sent(&f->source_ports);
    attempt->next_to_send = NULL;
    attempt->sent_us = now_us;
    upstream_sent(&f->upstreams[attempt->upstream], attempt->transport, now_us);
    // Counted here and not when queued: its source port may be refused, and then it is never sent.
    forward_count(f, attempt_has_connection(attempt) ? COUNTER_upstream_queries_tcp
                                                     : COUNTER_upstream_queries);
    if (attempt->question->first_sent_us != 0)
        forward_count(f, COUNTER_upstream_resends);
    else
        attempt->question->first_sent_us = now_us;
    size_t room = attempt_has_connection(attempt) ? FRAME_HEAD_LEN : 0;
    outgoing->kind = attempt_has_connection(attempt) ? OUTGOING_MESSAGE : OUTGOING_QUERY;
    outgoing->len = room + query_write(f, now_us, attempt, outgoing->bytes + room);
    if (attempt_has_connection(attempt))
        store_be16(outgoing->bytes, (uint16_t)(outgoing->len - room));
}

// The next source port or connection to close, except those that io was never told to open, as
// their attempts were dropped before they were sent.
static bool close_drain(struct forward *f, struct outgoing *outgoing)
{
    outgoing->kind = OUTGOING_CLOSE;
    do
        outgoing->slot = source_port_next_closing(&f->source_ports);
    while (outgoing->slot != SOURCE_PORT_NONE && f->source_ports.slots[outgoing->slot].to_open);
    if (outgoing->slot != SOURCE_PORT_NONE)
        return true;
    outgoing->kind = OUTGOING_DISCONNECT;
    do
        outgoing->slot = connection_next_closing(&f->connections);
    while (outgoing->slot != CONNECTION_NONE && f->connections.slots[outgoing->slot].to_open);
    return outgoing->slot != CONNECTION_NONE;
}

bool attempt_drain(struct forward *f, uint64_t now_us, struct outgoing *outgoing)
{
    if (close_drain(f, outgoing))
        return true;
    if (!f->to_send)
        return false;
    send_drain(f, now_us, outgoing);
    return true;
}
