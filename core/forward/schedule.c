// SPDX-License-Identifier: MIT
#include "core/forward/schedule.h"

#include "core/forward/probe.h"

enum {
    FREE_MIN_US = 400000,        // after so long a resend needs no budget
    FREE_FACTOR = 4,             // or after so many times the slow tail
    FREE_MAX_US = 1500000,       // but early enough that another upstream can be asked
    FREE_ELSEWHERE_US = 1000000, // where another one that is well has not had the question
    PATIENCE_FACTOR = 4,         // times the wait for another one that is well
    LOOK_AGAIN_US = 200000,      // at a question that waits for longer
    COPIES_AT_ONCE = 2,          // of one question
    PROBE_WAIT_US = 100000,      // for a reply to one, before others are looked for
    WAKE_SPREAD_US = 50000,      // over which questions spread that wait for the same moment
    HOPE_US = 2000000,           // how long the answer to the last of all sends may take
    GONE_US = 200000,            // for a reply after a report as unreachable, at least
    GONE_TAILS = 4,              // or so many times the slow tail
    SILENT_US = 1500000,         // after which an upstream has failed
};

// The sends of a question to each upstream over one transport, for upstream_choose: one that is out
// has had all, and one that is alive over TCP alone is asked over TCP alone.
static void sends_of(const struct forward *f, const struct question *question,
                     enum transport transport, uint8_t sends[static ZONE_UPSTREAMS_MAX])
{
    memcpy(sends, transport_has_connections(transport) ? question->tcp_sends : question->sends,
           ZONE_UPSTREAMS_MAX);
    for (int i = 0; i < question->zone->upstream_count; i++) {
        if (f->upstreams[question->zone->upstreams[i]].over_tcp)
            sends[i] = question->tcp_sends[i];
        if (choice_in(question->out, i))
            sends[i] = UPSTREAM_SENDS_MAX;
    }
}

// Sends a copy of the question as a probe to the zone's upstreams that are not trusted and are due
// for one. Where the question goes to a trusted one as well, these copies are duplicates and have a
// budget of their own, so that a dead upstream takes nothing from the resends of others. Returns
// how many were sent.
static unsigned copies_send(struct forward *f, uint64_t now_us, struct question *question,
                            uint8_t sends_max, bool duplicate)
{
    unsigned sent = 0;
    uint8_t sends[ZONE_UPSTREAMS_MAX];
    while (sent < COPIES_AT_ONCE) {
        sends_of(f, question, TRANSPORT_UDP, sends);
        int choice =
            upstream_try(question->zone, f->upstreams, question->kind, sends, sends_max, now_us);
        if (choice < 0 || (duplicate && !budget_spend(&f->probe_budget)) ||
            !attempt_ask(f, now_us, question, choice))
            break;
        question->attempts->duplicate = duplicate;
        forward_count(f, COUNTER_upstream_probes);
        sent++;
    }
    return sent;
}

// True if each upstream of the zone was reported unreachable.
static bool all_unreachable(const struct forward *f, const struct zone *zone)
{
    for (size_t i = 0; i < zone->upstream_count; i++) {
        const struct upstream *u = &f->upstreams[zone->upstreams[i]];
        if (u->health != UPSTREAM_DEAD || !u->gone)
            return false;
    }
    return true;
}

static bool has_sends_left(const struct question *question)
{
    for (int i = 0; i < question->zone->upstream_count; i++) {
        if (question->sends[i] < UPSTREAM_SENDS_MAX && !choice_in(question->out, i))
            return true;
    }
    return false;
}

// A question may fail because of its 0x20 case at an upstream that has returned no name in mixed
// case. True if it may be asked there in lower case, once.
static bool lower_case_may(const struct forward *f, uint64_t now_us,
                           const struct question *question, int choice)
{
    const struct support *support = &f->upstreams[question->zone->upstreams[choice]].support;
    return f->config.random_case && choice_in(question->failed, choice) &&
           !choice_in(question->no_case, choice) &&
           (!support_case(support, now_us) || support_case_doubted(support, now_us)) &&
           question_is_mixed_case(question);
}

bool schedule_lower_case(struct forward *f, uint64_t now_us, struct question *question, int choice)
{
    if (!lower_case_may(f, now_us, question, choice))
        return false;
    question->no_case |= (uint16_t)(1u << choice);
    bool asked = attempt_ask_tcp(f, now_us, question, choice);
    if (asked)
        question_wait_until(f, question, now_us + QUESTION_TCP_US);
    else if (attempt_may_ask_tcp(f, now_us, question, choice))
        question->no_case &= (uint16_t) ~(1u << choice); // the chance is still there
    return asked;
}

// Asks such an upstream in lower case, if no other one has answered soon, in a way that cannot be
// forged: with a cookie or over TCP. False: there is none.
static bool lower_case_next(struct forward *f, uint64_t now_us, struct question *question)
{
    for (int i = 0; i < question->zone->upstream_count; i++) {
        const struct upstream *u = &f->upstreams[question->zone->upstreams[i]];
        if (!lower_case_may(f, now_us, question, i))
            continue;
        bool cookie = f->config.cookies && u->health != UPSTREAM_DEAD &&
                      upstream_cookie_len(u, now_us) > 0 &&
                      !choice_in(question->plain | question->no_cookie, i) &&
                      question->sends[i] < UPSTREAM_SENDS_MAX && !question->tcp_only;
        question->no_case |= (uint16_t)((unsigned)cookie << i);
        if (cookie && attempt_ask(f, now_us, question, i)) {
            question_wait_until(f, question, now_us + upstream_early_us(u));
            return true;
        }
        question->no_case &= (uint16_t) ~(1u << i);
        if (schedule_lower_case(f, now_us, question, i))
            return true;
    }
    return false;
}

// True if an upstream is still to be asked in lower case, once there is an attempt or a connection.
static bool lower_case_waits(const struct forward *f, uint64_t now_us,
                             const struct question *question)
{
    for (int i = 0; i < question->zone->upstream_count; i++) {
        if (lower_case_may(f, now_us, question, i) && attempt_may_ask_tcp(f, now_us, question, i))
            return true;
    }
    return false;
}

// Asks an upstream over TCP that had truncated its reply, and was passed over for a faster one
// which is late now: it has the answer. False: there is none, or it cannot be asked.
static bool truncated_next(struct forward *f, uint64_t now_us, struct question *question)
{
    for (int i = 0; i < question->zone->upstream_count; i++) {
        if (!choice_in(question->truncated, i))
            continue;
        bool may = attempt_may_ask_tcp(f, now_us, question, i) && !choice_in(question->out, i) &&
                   question->tcp_sends[i] == 0;
        bool asked = may && attempt_ask_tcp(f, now_us, question, i);
        if (asked || !may)
            question->truncated &= (uint16_t) ~(1u << i);
        if (asked) {
            question_wait_until(f, question, now_us + QUESTION_TCP_US);
            return true;
        }
    }
    return false;
}

// True if it waits for a reply that may still come.
static bool is_awaited(const struct question *question)
{
    const struct attempt *a = question->attempts;
    while (a && a->refused)
        a = a->next;
    return a != NULL;
}

// Deferred attempts have not been sent over TCP yet.
static void deferred_note(struct question *question)
{
    for (const struct attempt *a = question->attempts; a; a = a->next)
        question->truncated |= (uint16_t)((unsigned)a->deferred << a->choice);
}

// True if an upstream had time to fail the question. It had not where there was no free source port
// or connection for that long, for which other questions may be the reason.
static bool has_been_asked(const struct forward *f, uint64_t now_us,
                           const struct question *question)
{
    bool tcp = false;
    for (int i = 0; i < question->zone->upstream_count; i++)
        tcp |= question->tcp_sends[i] > 0;
    bool wants_tcp = question->truncated || question->tcp_only;
    bool silent = question->first_sent_us != 0 && (tcp || !wants_tcp) &&
                  now_us - question->first_sent_us >= SILENT_US;
    return silent || question->rcode != RCODE_NOERROR || question->out ||
           upstream_all_dead(question->zone, f->upstreams);
}

// Anyone can forge a report that an upstream is unreachable. Until when may a reply come all the
// same, to a send of this question, or, where it could not be sent, of others? 0: no upstream was
// reported.
static uint64_t gone_until_us(const struct forward *f, const struct question *question,
                              bool unreachable)
{
    uint64_t until_us = unreachable ? question->started_us + GONE_US : 0;
    for (const struct attempt *a = question->attempts; a; a = a->next) {
        const struct upstream *u = &f->upstreams[a->upstream];
        uint64_t tails_us = u->latency.total > 0 ? GONE_TAILS * (uint64_t)upstream_late_us(u) : 0;
        uint64_t a_us = a->sent_us + (tails_us > GONE_US ? tails_us : GONE_US);
        if (a->refused && a->sent_us != 0 && a_us > until_us)
            until_us = a_us;
    }
    return until_us;
}

// All upstreams were reported unreachable. The question goes on, as that may be forged, but its
// clients may get a stale answer.
static void hopeless_tell(struct forward *f, struct question *question)
{
    if (question->hopeless)
        return;
    question->hopeless = true;
    question->next_hopeless = f->hopeless;
    f->hopeless = question;
}

// When one of its attempts over TCP will be late; UINT64_MAX: none will.
static uint64_t overdue_us(uint64_t now_us, const struct question *question)
{
    uint64_t due_us = UINT64_MAX;
    for (const struct attempt *a = question->attempts; a; a = a->next) {
        uint64_t a_us = (a->queued ? now_us : a->sent_us) + QUESTION_TCP_US;
        if (attempt_has_connection(a) && !a->deferred && !a->overdue && a_us > now_us &&
            a_us < due_us)
            due_us = a_us;
    }
    return due_us;
}

// Nothing can be sent now. Attempts under way have until the deadline, and so has a question whose
// upstreams may come back; any other fails.
static void send_nothing(struct forward *f, uint64_t now_us, struct question *question)
{
    bool unreachable = all_unreachable(f, question->zone), spent = !has_sends_left(question);
    uint64_t gone_us = gone_until_us(f, question, unreachable);
    const struct attempt *latest = question_latest(question);
    uint64_t latest_us = latest && latest->sent_us != 0 ? latest->sent_us : now_us;
    uint64_t hope_us = latest ? latest_us + HOPE_US : 0;
    // If an upstream has come back since, a client's next query asks it again. But it may have been
    // silent because of this question, and no other question was sent to it.
    bool back = spent && question->recoveries != f->recoveries;
    bool over = !is_awaited(question) && !question->truncated &&
                (unreachable || spent || question->tcp_only) && now_us >= gone_us;
    if (!unreachable && !question_is_expected(question, now_us) && (spent || question->tcp_only)) {
        if (lower_case_next(f, now_us, question))
            return;
        if (lower_case_waits(f, now_us, question)) {
            question_wait_until(f, question, now_us + QUESTION_EXHAUSTED_US);
            return;
        }
    }
    if ((back && now_us >= hope_us) || over) {
        question_fail(f, now_us, question, unreachable ? QUESTION_UNREACHABLE : QUESTION_SILENT);
        return;
    }
    if (unreachable)
        hopeless_tell(f, question);
    probe_start(f, now_us, question->zone);
    uint64_t next_us = upstream_next_probe_us(question->zone, f->upstreams, question->kind, now_us);
    // Questions that wait for the same moment are spread a little.
    if (next_us != UINT64_MAX)
        next_us = (next_us > now_us ? next_us : now_us) + rng_below(&f->rng, WAKE_SPREAD_US);
    if (gone_us > now_us && gone_us < next_us)
        next_us = gone_us;
    // There may still be an upstream to ask in lower case.
    uint64_t late_us = overdue_us(now_us, question);
    if (late_us < next_us)
        next_us = late_us;
    question_wait_until(f, question, back && hope_us < next_us ? hope_us : next_us);
    question->state = QUESTION_IDLE;
}

// The fastest healthy upstream that has not had the question; -1: there is none. An SOA probe has
// no other upstreams.
static int untried_find(const struct forward *f, uint64_t now_us, const struct question *question)
{
    const struct zone *zone = question->zone;
    uint32_t least_us = UINT32_MAX;
    int found = -1;
    for (int i = 0; i < zone->upstream_count && !question->probe; i++) {
        const struct upstream *u = &f->upstreams[zone->upstreams[i]];
        if (question->sends[i] > 0 || choice_in(question->out, i) ||
            !upstream_is_trusted(u, question->kind, now_us) || upstream_early_us(u) >= least_us)
            continue;
        least_us = upstream_early_us(u);
        found = i;
    }
    return found;
}

// How long the upstream that was asked may take before the question is sent again. Where another
// healthy one has not had it, only a few times as long as that one takes: a slow upstream must not
// delay an answer that a fast one has.
static uint64_t patience_us(const struct forward *f, uint64_t now_us,
                            const struct question *question, int choice)
{
    const struct zone *zone = question->zone;
    const struct upstream *asked = &f->upstreams[zone->upstreams[choice]];
    uint64_t patience = (uint64_t)upstream_early_us(asked) << (question->sends[choice] - 1);
    int other = untried_find(f, now_us, question);
    if (other < 0)
        return patience;
    uint64_t enough =
        PATIENCE_FACTOR * (uint64_t)upstream_early_us(&f->upstreams[zone->upstreams[other]]);
    return enough < patience ? enough : patience;
}

int schedule_better(const struct forward *f, uint64_t now_us, const struct question *question,
                    int choice)
{
    const struct zone *zone = question->zone;
    int other = untried_find(f, now_us, question);
    if (other < 0)
        return -1;
    uint64_t other_us = upstream_early_us(&f->upstreams[zone->upstreams[other]]);
    uint64_t asked_us = upstream_early_us(&f->upstreams[zone->upstreams[choice]]);
    return PATIENCE_FACTOR * other_us < asked_us ? other : -1;
}

void schedule_ask(struct forward *f, uint64_t now_us, struct question *question, int choice)
{
    if (f->upstreams[question->zone->upstreams[choice]].over_tcp) {
        bool asked = attempt_ask_tcp(f, now_us, question, choice);
        question_wait_until(f, question,
                            now_us + (asked ? QUESTION_TCP_US : QUESTION_EXHAUSTED_US));
        return;
    }
    bool sent = attempt_ask(f, now_us, question, choice);
    uint64_t wait_us = sent ? patience_us(f, now_us, question, choice) : QUESTION_EXHAUSTED_US;
    // Another upstream may come back meanwhile.
    question_wait_until(f, question, now_us + (wait_us < LOOK_AGAIN_US ? wait_us : LOOK_AGAIN_US));
}

void schedule_put_off(struct forward *f, uint64_t now_us, struct question *question)
{
    int other = untried_find(f, now_us, question);
    if (other >= 0)
        schedule_ask(f, now_us, question, other);
    else
        question_wait_until(f, question, now_us + QUESTION_EXHAUSTED_US);
}

// The upstream that the zone's strategy chooses for the next send over this transport.
static int whom(struct forward *f, uint64_t now_us, const struct question *question, bool first,
                const uint8_t *sends)
{
    struct choice choice = {.zone = question->zone,
                            .upstreams = f->upstreams,
                            .sends = sends,
                            .kind = question->kind,
                            .first = first,
                            .now_us = now_us};
    return upstream_choose(&choice, &f->rng);
}

// The next upstream to ask: if the one that was asked is slow, a fast one that has not had the
// question; else the strategy's choice.
static int datagram_whom(struct forward *f, uint64_t now_us, const struct question *question)
{
    const struct attempt *latest = question_latest(question);
    int better = latest ? schedule_better(f, now_us, question, latest->choice) : -1;
    if (better >= 0)
        return better;
    uint8_t sends[ZONE_UPSTREAMS_MAX];
    sends_of(f, question, TRANSPORT_UDP, sends);
    return whom(f, now_us, question, question->first_sent_us == 0, sends);
}

static bool datagram_next(struct forward *f, uint64_t now_us, struct question *question)
{
    int choice = datagram_whom(f, now_us, question);
    if (choice < 0)
        return false;
    schedule_ask(f, now_us, question, choice);
    return true;
}

// The upstream to ask over TCP. Moving a question to TCP gives its datagrams up, and with them the
// replies that might have shown an upstream alive: so those that seem dead are asked once, too.
static int tcp_whom(struct forward *f, uint64_t now_us, const struct question *question,
                    const uint8_t *sends)
{
    int choice = whom(f, now_us, question, false, sends);
    if (!question->tcp_only || (choice >= 0 && sends[choice] == 0))
        return choice;
    int seems_dead = -1;
    for (int i = question->zone->upstream_count; i-- > 0;) {
        if (sends[i] == 0 && upstream_is_there(&f->upstreams[question->zone->upstreams[i]]))
            return i;
        if (sends[i] == 0)
            seems_dead = i;
    }
    return seems_dead >= 0 ? seems_dead : choice;
}

// An upstream was silent to all datagrams with the name in mixed case, and has returned no such
// name: it may not support 0x20 case.
static void case_doubt(struct forward *f, uint64_t now_us, struct question *question, int choice)
{
    const struct upstream *u = &f->upstreams[question->zone->upstreams[choice]];
    if (f->config.random_case && !question->tcp_only && !u->over_tcp &&
        question->sends[choice] >= UPSTREAM_SENDS_MAX &&
        support_case_doubted(&u->support, now_us) && question_is_mixed_case(question))
        question->no_case |= (uint16_t)(1u << choice);
}

// False: no upstream can be asked. Where there is no free attempt or connection, tries again in a
// moment.
static bool tcp_next(struct forward *f, uint64_t now_us, struct question *question)
{
    uint8_t sends[ZONE_UPSTREAMS_MAX];
    bool later = false;
    int choice;
    sends_of(f, question, TRANSPORT_TCP, sends);
    while ((choice = tcp_whom(f, now_us, question, sends)) >= 0) {
        case_doubt(f, now_us, question, choice);
        if (attempt_ask_tcp(f, now_us, question, choice)) {
            question_wait_until(f, question, now_us + QUESTION_TCP_US);
            return true;
        }
        later |= question->tcp_only && attempt_may_ask_tcp(f, now_us, question, choice);
        sends[choice] = UPSTREAM_SENDS_MAX;
    }
    if (later)
        question_wait_until(f, question, now_us + QUESTION_EXHAUSTED_US);
    return later;
}

// The last send to each upstream is no probe: it is kept for when that is back.
static bool probe_next(struct forward *f, uint64_t now_us, struct question *question)
{
    if (copies_send(f, now_us, question, UPSTREAM_SENDS_MAX - 1, false) == 0)
        return false;
    question_wait_until(f, question, now_us + PROBE_WAIT_US);
    return true;
}

void schedule_go_on(struct forward *f, uint64_t now_us, struct question *question)
{
    if (question->probe) {
        if (!question->attempts)
            question_fail(f, now_us, question, QUESTION_SILENT);
        return;
    }
    upstreams_age(question->zone, f->upstreams, now_us);
    bool datagrams = !question->tcp_only;
    if (datagrams && (datagram_next(f, now_us, question) || probe_next(f, now_us, question)))
        return;
    if (!tcp_next(f, now_us, question))
        send_nothing(f, now_us, question);
}

void schedule_go_elsewhere(struct forward *f, uint64_t now_us, struct question *question)
{
    uint8_t sends[ZONE_UPSTREAMS_MAX];
    sends_of(f, question, question->tcp_only ? TRANSPORT_TCP : TRANSPORT_UDP, sends);
    int other = whom(f, now_us, question, false, sends);
    if (!is_awaited(question) || (other >= 0 && sends[other] == 0))
        schedule_go_on(f, now_us, question);
}

void schedule_upstream_out(struct forward *f, uint64_t now_us, struct question *question,
                           int choice)
{
    question->out |= (uint16_t)(1u << choice);
    schedule_go_elsewhere(f, now_us, question);
}

// Sends it to the zone's number `choice`, over the transport that one is alive over.
static bool ask(struct forward *f, uint64_t now_us, struct question *question, int choice)
{
    bool tcp = f->upstreams[question->zone->upstreams[choice]].over_tcp;
    return attempt_ask_over(f, now_us, question, choice, tcp ? TRANSPORT_TCP : TRANSPORT_UDP);
}

// Spends a resend of the budget of all, of which `reserve` units are left alone, and of those of
// its kind and of the network that asks. False: one of them has none.
static bool resend_spend(struct forward *f, const struct question *question, uint32_t reserve)
{
    struct budget *kind = &forward_share(f, question->kind)->budget;
    struct budget *network = &forward_network(f, &question->network)->resends;
    return kind->units >= BUDGET_SEND && f->budget.units > reserve &&
           budget_spend_both(&f->budget, network) && budget_spend(kind);
}

void schedule_hasten(struct forward *f, uint64_t now_us, struct question *question)
{
    int other = question->tcp_only ? -1 : untried_find(f, now_us, question);
    if (other >= 0 && resend_spend(f, question, 0))
        schedule_ask(f, now_us, question, other);
}

// True if a living upstream of the zone owes so many replies that it may be dead.
static bool zone_is_suspect(const struct forward *f, const struct zone *zone)
{
    for (int i = 0; i < zone->upstream_count; i++) {
        const struct upstream *u = &f->upstreams[zone->upstreams[i]];
        if (u->health == UPSTREAM_ALIVE && u->overdue >= UPSTREAM_OVERDUE_DEAD)
            return true;
    }
    return false;
}

// Marks the sends that are late by now.
static void overdue_note(struct forward *f, uint64_t now_us, struct question *question)
{
    for (struct attempt *a = question->attempts; a; a = a->next) {
        struct upstream *u = &f->upstreams[a->upstream];
        if (a->sent_us == 0 || a->overdue || a->refused || attempt_has_connection(a) ||
            now_us - a->sent_us < upstream_early_us(u))
            continue;
        a->overdue = true;
        upstream_overdue(u, a->kind, a->sent_us, now_us);
    }
    if (zone_is_suspect(f, question->zone))
        probe_start(f, now_us, question->zone);
}

// True if the upstream that was asked last is silent to all, while another healthy one has not had
// the question. A send there is no extra load, as that one would have had the question anyway.
static bool is_relieved(const struct forward *f, uint64_t now_us, const struct question *question,
                        const struct upstream *asked)
{
    return asked->overdue >= UPSTREAM_OVERDUE_DEAD && upstream_owes(asked, KIND_PROBE, now_us) &&
           untried_find(f, now_us, question) >= 0;
}

// How long after the latest send the next one may be sent; 0: now. The wait doubles with each send
// to the same upstream. Half of the budget is for resends before the slow mode's time, and the rest
// for those after it.
static uint64_t resend_wait_us(struct forward *f, uint64_t now_us, const struct question *question)
{
    const struct attempt *latest = question_latest(question);
    if (!latest || latest->sent_us == 0)
        return 0;
    uint64_t age_us = now_us - latest->sent_us;
    if (attempt_has_connection(latest))
        return age_us < QUESTION_TCP_US ? QUESTION_TCP_US - age_us : 0;
    const struct upstream *u = &f->upstreams[latest->upstream];
    unsigned before = question->sends[latest->choice] - 1u;
    uint64_t early_us = patience_us(f, now_us, question, latest->choice);
    early_us = early_us < FREE_MAX_US ? early_us : FREE_MAX_US;
    uint64_t late_us = (uint64_t)upstream_late_us(u) << before;
    uint64_t free_us = FREE_FACTOR * late_us;
    free_us = free_us > FREE_MIN_US ? free_us : FREE_MIN_US;
    free_us = free_us < FREE_MAX_US ? free_us : FREE_MAX_US;
    if (schedule_better(f, now_us, question, latest->choice) >= 0)
        free_us = FREE_MIN_US;
    else if (free_us > FREE_ELSEWHERE_US && untried_find(f, now_us, question) >= 0)
        free_us = FREE_ELSEWHERE_US;
    uint32_t reserve = age_us < late_us ? f->budget.units_max / 2 : 0;
    if (age_us + WHEEL_TICK_US < early_us)
        return early_us - age_us;
    if (age_us >= free_us || is_relieved(f, now_us, question, u) ||
        resend_spend(f, question, reserve))
        return 0;
    forward_count(f, COUNTER_resends_deferred);
    return (age_us < late_us && late_us < free_us ? late_us : free_us) - age_us;
}

void schedule_begin(struct forward *f, uint64_t now_us, struct question *question)
{
    question->started_us = now_us;
    question->recoveries = f->recoveries;
    question->kind = kind_of_key(&question->key, f->kind_secret);
    question->deadline_us = now_us + FORWARD_DEADLINE_US;
    if (f->config.random_case)
        rng_bytes(&f->rng, question->name_case.bits, (key_name_len(&question->key) + 7u) / 8);
}

void schedule_start(struct forward *f, uint64_t now_us, struct question *question)
{
    schedule_begin(f, now_us, question);
    budget_give(&f->budget, 1);
    budget_give(&f->probe_budget, 1);
    budget_give(&f->loss_budget, 1);
    budget_give(&forward_share(f, question->kind)->budget, 1);
    struct network_share *network = forward_network(f, &question->network);
    budget_give(&network->resends, 1);
    budget_give(&network->losses, 1);
    schedule_go_on(f, now_us, question);
    if (!question_is_open(question))
        return;
    // An unknown upstream is not asked alone.
    const struct attempt *first = question->attempts;
    bool trusted =
        first && upstream_is_trusted(&f->upstreams[first->upstream], question->kind, now_us);
    if (first && !trusted) {
        uint8_t sends[ZONE_UPSTREAMS_MAX];
        sends_of(f, question, TRANSPORT_UDP, sends);
        int second = whom(f, now_us, question, false, sends);
        if (second >= 0 && sends[second] == 0 && resend_spend(f, question, 0) &&
            ask(f, now_us, question, second))
            question->attempts->duplicate = true;
    }
    if (trusted)
        (void)copies_send(f, now_us, question, 1, true);
    probe_start(f, now_us, question->zone);
}

bool schedule_expire(struct forward *f, uint64_t now_us, struct question *question)
{
    overdue_note(f, now_us, question);
    if (now_us < question->deadline_us)
        return false;
    enum question_state end = QUESTION_SILENT;
    deferred_note(question);
    if (all_unreachable(f, question->zone) && !is_awaited(question))
        end = QUESTION_UNREACHABLE;
    else if (!has_been_asked(f, now_us, question))
        end = QUESTION_UNASKED;
    question_fail(f, now_us, question, end);
    return true;
}

void schedule_due(struct forward *f, uint64_t now_us, struct question *question)
{
    // All others are reported unreachable: asking in lower case does not wait for them.
    if (!is_awaited(question) && lower_case_next(f, now_us, question))
        return;
    uint64_t wait_us = question->state == QUESTION_IDLE ? 0 : resend_wait_us(f, now_us, question);
    if (wait_us > 0) {
        wait_us = wait_us < LOOK_AGAIN_US ? wait_us : LOOK_AGAIN_US;
        question_wait_until(f, question, now_us + wait_us);
        return;
    }
    if (truncated_next(f, now_us, question))
        return;
    // An upstream that truncated its reply has the answer: no other is asked again meanwhile.
    if (question->truncated)
        schedule_put_off(f, now_us, question);
    else if (!lower_case_next(f, now_us, question))
        schedule_go_on(f, now_us, question);
}

// Gives up what is asked apart of those upstreams that can be asked otherwise now, which want it
// over TCP then. False: there are none.
static bool apart_leave(struct forward *f, uint64_t now_us, struct question *question)
{
    uint16_t again = 0;
    struct attempt *next;
    for (int i = 0; i < question->zone->upstream_count; i++) {
        const struct upstream *u = &f->upstreams[question->zone->upstreams[i]];
        bool asked = question->tcp_sends[i] > 0 || question->cuts[i] > 0;
        if (!choice_in(question->out, i) && asked && now_us >= u->tcp_retry_us)
            again |= (uint16_t)(1u << i);
    }
    for (struct attempt *attempt = question->attempts; attempt; attempt = next) {
        next = attempt->next;
        if (!attempt_has_connection(attempt) ||
            f->connections.slots[attempt->slot].lane != LANE_APART ||
            now_us < f->upstreams[attempt->upstream].tcp_retry_us)
            continue;
        again |= (uint16_t)(1u << attempt->choice);
        attempt_drop(f, attempt);
    }
    question->truncated |= again;
    return again != 0;
}

void schedule_joined(struct forward *f, uint64_t now_us, struct question *question)
{
    if (!question->apart || attempt_networks_stall(f, now_us, question) ||
        !apart_leave(f, now_us, question))
        return;
    question->apart = false;
    question->suspect = 0;
    memset(question->cuts, 0, sizeof question->cuts);
    memset(question->tcp_sends, 0, sizeof question->tcp_sends);
    for (const struct attempt *a = question->attempts; a; a = a->next)
        question->tcp_sends[a->choice] += attempt_has_connection(a) && !a->deferred;
    if (!truncated_next(f, now_us, question))
        question_wait_until(f, question, now_us + QUESTION_EXHAUSTED_US);
}

void schedule_wake(struct forward *f, uint64_t now_us, uint16_t back)
{
    for (struct question *question = f->questions.oldest; question; question = question->younger) {
        const struct attempt *latest = question_latest(question);
        bool silent = false;
        if (latest && latest->sent_us != 0 && !attempt_has_connection(latest)) {
            const struct upstream *u = &f->upstreams[latest->upstream];
            silent =
                (latest->upstream == back || !upstream_is_trusted(u, question->kind, now_us)) &&
                now_us - latest->sent_us >= upstream_early_us(u);
        }
        if ((question->state != QUESTION_IDLE && !silent) || question->probe)
            continue;
        question_wait_until(f, question, now_us + rng_below(&f->rng, WAKE_SPREAD_US));
        question->state = QUESTION_IDLE;
    }
}
