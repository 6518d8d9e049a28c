// SPDX-License-Identifier: MIT
#include "core/forward/question.h"

#include <assert.h>

// What upstreams say, from a datagram or a message to what it means for its question. At most one
// question that has ended has an answer, the one in `answer`, so nothing may come before that is
// fetched.

enum { NEAR_MISSES_MAX = 3 };    // then only TCP counts
#define PLAIN_FOR_US 3600000000u // for which EDNS is not tried again

// Somebody seems to guess. What is under way over UDP no longer counts; the question is asked over
// TCP, where nobody outside can put in a word.
static void streams_only(struct forward *f, uint64_t now_us, struct pending *pending)
{
    struct attempt *next;
    for (struct attempt *attempt = pending->attempts; attempt; attempt = next) {
        next = attempt->next;
        if (!attempt->tcp)
            attempt_drop(f, attempt);
    }
    pending->stream_only = true;
    forward_count(f, COUNTER_moved_to_tcp);
    question_go_on(f, now_us, pending);
}

static void near_miss(struct forward *f, uint64_t now_us, struct pending *pending)
{
    pending->near_misses += pending->near_misses < NEAR_MISSES_MAX;
    if (pending->near_misses == NEAR_MISSES_MAX && !pending->stream_only)
        streams_only(f, now_us, pending);
}

// All is right but the spelling, or that there is no cookie: a forgery with a lucky ID, or a server
// that does not know better. TCP tells, and if it is the server, it lives.
static void suspected(struct forward *f, uint64_t now_us, struct attempt *attempt)
{
    struct pending *pending = attempt->pending;
    attempt_answered(f, now_us, attempt);
    if (!pending->stream_only)
        streams_only(f, now_us, pending);
    else if (!pending->attempts)
        question_go_on(f, now_us, pending);
}

// A question that has an attempt at this port and has had too many near misses there; NULL: none.
static struct pending *missed_find(const struct forward *f, uint16_t port)
{
    for (struct attempt *a = f->ports.ports[port].attempts; a; a = a->next_at_port) {
        if (a->pending && a->pending->near_misses == NEAR_MISSES_MAX && !a->pending->stream_only)
            return a->pending;
    }
    return NULL;
}

// A datagram whose ID belongs to nothing that was asked from this port: a reply that came twice or
// much too late, or a guess at one of those that wait there.
static void unasked(struct forward *f, uint64_t now_us, uint16_t port, uint16_t id)
{
    if (port_has_ended(&f->ports, port, id)) {
        forward_count(f, COUNTER_replies_late);
        return;
    }
    forward_count(f, COUNTER_replies_mismatched);
    for (struct attempt *a = f->ports.ports[port].attempts; a; a = a->next_at_port) {
        if (a->pending && !a->queued)
            a->pending->near_misses += a->pending->near_misses < NEAR_MISSES_MAX;
    }
    // Moving one of them changes the list.
    struct pending *missed;
    while ((missed = missed_find(f, port)))
        streams_only(f, now_us, missed);
}

static bool is_answer(unsigned rcode)
{
    return rcode == RCODE_NOERROR || rcode == RCODE_NXDOMAIN;
}

// The reply to an orphan: it tells how long the upstream took, and whether it has answers.
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

// Takes the cookie of a reply (RFC 7873 5.3): it must hold ours, and a server that has given us one
// gives it every time.
static enum cookie_verdict cookie_take(struct forward *f, const struct attempt *attempt)
{
    struct upstream *u = &f->upstreams[attempt->upstream];
    const uint8_t *cookie;
    // What is truncated was not read so far; it only leads to TCP.
    if (!f->config.cookies || attempt->plain || f->answer.truncated)
        return COOKIE_GOOD;
    size_t len =
        f->answer.edns ? cookie_find(f->answer.options, f->answer.options_len, &cookie) : 0;
    if (len == 0 && u->cookie_server_len == 0)
        return COOKIE_GOOD;
    if (len == 0 && (attempt->tcp || u->tcp_failures > 0)) {
        u->cookie_server_len = 0; // it no longer knows them
        return COOKIE_GOOD;
    }
    if (len == 0)
        return COOKIE_MISSING;
    if (memcmp(cookie, u->cookie, COOKIE_CLIENT_LEN) != 0)
        return COOKIE_WRONG;
    u->cookie_server_len = (uint8_t)(len - COOKIE_CLIENT_LEN);
    memcpy(u->cookie_server, cookie + COOKIE_CLIENT_LEN, u->cookie_server_len);
    return COOKIE_GOOD;
}

// Reads a reply to an attempt whose question waits, and says what it is worth. Over TCP nobody can
// have forged it, and a wrong spelling or a missing cookie tells what the upstream cannot do.
static enum reply_verdict reply_read(struct forward *f, const struct attempt *attempt,
                                     const uint8_t *in, size_t len)
{
    static const struct name_case lower;
    const struct pending *pending = attempt->pending;
    const struct name_case *spelling = attempt->spelled ? &pending->spelling : &lower;
    enum reply_verdict verdict = reply_match(in, len, attempt->id, &pending->key, spelling);
    struct upstream *u = &f->upstreams[attempt->upstream];
    // Where there is no TCP to ask over, its word has to do.
    if (verdict == REPLY_SPELLING && (attempt->tcp || !attempt->spelled || u->tcp_failures > 0)) {
        u->spelling_lost |= attempt->spelled;
        verdict = REPLY_GOOD;
    }
    if (verdict == REPLY_GOOD)
        verdict = answer_take(&f->answer, in, len, &pending->key, f->config.limits);
    return verdict;
}

// What was nearly right: counted, and held against whoever sends it. True: nothing more is to be
// done.
static bool reply_refused(struct forward *f, uint64_t now_us, struct attempt *attempt,
                          enum reply_verdict verdict)
{
    struct pending *pending = attempt->pending;
    if (verdict == REPLY_GARBAGE) {
        forward_count(f, COUNTER_replies_garbage);
        return true;
    }
    if (verdict == REPLY_QUESTION || verdict == REPLY_SPELLING) {
        forward_count(f, COUNTER_replies_mismatched);
        if (verdict == REPLY_SPELLING)
            suspected(f, now_us, attempt);
        else
            near_miss(f, now_us, pending);
        return true;
    }
    if (verdict == REPLY_BARE)
        return false;
    enum cookie_verdict cookie = cookie_take(f, attempt);
    if (cookie == COOKIE_GOOD)
        return false;
    forward_count(f, COUNTER_replies_mismatched);
    if (cookie == COOKIE_MISSING)
        suspected(f, now_us, attempt);
    else
        near_miss(f, now_us, pending);
    return true;
}

// This upstream has nothing more to say to this question: the next one is asked at once, and only
// when there is none and nothing is under way has it failed, with what this one said (RFC 5625).
static void upstream_is_out(struct forward *f, uint64_t now_us, struct pending *pending, int choice)
{
    pending->rcode = f->answer.rcode;
    pending->heard_rcode = true;
    pending->sends[choice] = pending->tcp_sends[choice] = UPSTREAM_SENDS_MAX;
    question_go_elsewhere(f, now_us, pending);
}

// Is the question on its way to this upstream so already: over TCP, without EDNS? What was sent
// twice comes back twice, and the second time there is nothing more to do.
static bool is_under_way(const struct pending *pending, int choice, bool stream, bool plain)
{
    const struct attempt *a = pending->attempts;
    while (a && (a->choice != choice || (stream && !a->tcp) || (plain && !a->plain)))
        a = a->next;
    return a != NULL;
}

// Asks the same upstream again, over TCP where `stream` is set; the next one if it cannot be.
static void ask_again(struct forward *f, uint64_t now_us, struct pending *pending, int choice,
                      bool stream)
{
    bool sent = false;
    if (stream)
        sent = attempt_ask_stream(f, now_us, pending, choice);
    else if (pending->sends[choice] < UPSTREAM_SENDS_MAX)
        sent = attempt_ask(f, now_us, pending, choice);
    const struct upstream *u = &f->upstreams[pending->zone->upstreams[choice]];
    if (sent)
        question_wait_until(f, pending,
                            now_us + (stream ? QUESTION_STREAM_US : upstream_early_us(u)));
    else
        upstream_is_out(f, now_us, pending, choice);
}

// Does the reply say that it did not understand EDNS (RFC 6891 6.1.3 and 7)?
static bool is_edns_trouble(const struct answer *answer, enum reply_verdict verdict)
{
    return verdict == REPLY_BARE || answer->rcode_heard == RCODE_FORMERR ||
           answer->rcode_heard == RCODE_NOTIMP || answer->rcode_heard == RCODE_BADVERS;
}

// What to do with a reply that is what it seems to be.
enum word { WORD_ANSWER, WORD_FAILURE, WORD_TRUNCATED, WORD_PLAIN, WORD_COOKIE };

static enum word word_of(const struct answer *answer, enum reply_verdict verdict, bool plain)
{
    if (!plain && is_edns_trouble(answer, verdict))
        return WORD_PLAIN;
    if (verdict == REPLY_BARE)
        return WORD_FAILURE;
    if (answer->rcode_heard == RCODE_BADCOOKIE)
        return WORD_COOKIE;
    if (answer->truncated)
        return WORD_TRUNCATED;
    return is_answer(answer->rcode) ? WORD_ANSWER : WORD_FAILURE;
}

// The question has its answer from one upstream: those that failed it should have known it.
static void failures_note(struct forward *f, uint64_t now_us, const struct pending *pending)
{
    for (size_t i = 0; i < pending->zone->upstream_count; i++) {
        if (pending->failed >> i & 1)
            upstream_failed(&f->upstreams[pending->zone->upstreams[i]], now_us);
    }
}

// A slow upstream that wants the question again in another way is passed over for one that knows
// sooner. Not one that did not understand EDNS: that is learned from its answer without.
static bool passed_over(struct forward *f, uint64_t now_us, struct pending *pending, int choice,
                        enum word word)
{
    if ((word != WORD_TRUNCATED && word != WORD_COOKIE) || pending->stream_only)
        return false;
    int better = question_better(f, pending, choice);
    if (better >= 0)
        question_ask(f, now_us, pending, better);
    return better >= 0;
}

static void reply_take(struct forward *f, uint64_t now_us, struct attempt *attempt,
                       enum reply_verdict verdict)
{
    static const enum counter counters[] = {
        [WORD_ANSWER] = COUNTER_replies_accepted,     [WORD_FAILURE] = COUNTER_replies_failed,
        [WORD_TRUNCATED] = COUNTER_replies_truncated, [WORD_PLAIN] = COUNTER_replies_edns,
        [WORD_COOKIE] = COUNTER_replies_edns,
    };
    struct pending *pending = attempt->pending;
    struct upstream *u = &f->upstreams[attempt->upstream];
    int choice = attempt->choice;
    bool plain = attempt->plain, tcp = attempt->tcp;
    attempt_answered(f, now_us, attempt);
    if (verdict == REPLY_BARE)
        f->answer.rcode = (uint8_t)(f->answer.rcode_heard = RCODE_FORMERR);
    enum word word = word_of(&f->answer, verdict, plain);
    forward_count(f, counters[word]);
    if (passed_over(f, now_us, pending, choice, word))
        return;
    switch (word) {
    case WORD_ANSWER:
        if (plain && pending->plain >> choice & 1)
            u->plain_until_us = now_us + PLAIN_FOR_US;
        upstream_answered(u);
        failures_note(f, now_us, pending);
        pending->rcode = f->answer.rcode;
        question_finish(f, now_us, pending, PENDING_ANSWERED);
        break;
    case WORD_FAILURE:
        pending->failed |= (uint16_t)(1u << choice);
        upstream_is_out(f, now_us, pending, choice);
        break;
    case WORD_TRUNCATED:
        f->answer.rcode = RCODE_SERVFAIL; // where it cannot be had whole
        if (!is_under_way(pending, choice, true, false))
            ask_again(f, now_us, pending, choice, true);
        break;
    case WORD_PLAIN:
        pending->plain |= (uint16_t)(1u << choice);
        // It may have gone out three times before the first of these replies came.
        tcp |= pending->sends[choice] >= UPSTREAM_SENDS_MAX;
        if (!is_under_way(pending, choice, tcp, true))
            ask_again(f, now_us, pending, choice, tcp);
        break;
    case WORD_COOKIE:
        if (!is_under_way(pending, choice, tcp, false))
            ask_again(f, now_us, pending, choice, tcp || pending->sends[choice] > 1);
        break;
    }
}

static void attempt_reply(struct forward *f, uint64_t now_us, struct attempt *attempt,
                          const uint8_t *in, size_t len)
{
    assert(!f->answer_taken); // or serve_drain was not called to its end
    uint32_t revivals = f->revivals;
    uint16_t upstream = attempt->upstream;
    if (attempt->pending) {
        enum reply_verdict verdict = reply_read(f, attempt, in, len);
        if (!reply_refused(f, now_us, attempt, verdict))
            reply_take(f, now_us, attempt, verdict);
    } else {
        orphan_reply(f, now_us, attempt, in);
    }
    if (f->revivals != revivals)
        questions_wake(f, now_us, upstream);
}

void forward_reply(struct forward *f, uint64_t now_us, uint16_t port, const uint8_t *in, size_t len)
{
    if (len < MESSAGE_HEADER_LEN) {
        forward_count(f, COUNTER_replies_garbage);
        return;
    }
    uint16_t id = load_be16(in);
    struct attempt *attempt = port_find(&f->ports, port, id);
    if (attempt)
        attempt_reply(f, now_us, attempt, in, len);
    else
        unasked(f, now_us, port, id);
}

void forward_stream_reply(struct forward *f, uint64_t now_us, uint16_t stream, const uint8_t *in,
                          size_t len)
{
    if (len < MESSAGE_HEADER_LEN) {
        forward_count(f, COUNTER_replies_garbage);
        return;
    }
    stream_heard(&f->streams, stream, now_us);
    struct attempt *attempt = stream_find(&f->streams, stream, load_be16(in));
    if (attempt)
        attempt_reply(f, now_us, attempt, in, len);
    else
        forward_count(f, COUNTER_replies_late);
    forward_stream_look(f, now_us, stream);
}
