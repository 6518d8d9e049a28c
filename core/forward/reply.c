// SPDX-License-Identifier: MIT
#include "core/forward/reply.h"

#include <assert.h>

// Replies, from a datagram or a message to their effect on the question. There is room for the
// answer of one ended question (`answer`), so no reply may be handled before that one is fetched.

enum { NEAR_MISSES_MAX = 3 }; // then only TCP counts

// Replies to this question are being guessed. Its attempts over UDP no longer count, and it is
// asked over TCP, which an off-path attacker cannot forge: first at upstreams whose last chance is
// in lower case.
static void move_to_tcp(struct forward *f, uint64_t now_us, struct question *question)
{
    struct attempt *next;
    uint16_t last = 0; // upstreams that are out, but for such a chance
    for (struct attempt *attempt = question->attempts; attempt; attempt = next) {
        next = attempt->next;
        if (attempt_has_connection(attempt))
            continue;
        last |= (uint16_t)((unsigned)attempt_is_last_chance(attempt) << attempt->choice);
        attempt_drop(f, attempt);
    }
    question->tcp_only = true;
    forward_count(f, COUNTER_moved_to_tcp);
    for (int i = 0; i < question->zone->upstream_count; i++) {
        if (choice_in(last, i) && attempt_ask_tcp(f, now_us, question, i))
            question_wait_until(f, question, now_us + QUESTION_TCP_US);
    }
}

// Asks the zone's upstream number `choice` over TCP; false: it is -1, out, or cannot be asked.
static bool tcp_ask(struct forward *f, uint64_t now_us, struct question *question, int choice)
{
    if (choice < 0 || choice_in(question->out, choice) ||
        !attempt_ask_tcp(f, now_us, question, choice))
        return false;
    question_wait_until(f, question, now_us + QUESTION_TCP_US);
    return true;
}

// The upstream that was asked last, if it is healthy: the guesses are to outrun its reply, and it
// answers over TCP. -1: there is none.
static int asked_last(const struct forward *f, uint64_t now_us, const struct question *question)
{
    const struct attempt *latest = question_latest(question);
    if (!latest || !upstream_is_trusted(&f->upstreams[latest->upstream], question->kind, now_us))
        return -1;
    return latest->choice;
}

static void guesses_evade(struct forward *f, uint64_t now_us, struct question *question)
{
    int choice = asked_last(f, now_us, question);
    move_to_tcp(f, now_us, question);
    if (!tcp_ask(f, now_us, question, choice))
        schedule_go_on(f, now_us, question);
}

static void near_miss(struct forward *f, uint64_t now_us, struct question *question)
{
    question->near_misses += question->near_misses < NEAR_MISSES_MAX;
    if (question->near_misses == NEAR_MISSES_MAX && !question->tcp_only)
        guesses_evade(f, now_us, question);
}

// All matches but the 0x20 case, or the cookie is missing: a forgery with a lucky ID, or a server
// that does not support these. TCP shows which. This server may be the only living one, or dead
// while another one has the answer, so both are tried.
static void suspected(struct forward *f, uint64_t now_us, struct attempt *attempt)
{
    struct question *question = attempt->question;
    int choice = attempt->choice;
    bool last = attempt_is_last_chance(attempt) && !attempt_has_connection(attempt);
    attempt_answered(f, now_us, attempt);
    if (last && attempt_ask_tcp(f, now_us, question, choice))
        question_wait_until(f, question, now_us + QUESTION_TCP_US);
    if (question->tcp_only) {
        if (!question->attempts)
            schedule_go_on(f, now_us, question);
        return;
    }
    choice = last ? -1 : choice;
    move_to_tcp(f, now_us, question);
    if (!tcp_ask(f, now_us, question, choice) || question_has_others(f, now_us, question, choice))
        schedule_go_on(f, now_us, question);
}

// A question that has an attempt at this port and has had too many near misses there; NULL: none.
static struct question *missed_find(const struct forward *f, uint16_t slot)
{
    for (struct attempt *a = f->source_ports.slots[slot].attempts; a; a = a->next_at_slot) {
        if (a->question && a->question->near_misses == NEAR_MISSES_MAX && !a->question->tcp_only)
            return a->question;
    }
    return NULL;
}

// A datagram whose ID belongs to no attempt at this source port: a second or very late reply, or a
// guess at one of the attempts that wait there.
static void unasked(struct forward *f, uint64_t now_us, uint16_t slot, uint16_t id)
{
    if (source_port_has_ended(&f->source_ports, slot, id)) {
        forward_count(f, COUNTER_replies_late);
        return;
    }
    forward_count(f, COUNTER_replies_mismatched);
    for (struct attempt *a = f->source_ports.slots[slot].attempts; a; a = a->next_at_slot) {
        if (a->question && !a->queued)
            a->question->near_misses += a->question->near_misses < NEAR_MISSES_MAX;
    }
    // Moving one to TCP changes the list.
    struct question *missed;
    while ((missed = missed_find(f, slot)))
        guesses_evade(f, now_us, missed);
}

static bool is_answer(unsigned rcode)
{
    return rcode == RCODE_NOERROR || rcode == RCODE_NXDOMAIN;
}

// The reply to an orphan shows how long the upstream took, and whether it has answers.
static void orphan_reply(struct forward *f, uint64_t now_us, struct attempt *attempt,
                         const uint8_t *in)
{
    if (in[2] & HEADER_QR) {
        forward_count(f, COUNTER_replies_late);
        attempt_answered(f, now_us, attempt);
        if (is_answer(in[3] & HEADER_RCODE))
            upstream_answered(&f->upstreams[attempt->upstream]);
    } else {
        forward_count(f, COUNTER_replies_garbage);
    }
}

enum cookie_verdict { COOKIE_GOOD, COOKIE_WRONG, COOKIE_MISSING };

// The cookie of the parsed reply, which may be another server's; 0: there is none. A truncated
// reply was not parsed that far.
static size_t reply_cookie(const struct forward *f, const uint8_t **cookie)
{
    if (f->answer.truncated || !f->answer.edns)
        return 0;
    return cookie_find(f->answer.options, f->answer.options_len, cookie);
}

// True if the reply has the cookie that we sent, which an off-path attacker cannot know (RFC
// 7873 5.3).
static bool is_proven(const struct forward *f, const struct attempt *attempt)
{
    const uint8_t *cookie;
    return attempt->cookied && reply_cookie(f, &cookie) > 0 &&
           memcmp(cookie, f->upstreams[attempt->upstream].cookie, COOKIE_CLIENT_LEN) == 0;
}

// Checks and stores the cookie of a reply: it must have our part, and a server that has sent one
// sends it every time. Only TCP shows that it no longer does; a truncated reply only leads there.
static enum cookie_verdict cookie_receive(struct forward *f, uint64_t now_us,
                                          const struct attempt *attempt)
{
    struct upstream *u = &f->upstreams[attempt->upstream];
    const uint8_t *cookie;
    if (!attempt->cookied || f->answer.truncated)
        return COOKIE_GOOD;
    size_t len = reply_cookie(f, &cookie);
    if (len == 0 && attempt_has_connection(attempt))
        u->cookie_server_len = 0;
    if (len == 0)
        return upstream_cookie_len(u, now_us) == 0 ? COOKIE_GOOD : COOKIE_MISSING;
    if (!is_proven(f, attempt))
        return COOKIE_WRONG;
    u->cookie_us = now_us;
    u->cookie_server_len = (uint8_t)(len - COOKIE_CLIENT_LEN);
    memcpy(u->cookie_server, cookie + COOKIE_CLIENT_LEN, u->cookie_server_len);
    return COOKIE_GOOD;
}

// Parses the reply to an attempt whose question waits, and returns a verdict. A reply over TCP or
// with our cookie cannot be forged: then another 0x20 case shows what the upstream does not
// support, and a reply without a readable question is no guess either.
static enum reply_verdict reply_read(struct forward *f, const struct attempt *attempt,
                                     const uint8_t *in, size_t len)
{
    static const struct name_case lower;
    const struct question *question = attempt->question;
    const struct name_case *name_case = attempt->random_case ? &question->name_case : &lower;
    enum reply_verdict verdict = reply_match(in, len, attempt->id, &question->key, name_case);
    f->answer.wrong_case = verdict == REPLY_WRONG_CASE;
    if (verdict == REPLY_BARE)
        answer_parse_bare(&f->answer, in, len);
    if (attempt_has_connection(attempt) &&
        (verdict == REPLY_GARBAGE || verdict == REPLY_NO_QUESTION)) {
        answer_set_malformed(&f->answer);
        return REPLY_MALFORMED;
    }
    if (verdict != REPLY_GOOD && verdict != REPLY_WRONG_CASE)
        return verdict;
    enum reply_verdict records =
        answer_parse(&f->answer, in, len, &question->key, f->config.limits);
    if (verdict == REPLY_GOOD || !attempt->random_case)
        return records;
    return attempt_has_connection(attempt) || is_proven(f, attempt) ? records : REPLY_WRONG_CASE;
}

// Counts near misses, which may be guesses. True: there is nothing more to do.
static bool reply_refused(struct forward *f, uint64_t now_us, struct attempt *attempt,
                          enum reply_verdict verdict)
{
    struct question *question = attempt->question;
    if (verdict == REPLY_GARBAGE) {
        forward_count(f, COUNTER_replies_garbage);
        return true;
    }
    if (verdict == REPLY_QUESTION || verdict == REPLY_NO_QUESTION || verdict == REPLY_WRONG_CASE) {
        forward_count(f, COUNTER_replies_mismatched);
        if (verdict == REPLY_WRONG_CASE)
            suspected(f, now_us, attempt);
        else
            near_miss(f, now_us, question);
        return true;
    }
    // Its cookie cannot be read, so it leads to TCP at most.
    if (verdict == REPLY_MALFORMED)
        return false;
    enum cookie_verdict cookie = cookie_receive(f, now_us, attempt);
    if (cookie == COOKIE_GOOD)
        return false;
    forward_count(f, COUNTER_replies_mismatched);
    if (cookie == COOKIE_MISSING)
        suspected(f, now_us, attempt);
    else
        near_miss(f, now_us, question);
    return true;
}

// True if the question is already on its way to this upstream in this form: over TCP, without EDNS
// or without a cookie. Two sends have two replies, and the second one needs nothing more.
struct way {
    enum transport transport; // UDP: over any
    bool plain, no_cookie;
};

static bool is_under_way(const struct question *question, int choice, struct way way)
{
    const struct attempt *a = question->attempts;
    while (a && (a->choice != choice ||
                 (transport_has_connections(way.transport) && !attempt_has_connection(a)) ||
                 (way.plain && !a->plain) || (way.no_cookie && a->cookied)))
        a = a->next;
    return a != NULL;
}

// Asks the same upstream again over this transport, or the next one if that cannot be. An upstream
// that is out has only a last chance in lower case, in a way that cannot be forged. No upstream is
// out because there is no free attempt or connection.
static void ask_again(struct forward *f, uint64_t now_us, struct question *question,
                      const struct attempt *asked, enum transport transport)
{
    int choice = asked->choice;
    bool out = choice_in(question->out, choice);
    bool tcp = out || transport_has_connections(transport);
    bool may = tcp ? attempt_may_ask_tcp(f, now_us, question, choice)
                   : question->sends[choice] < UPSTREAM_SENDS_MAX;
    if (!may || (out && asked->random_case)) {
        schedule_upstream_out(f, now_us, question, choice);
        return;
    }
    question->follows = true;
    bool sent = attempt_ask_over(f, now_us, question, choice, tcp ? TRANSPORT_TCP : TRANSPORT_UDP);
    question->follows = false;
    question->truncated |= (uint16_t)((unsigned)(tcp && !sent) << choice);
    const struct upstream *u = &f->upstreams[question->zone->upstreams[choice]];
    if (sent)
        question_wait_until(f, question, now_us + (tcp ? QUESTION_TCP_US : upstream_early_us(u)));
    else
        schedule_put_off(f, now_us, question);
}

// What a genuine reply amounts to.
enum outcome {
    OUTCOME_ANSWER,
    OUTCOME_FAILURE,
    OUTCOME_TRUNCATED,
    OUTCOME_PLAIN,     // it does not understand EDNS (RFC 6891 6.1.3 and 7)
    OUTCOME_NO_COOKIE, // or perhaps the cookie in it
    OUTCOME_COOKIE,    // it wants the one that it has given now
};

static enum outcome outcome_of(const struct answer *answer, enum reply_verdict verdict,
                               const struct attempt *asked)
{
    uint16_t rcode = answer->rcode_heard;
    // A reply that was damaged on the way arrives whole over TCP.
    if (verdict == REPLY_MALFORMED)
        return attempt_has_connection(asked) ? OUTCOME_FAILURE : OUTCOME_TRUNCATED;
    if (rcode == RCODE_FORMERR && asked->cookied)
        return OUTCOME_NO_COOKIE;
    // A server that replies with an OPT record supports EDNS, if perhaps not this version.
    bool plain = (rcode == RCODE_FORMERR || rcode == RCODE_NOTIMP) && !answer->edns;
    if (!asked->plain && (plain || rcode == RCODE_BADVERS))
        return OUTCOME_PLAIN;
    if (verdict == REPLY_BARE)
        return OUTCOME_FAILURE;
    if (rcode == RCODE_BADCOOKIE)
        return OUTCOME_COOKIE;
    if (answer->truncated)
        return OUTCOME_TRUNCATED;
    return answer->answers ? OUTCOME_ANSWER : OUTCOME_FAILURE;
}

// One upstream has answered the question: those that failed it should have had the answer.
static void failures_note(struct forward *f, uint64_t now_us, const struct question *question)
{
    for (int i = 0; i < question->zone->upstream_count; i++) {
        if (choice_in(question->failed, i))
            upstream_failed(&f->upstreams[question->zone->upstreams[i]], question->kind, now_us);
    }
}

// A slow upstream that wants the question again in another form is passed over for a faster one.
// Not one that failed with EDNS, as its answer without shows what it supports.
static bool passed_over(struct forward *f, uint64_t now_us, struct question *question, int choice,
                        enum outcome outcome)
{
    if ((outcome != OUTCOME_TRUNCATED && outcome != OUTCOME_COOKIE) || question->tcp_only)
        return false;
    int better = schedule_better(f, now_us, question, choice);
    if (better < 0)
        return false;
    if (outcome == OUTCOME_TRUNCATED)
        question->truncated |= (uint16_t)(1u << choice);
    schedule_ask(f, now_us, question, better);
    return true;
}

// An answer shows what its upstream supports, by how it was asked and what failed before.
static void support_learn(struct forward *f, uint64_t now_us, const struct question *question,
                          const struct attempt *asked)
{
    struct support *support = &f->upstreams[asked->upstream].support;
    // A header alone, which needs only a guessed ID and source port, does not end cookies.
    bool objected = choice_in(question->objected, asked->choice);
    if (asked->cookied)
        support_cookies_shown(support, now_us);
    if (asked->plain && choice_in(question->plain, asked->choice))
        support_edns_failed(support, question->kind, now_us);
    else if (!asked->plain && !asked->cookied && objected &&
             choice_in(question->no_cookie, asked->choice))
        support_cookies_failed(support, question->kind, now_us);
    if (asked->random_case && f->answer.wrong_case)
        support_case_lost(support, question->kind, now_us);
    else if (asked->random_case && question_is_mixed_case(question))
        support_case_kept(support, now_us);
    else if (!asked->random_case && choice_in(question->no_case, asked->choice))
        support_case_failed(support, question->kind, now_us);
}

static void answer_heard(struct forward *f, uint64_t now_us, struct question *question,
                         const struct attempt *asked)
{
    support_learn(f, now_us, question, asked);
    upstream_answered(&f->upstreams[asked->upstream]);
    failures_note(f, now_us, question);
    f->answer.upstream = asked->upstream;
    f->answer.transport = asked->transport;
    question_finish(f, now_us, question, QUESTION_ANSWERED);
}

// A send that got a reply, and is repeated in another form, was no failure (RFC 9520 3.1): it does
// not count among the three to an upstream over TCP. Once for each form.
static void send_forgive(struct question *question, const struct attempt *asked)
{
    if (attempt_has_connection(asked))
        question->tcp_sends[asked->choice]--;
}

// The upstream cannot or does not want to answer. If no other one can, the client gets its rcode
// (RFC 5625), except an rcode about our query rather than the client's, one in a header alone, and
// one that cannot be passed on.
static void failure_heard(struct forward *f, uint64_t now_us, struct question *question,
                          const struct attempt *asked, enum reply_verdict verdict)
{
    uint16_t rcode = f->answer.rcode_heard;
    int choice = asked->choice;
    if (!asked->random_case && choice_in(question->no_case, choice))
        support_case_cleared(&f->upstreams[asked->upstream].support, question->kind, now_us);
    bool spoilt = f->answer.too_long || verdict == REPLY_MALFORMED;
    if (verdict != REPLY_BARE && rcode != RCODE_FORMERR && rcode != RCODE_NOTIMP && !spoilt) {
        question->rcode = f->answer.rcode;
    }
    if (asked->random_case && !choice_in(question->failed, choice))
        send_forgive(question, asked);
    question->failed |= (uint16_t)(1u << choice);
    // Lower case would not help.
    bool no_case = !asked->random_case || spoilt;
    question->no_case |= (uint16_t)((unsigned)no_case << choice);
    question->out |= (uint16_t)(1u << choice);
    // Others may take seconds to fail over TCP, so this one is asked at once.
    if (!attempt_has_connection(asked) || !schedule_lower_case(f, now_us, question, choice))
        schedule_upstream_out(f, now_us, question, choice);
}

// The query was not understood: it is sent again without what may be the reason.
static void objection_heard(struct forward *f, uint64_t now_us, struct question *question,
                            const struct attempt *asked, enum reply_verdict verdict,
                            enum outcome outcome)
{
    int choice = asked->choice;
    uint16_t bit = (uint16_t)(1u << choice);
    struct way way = {asked->transport, outcome == OUTCOME_PLAIN, outcome == OUTCOME_NO_COOKIE};
    uint16_t *heard = way.plain ? &question->plain : &question->no_cookie;
    if (!(*heard & bit))
        send_forgive(question, asked);
    *heard |= bit;
    if (!way.plain && (attempt_has_connection(asked) || verdict != REPLY_BARE))
        question->objected |= bit;
    // It may have been sent three times before the first of these replies arrived.
    if (question->sends[choice] >= UPSTREAM_SENDS_MAX)
        way.transport = TRANSPORT_TCP;
    if (!is_under_way(question, choice, way))
        ask_again(f, now_us, question, asked, way.transport);
}

static void reply_apply(struct forward *f, uint64_t now_us, struct attempt *attempt,
                        enum reply_verdict verdict)
{
    static const enum counter counters[] = {
        [OUTCOME_ANSWER] = COUNTER_replies_accepted,     [OUTCOME_FAILURE] = COUNTER_replies_failed,
        [OUTCOME_TRUNCATED] = COUNTER_replies_truncated, [OUTCOME_PLAIN] = COUNTER_replies_edns,
        [OUTCOME_NO_COOKIE] = COUNTER_replies_edns,      [OUTCOME_COOKIE] = COUNTER_replies_edns,
    };
    struct question *question = attempt->question;
    const struct attempt asked = *attempt;
    int choice = asked.choice;
    enum outcome outcome = outcome_of(&f->answer, verdict, &asked);
    attempt_answered(f, now_us, attempt);
    if (f->answer.edns)
        support_edns_shown(&f->upstreams[asked.upstream].support, now_us);
    forward_count(f, verdict == REPLY_MALFORMED ? COUNTER_replies_garbage : counters[outcome]);
    if (passed_over(f, now_us, question, choice, outcome))
        return;
    switch (outcome) {
    case OUTCOME_ANSWER:
        answer_heard(f, now_us, question, &asked);
        break;
    case OUTCOME_FAILURE:
        failure_heard(f, now_us, question, &asked, verdict);
        break;
    case OUTCOME_TRUNCATED:
        if (!is_under_way(question, choice, (struct way){.transport = TRANSPORT_TCP}))
            ask_again(f, now_us, question, &asked, TRANSPORT_TCP);
        break;
    case OUTCOME_PLAIN:
    case OUTCOME_NO_COOKIE:
        objection_heard(f, now_us, question, &asked, verdict, outcome);
        break;
    case OUTCOME_COOKIE:
        if (!is_under_way(question, choice, (struct way){.transport = asked.transport}))
            ask_again(f, now_us, question, &asked,
                      question->sends[choice] > 1 ? TRANSPORT_TCP : asked.transport);
        break;
    }
}

static void attempt_reply(struct forward *f, uint64_t now_us, struct attempt *attempt,
                          const uint8_t *in, size_t len)
{
    assert(!f->answer_in_use); // or serve_drain was not called to its end
    uint32_t recoveries = f->recoveries;
    uint16_t upstream = attempt->upstream;
    if (attempt->question) {
        enum reply_verdict verdict = reply_read(f, attempt, in, len);
        if (!reply_refused(f, now_us, attempt, verdict))
            reply_apply(f, now_us, attempt, verdict);
    } else {
        orphan_reply(f, now_us, attempt, in);
    }
    if (f->recoveries != recoveries)
        schedule_wake(f, now_us, upstream);
}

void reply_datagram(struct forward *f, uint64_t now_us, uint16_t slot, const uint8_t *in,
                    size_t len)
{
    if (len < MESSAGE_HEADER_LEN) {
        forward_count(f, COUNTER_replies_garbage);
        return;
    }
    uint16_t id = load_be16(in);
    struct attempt *attempt = source_port_find(&f->source_ports, slot, id);
    if (attempt)
        attempt_reply(f, now_us, attempt, in, len);
    else
        unasked(f, now_us, slot, id);
}

void reply_message(struct forward *f, uint64_t now_us, uint16_t connection, const uint8_t *in,
                   size_t len)
{
    if (len < MESSAGE_HEADER_LEN) {
        forward_count(f, COUNTER_replies_garbage);
        return;
    }
    connection_heard(&f->connections, connection, now_us);
    struct attempt *attempt = connection_find(&f->connections, connection, load_be16(in));
    if (attempt) {
        attempt_reply(f, now_us, attempt, in, len);
    } else {
        connection_late(&f->connections, connection);
        forward_count(f, COUNTER_replies_late);
    }
    connection_look(f, now_us, connection);
}
