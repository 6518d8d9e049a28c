// SPDX-License-Identifier: MIT
#include "core/forward/connection.h"

// How connections to upstreams end, and which question is to blame. A connection that could not be
// opened counts against the upstream. One that went silent counts against the oldest question on
// it, as servers answer in turn. One that the server closed before it answered anything counts
// against the question that was alone on it; else any question may be the reason, or the server
// answers a fixed number. These are asked again at once in smaller and smaller batches
// (connection_table.h), until the one to blame is alone. That does not count as one of their sends,
// or a client could use these up for others by having connections closed.

enum {
    CONNECT_US = 2000000,             // for a connection to be established
    SILENT_US = 1000000,              // of silence, after which a connection is closed
    SILENT_MAX_US = 4000000,          // the same where its questions have no other attempt
    CROWD = CONNECTION_IN_FLIGHT / 2, // attempts with which stalled ones make room for others
    LOSSES_MAX = 64,                  // sends of a question that others' connections may cost
    LOSSES_FEW = 2,                   // the same where another upstream may know
};

// Takes the attempts from a connection, those whose question still waits, the oldest first; orphans
// end here.
static struct attempt *attempts_detach(struct forward *f, struct connection *connection)
{
    struct attempt *list = NULL, *next;
    for (struct attempt *attempt = connection->attempts; attempt; attempt = next) {
        next = attempt->next_at_slot;
        attempt->slot = CONNECTION_NONE;
        if (attempt->question) {
            attempt->next_at_slot = list;
            list = attempt;
        } else {
            attempt_drop(f, attempt);
        }
    }
    connection->attempts = NULL;
    connection->in_flight = connection->deferred = 0;
    return list;
}

// Which of the questions on a connection is to blame for its end? NULL: it cannot be told. Without
// lanes it is the oldest, for want of a way to find out.
static const struct attempt *blamed_find(const struct forward *f,
                                         const struct connection *connection,
                                         enum connection_ending how)
{
    bool lanes = connection_table_has_lanes(&f->connections);
    if (how == CONNECTION_SPENT || !connection->connected)
        return NULL;
    // It may have been as many as the server answers: the question is tried alone.
    if (how == CONNECTION_ENDED && connection->replies > 0 && lanes)
        return NULL;
    // What was given up may be why, too.
    bool told = connection->unanswered == 0 &&
                (how == CONNECTION_STUCK || connection_sent_count(connection) == 1);
    return told || !lanes ? connection_oldest(connection) : NULL;
}

// Holds the end of a connection against a question. One that was lost with others before and now
// with a connection of its own has had the two ends that it may have. Of its kind a close says
// something where nothing but the question can have been the reason.
static void blame(struct forward *f, uint64_t now_us, const struct connection *connection,
                  const struct attempt *attempt, enum connection_ending how)
{
    struct question *question = attempt->question;
    bool alone = how == CONNECTION_ENDED && connection->replies == 0;
    if (how == CONNECTION_STUCK || alone)
        attempt_stalled(f, now_us, attempt, how == CONNECTION_ENDED);
    // What is overdue has been counted already.
    if (!question || (how == CONNECTION_STUCK && attempt->overdue))
        return;
    bool proven = alone && choice_in(question->suspect, attempt->choice);
    question->cuts[attempt->choice] =
        proven ? ATTEMPT_CUTS_MAX : (uint8_t)(question->cuts[attempt->choice] + 1);
}

// What was sent on a connection that has ended is suspect, and asked apart from what comes to share
// one.
static void suspect(const struct connection *connection, const struct attempt *blamed)
{
    for (const struct attempt *a = connection->attempts; a; a = a->next_at_slot) {
        if (a->question && a != blamed && a->sent_us != 0)
            a->question->suspect |= (uint16_t)(1u << a->choice);
    }
}

// Questions lost with a connection are asked again in batches of half the size; after a shared
// connection, whose batch size is not known, only where there is no better guess. A server that
// closes after so many answers does so whatever is asked: where that ends a batch, the next one is
// smaller, too.
static void batch_lost(struct forward *f, const struct connection *connection)
{
    struct upstream *u = &f->upstreams[connection->upstream];
    bool shared = connection->lane == LANE_SHARED;
    enum connection_lane lane = shared ? LANE_SUSPECT : connection->lane;
    uint32_t half =
        (connection->batch == 0 ? connection_sent_count(connection) : connection->taken) / 2;
    for (const struct attempt *a = connection->attempts; a; a = a->next_at_slot) {
        uint16_t *batch = &u->tcp_batches[lane][attempt_batch_part(f, &a->network)];
        if (a->sent_us != 0 && half > 0 && (*batch == 0 || (!shared && half < *batch)))
            *batch = (uint16_t)half;
    }
}

// A whole batch was answered: the next one may be twice as large.
static void batch_answered(struct forward *f, const struct connection *connection)
{
    uint16_t *batch =
        &f->upstreams[connection->upstream].tcp_batches[connection->lane][connection->part];
    if (connection->batch > 0 && connection->replies >= connection->batch)
        *batch = *batch < CONNECTION_IN_FLIGHT / 2 ? (uint16_t)(2 * *batch) : 0;
}

// Was a send lost through no fault of its question? Then it does not count, but for one of many
// while there are other upstreams to be asked. Where a connection ended without a single reply it
// costs a budget of its own, of all and of the network that it was for, or some upstream's
// connections would cost the resends of all: some close each.
static bool is_lost(struct forward *f, uint64_t now_us, const struct attempt *attempt, bool served)
{
    const struct question *question = attempt->question;
    unsigned max =
        question_has_others(f, now_us, question, attempt->choice) ? LOSSES_FEW : LOSSES_MAX;
    return attempt->sent_us != 0 && question->losses < max &&
           (served ||
            budget_spend_both(&f->loss_budget, &forward_network(f, &attempt->network)->losses));
}

// Does the question wait for another reply over TCP from the same upstream?
static bool is_there_too(const struct attempt *attempt)
{
    const struct attempt *a = attempt->question->attempts;
    while (a && (a == attempt || !attempt_has_connection(a) || a->choice != attempt->choice))
        a = a->next;
    return a != NULL;
}

// How a connection ended: was it established, did it answer anything, and was it silent for too
// long?
struct ended {
    bool connected, served, stuck;
};

// Asks again what waited on a connection that has ended. What was never sent does not count as
// sent, unless there was no connection at all, as other upstreams are to be asked first. An
// upstream that was given up is asked again if the question was to have a chance in lower case.
static void ask_again(struct forward *f, uint64_t now_us, struct attempt *attempt,
                      struct ended ended, bool at_fault)
{
    struct question *question = attempt->question;
    int choice = attempt->choice;
    // Another silent connection would cost as long again, while there are others to be asked.
    bool again = ended.connected && !is_there_too(attempt) &&
                 !(ended.stuck && question_has_others(f, now_us, question, choice));
    bool last_chance = attempt_is_last_chance(attempt);
    again &= !choice_in(question->out, choice) || last_chance;
    bool lost = again && !at_fault && is_lost(f, now_us, attempt, ended.served);
    question->losses += lost;
    question->tcp_sends[choice] -= attempt->queued || lost;
    attempt_drop(f, attempt);
    bool asked = again && attempt_ask_tcp(f, now_us, question, choice);
    if (again && !asked && last_chance && attempt_may_ask_tcp(f, now_us, question, choice))
        question->no_case &= (uint16_t) ~(1u << choice); // for want of a connection: still there
    // A deferred one has waited for a while, and must not start over with each connection.
    if (asked && !question->attempts->deferred)
        question_wait_until(f, question, now_us + QUESTION_TCP_US);
    else if (!question->attempts)
        schedule_go_on(f, now_us, question);
    else if (!question_is_expected(question, now_us))
        question_wait_until(f, question, now_us + WHEEL_TICK_US); // others may stand in the list
}

void connection_end(struct forward *f, uint64_t now_us, uint16_t index, enum connection_ending how)
{
    struct connection *connection = &f->connections.slots[index];
    bool connected = connection->connected;
    const struct attempt *blamed = blamed_find(f, connection, how);
    if (blamed)
        blame(f, now_us, connection, blamed, how);
    if (how != CONNECTION_SPENT && connected)
        suspect(connection, how == CONNECTION_STUCK ? blamed : NULL);
    if (how == CONNECTION_ENDED && connected)
        batch_lost(f, connection);
    if (how == CONNECTION_SPENT)
        batch_answered(f, connection);
    bool served = connection->replies > 0 && how != CONNECTION_STUCK;
    struct ended ended = {connected, connection->replies > 0, how == CONNECTION_STUCK};
    struct attempt *list = attempts_detach(f, connection);
    if (how == CONNECTION_ENDED)
        connection_closed(&f->connections, index);
    else
        connection_close(&f->connections, index);
    forward_count(f, how == CONNECTION_SPENT ? COUNTER_upstream_connections_spent
                     : served                ? COUNTER_upstream_connections_ended
                                             : COUNTER_upstream_connections_failed);
    if (!connected)
        upstream_tcp_failed(&f->upstreams[connection->upstream], now_us);
    while (list) {
        struct attempt *attempt = list;
        list = attempt->next_at_slot;
        ask_again(f, now_us, attempt, ended, attempt == blamed);
    }
}

void connection_connected(struct forward *f, uint64_t now_us, uint16_t index)
{
    connection_established(&f->connections, index, now_us);
    upstream_tcp_worked(&f->upstreams[f->connections.slots[index].upstream]);
}

// Does anything wait here but what the connection waits for? That alone may take its time.
static bool has_victims(const struct connection *connection)
{
    const struct attempt *oldest = connection_oldest(connection);
    for (const struct attempt *a = connection->attempts; a; a = a->next_at_slot) {
        if (oldest && a->question && a->kind != oldest->kind)
            return true;
    }
    return false;
}

static bool is_silent(const struct forward *f, const struct connection *connection, uint64_t now_us)
{
    uint64_t silent_us = now_us - connection->silent_since_us;
    if (!connection->connected)
        return silent_us >= CONNECT_US;
    if (!connection->attempts)
        return false;
    // Where the server does not answer in turn nothing stands in the way of anything else.
    bool in_turn = !f->upstreams[connection->upstream].tcp_any_order;
    return silent_us >= SILENT_MAX_US ||
           (silent_us >= SILENT_US && in_turn && has_victims(connection));
}

void connection_look(struct forward *f, uint64_t now_us, uint16_t index)
{
    const struct connection *connection = &f->connections.slots[index];
    if (!connection->open || connection->closing)
        return;
    if (is_silent(f, connection, now_us))
        connection_end(f, now_us, index, CONNECTION_STUCK);
    else if (connection_is_spent(connection))
        connection_end(f, now_us, index, CONNECTION_SPENT);
}

// Is it this attempt that its connection waits for, or was it passed over?
static bool is_at_fault(const struct connection *connection, const struct attempt *attempt)
{
    return connection_oldest(connection) == attempt || attempt->sent_us < connection->answered_us;
}

// A question over TCP has waited long enough: it is asked elsewhere as well, and leaves a crowded
// connection. Or the connection has, and ends. No upstream is blamed while others get answers
// there.
void connections_stalled(struct forward *f, uint64_t now_us, struct question *question)
{
    struct attempt *next;
    for (struct attempt *attempt = question->attempts; attempt; attempt = next) {
        next = attempt->next;
        if (!attempt_has_connection(attempt) || attempt->sent_us == 0 || attempt->overdue ||
            now_us - attempt->sent_us < QUESTION_TCP_US)
            continue;
        uint16_t index = attempt->slot;
        const struct connection *connection = &f->connections.slots[index];
        if (is_silent(f, connection, now_us)) {
            connection_end(f, now_us, index, CONNECTION_STUCK);
            return;
        }
        if (!connection->connected || !is_at_fault(connection, attempt))
            continue;
        attempt->overdue = true;
        question->cuts[attempt->choice]++;
        if (connection->in_flight >= CROWD)
            attempt_drop(f, attempt);
    }
}

void connections_due(struct forward *f, uint64_t now_us)
{
    for (uint16_t i = 0; i < f->connections.size && f->connections.open_count > 0; i++)
        connection_look(f, now_us, i);
    if (connections_close_idle(&f->connections, now_us - f->config.tcp_idle_us))
        wheel_start(&f->wheel, &f->connections_timer, now_us + FORWARD_HOUSEKEEPING_US);
}
