// SPDX-License-Identifier: MIT
#include "core/forward/upstream.h"

#include "tests/unit/packet.h"

#define NOW_US 1000000000000000u
#define MS     1000u
#define S      1000000u

#define KIND 1000u

static struct rng rng_of(uint8_t first)
{
    struct rng rng;
    uint8_t seed[32] = {first};
    rng_seed(&rng, seed);
    return rng;
}

static struct upstream unknown(void)
{
    struct rng rng = rng_of(1);
    struct upstream upstream;
    memset(&upstream, 0xa5, sizeof upstream);
    upstream_init(&upstream, &rng, NOW_US);
    return upstream;
}

static void replies(struct upstream *u, uint32_t us, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        upstream_sent(u, TRANSPORT_UDP, NOW_US);
        upstream_replied(u, KIND, NOW_US - us, NOW_US, TRANSPORT_UDP, true);
    }
}

// One that answers in that time and owes nothing.
static struct upstream alive(uint32_t us)
{
    struct upstream upstream = unknown();
    replies(&upstream, us, 16);
    return upstream;
}

static void test_new_one_is_unknown_and_has_a_cookie_of_its_own(void **state)
{
    (void)state;
    struct rng rng = rng_of(1);
    struct upstream a, b;
    memset(&a, 0xa5, sizeof a);
    upstream_init(&a, &rng, NOW_US);
    upstream_init(&b, &rng, NOW_US);
    assert_int_equal(a.health, UPSTREAM_UNKNOWN);
    assert_int_equal(a.overdue + a.loss_pm + a.in_flight + a.cookie_server_len, 0);
    assert_int_equal(a.support.no_edns_until_us + a.tcp_retry_us + a.probe_us, 0);
    assert_false(a.gone || a.support.no_case_until_us > 0 || upstream_is_trusted(&a, KIND, NOW_US));
    assert_memory_not_equal(a.cookie, b.cookie, sizeof a.cookie);
}

static void test_first_reply_makes_it_alive_whatever_it_was(void **state)
{
    (void)state;
    for (unsigned health = 0; health <= UPSTREAM_DEAD; health++) {
        struct upstream u = unknown();
        u.health = (uint8_t)health;
        u.overdue = 3;
        u.gone = true;
        upstream_sent(&u, TRANSPORT_UDP, NOW_US);
        assert_int_equal(u.in_flight, 1);
        upstream_replied(&u, KIND, NOW_US - 7 * MS, NOW_US, TRANSPORT_UDP, true);
        assert_int_equal(u.in_flight, 0);
        assert_int_equal(u.health, UPSTREAM_ALIVE);
        assert_true(upstream_is_trusted(&u, KIND, NOW_US) && !u.gone && u.reply_us == NOW_US);
        assert_int_equal(u.latency.total, 1);
        assert_true(u.reply_sent_us == NOW_US - 7 * MS);
    }
}

// A connection says nothing about datagrams: a dead one is there over TCP alone, until one of those
// comes back or TCP fails too.
static void test_reply_over_tcp_makes_a_dead_one_usable_over_tcp(void **state)
{
    (void)state;
    for (unsigned health = 0; health <= UPSTREAM_DEAD; health++) {
        struct upstream u = unknown();
        u.health = (uint8_t)health;
        u.gone = health == UPSTREAM_DEAD;
        upstream_sent(&u, TRANSPORT_TCP, NOW_US);
        upstream_replied(&u, KIND, NOW_US - 7 * MS, NOW_US, TRANSPORT_TCP, true);
        assert_int_equal(u.health, health == UPSTREAM_DEAD ? UPSTREAM_DEAD : UPSTREAM_ALIVE);
        assert_int_equal(u.over_tcp, health == UPSTREAM_DEAD);
        assert_true(upstream_is_trusted(&u, KIND, NOW_US) && upstream_is_there(&u) && !u.gone);
        assert_int_equal(u.latency.total + u.reply_sent_us, 0);
        if (!u.over_tcp)
            continue;
        struct upstream again = u;
        upstream_sent(&again, TRANSPORT_UDP, NOW_US);
        upstream_replied(&again, KIND, NOW_US, NOW_US + 1, TRANSPORT_UDP, true);
        assert_true(again.health == UPSTREAM_ALIVE && !again.over_tcp);
        again = u;
        upstream_tcp_overdue(&again, NOW_US); // it has replied since
        assert_true(upstream_is_there(&again));
        upstream_tcp_overdue(&again, NOW_US + 1);
        assert_false(upstream_is_there(&again));
        upstream_tcp_failed(&u, NOW_US);
        assert_false(upstream_is_there(&u));
    }
}

static void test_unknown_one_is_dead_with_its_first_late_send(void **state)
{
    (void)state;
    struct upstream u = unknown();
    upstream_overdue(&u, KIND, NOW_US, NOW_US + 1);
    assert_int_equal(u.health, UPSTREAM_DEAD);
    assert_true(u.silent_since_us == NOW_US);
}

struct overdue_row {
    const char *name;
    unsigned sends;   // late ones, all of them sent one after the other
    uint64_t gap_us;  // from one to the next
    uint64_t late_us; // and how long after its send each is found late
    unsigned kinds;   // that they are of, in turn
    bool probe;       // the last of them is a probe
    enum upstream_health health;
    bool owes_all; // to whatever kind
};

static const struct overdue_row overdue_rows[] = {
    {"two late sends over a second", 2, 900 * MS, 100 * MS, 2, true, UPSTREAM_ALIVE, true},
    {"three late sends within 249 ms", 3, 100 * MS, 49 * MS, 3, true, UPSTREAM_ALIVE, true},
    {"three late sends over 250 ms", 3, 100 * MS, 50 * MS, 3, true, UPSTREAM_DEAD, true},
    {"three late sends of one kind and no probe", 3, 100 * MS, 50 * MS, 1, false, UPSTREAM_ALIVE,
     false},
    {"three late sends of three kinds and no probe", 3, 100 * MS, 50 * MS, 3, false, UPSTREAM_ALIVE,
     true},
    {"a hundred late sends of two kinds and no probe", 100, 2 * MS, 60 * MS, 2, false,
     UPSTREAM_ALIVE, false},
    {"a hundred late sends at once", 100, 0, 249 * MS, 9, true, UPSTREAM_ALIVE, true},
    {"a hundred late sends over a quarter of a second", 100, 2 * MS, 60 * MS, 9, true,
     UPSTREAM_DEAD, true},
    {"three hundred late sends", 300, 1 * MS, 10 * MS, 1, true, UPSTREAM_DEAD, true},
};

static void test_overdue_row(void **state)
{
    const struct overdue_row *row = *state;
    struct upstream u = alive(1000);
    uint64_t now_us = NOW_US;
    for (unsigned i = 0; i < row->sends; i++) {
        uint64_t sent_us = NOW_US + 1 + i * row->gap_us;
        bool probe = row->probe && i + 1 == row->sends;
        now_us = sent_us + row->late_us;
        upstream_overdue(&u, probe ? KIND_PROBE : KIND + i % row->kinds, sent_us, now_us);
        assert_false(upstream_is_trusted(&u, KIND, now_us));
    }
    assert_int_equal(u.health, row->health);
    assert_true(u.silent_since_us == NOW_US + 1);
    assert_int_equal(upstream_owes(&u, KIND - 1, now_us), row->owes_all);
    // A reply ends the row.
    upstream_sent(&u, TRANSPORT_UDP, NOW_US);
    upstream_replied(&u, KIND, NOW_US, NOW_US + 5 * S, TRANSPORT_UDP, true);
    assert_true(upstream_is_trusted(&u, KIND, NOW_US + 5 * S));
    upstream_overdue(&u, KIND, NOW_US + 6 * S, NOW_US + 7 * S);
    upstream_overdue(&u, KIND, NOW_US + 6 * S, NOW_US + 7 * S);
    assert_int_equal(u.health, UPSTREAM_ALIVE);
}

// A reply to a probe vouches for it: what it is silent to after that is those kinds' own affair.
static void test_probe_vouches_for_a_moment(void **state)
{
    (void)state;
    struct upstream u = alive(1000);
    upstream_sent(&u, TRANSPORT_UDP, NOW_US);
    upstream_replied(&u, KIND_PROBE, NOW_US - 1, NOW_US, TRANSPORT_UDP, false);
    for (unsigned i = 0; i < 9; i++)
        upstream_overdue(&u, KIND + i, NOW_US + 1, NOW_US + 20 * MS);
    assert_false(upstream_owes(&u, KIND - 1, NOW_US + 249 * MS));
    assert_true(upstream_owes(&u, KIND, NOW_US + 249 * MS));
    assert_true(upstream_owes(&u, KIND - 1, NOW_US + 250 * MS));
}

// Questions that others answer, one after the other, cost it the trust; one answer gives it back.
static void test_failing_is_not_trusted_until_it_answers(void **state)
{
    (void)state;
    struct upstream u = alive(1000);
    for (unsigned i = 0; i + 1 < UPSTREAM_FAILED_FAILS; i++)
        upstream_failed(&u, KIND + i, NOW_US + i);
    assert_true(upstream_is_trusted(&u, KIND, NOW_US) && !upstream_fails(&u, KIND));
    upstream_answered(&u);
    for (unsigned i = 0; i < 1000; i++) {
        assert_true(upstream_fails(&u, KIND + 2000) == (i >= UPSTREAM_FAILED_FAILS));
        upstream_failed(&u, KIND + i, NOW_US + i);
    }
    assert_false(upstream_is_trusted(&u, KIND, NOW_US));
    assert_int_equal(u.health, UPSTREAM_ALIVE);
    assert_true(u.silent_since_us == NOW_US + UPSTREAM_FAILED_FAILS - 1);
    upstream_answered(&u);
    assert_true(upstream_is_trusted(&u, KIND, NOW_US) && !upstream_fails(&u, KIND));
    // What it fails of one kind is held against that kind.
    for (unsigned i = 0; i < 1000; i++)
        upstream_failed(&u, KIND, NOW_US + i);
    assert_true(upstream_fails(&u, KIND) && !upstream_fails(&u, KIND + 1));
    assert_false(upstream_fails_all(&u));
}

// What was sent later was answered: the network lost one, the server owes nothing.
static void test_loss_among_replies_does_not_count_against_it(void **state)
{
    (void)state;
    struct upstream u = alive(1000);
    for (unsigned i = 0; i < 10; i++)
        upstream_overdue(&u, KIND, u.reply_sent_us - 1, NOW_US + 10 * S);
    assert_int_equal(u.overdue, 0);
    assert_true(upstream_is_trusted(&u, KIND, NOW_US));
    upstream_overdue(&u, KIND, u.reply_sent_us, NOW_US + 10 * S);
    assert_int_equal(u.overdue, 1);
}

static void test_latest_send_that_was_answered_counts(void **state)
{
    (void)state;
    struct upstream u = alive(1000);
    uint64_t latest_us = u.reply_sent_us;
    upstream_sent(&u, TRANSPORT_UDP, NOW_US);
    upstream_replied(&u, KIND, latest_us - 500 * MS, NOW_US, TRANSPORT_UDP,
                     true); // an older one, late
    assert_true(u.reply_sent_us == latest_us);
    upstream_sent(&u, TRANSPORT_UDP, NOW_US);
    upstream_replied(&u, KIND, latest_us + 1, NOW_US, TRANSPORT_UDP, true);
    assert_true(u.reply_sent_us == latest_us + 1);
}

static void test_loss_is_smoothed(void **state)
{
    (void)state;
    struct upstream u = alive(1000);
    assert_int_equal(u.loss_pm, 0);
    upstream_sent(&u, TRANSPORT_UDP, NOW_US);
    upstream_lost(&u, true);
    assert_int_equal(u.in_flight, 0);
    assert_int_equal(u.loss_pm, 1000 / 32);
    for (unsigned i = 0; i < 1000; i++) {
        upstream_sent(&u, TRANSPORT_UDP, NOW_US);
        if (i % 4 == 0)
            upstream_lost(&u, true);
        else
            upstream_replied(&u, KIND, NOW_US, NOW_US + 1, TRANSPORT_UDP, true);
    }
    assert_in_range(u.loss_pm, 180, 320); // a quarter
    for (unsigned i = 0; i < 1000; i++) {
        upstream_sent(&u, TRANSPORT_UDP, NOW_US);
        upstream_lost(&u, true);
    }
    assert_in_range(u.loss_pm, 960, 1000);
    replies(&u, 1000, 300);
    assert_in_range(u.loss_pm, 0, 32);
    // An unknown upstream changes nothing.
    upstream_sent(&u, TRANSPORT_UDP, NOW_US);
    uint16_t loss_pm = u.loss_pm;
    upstream_forgotten(&u);
    assert_int_equal(u.loss_pm, loss_pm);
    assert_int_equal(u.in_flight, 0);
}

static void test_unreachable_is_dead_at_once_and_gone_until_another_reply(void **state)
{
    (void)state;
    struct upstream u = alive(1000);
    uint64_t later_us = NOW_US + 2 * S;
    assert_true(upstream_unreachable(&u, later_us - 1, later_us));
    assert_int_equal(u.health, UPSTREAM_DEAD);
    assert_true(u.gone && u.silent_since_us == later_us && u.probe_us == later_us + 100 * MS);
    assert_true(upstream_unreachable(&u, later_us, later_us + 50 * MS));
    assert_true(u.silent_since_us == later_us && u.probe_us == later_us + 150 * MS);
    // A probe that is due later stays so.
    u.probe_us = later_us + 5 * S;
    assert_true(upstream_unreachable(&u, later_us, later_us + 60 * MS));
    assert_true(u.probe_us == later_us + 5 * S);
    // Silence is not the same as an unreachable report.
    upstream_overdue(&u, KIND, later_us + 100 * MS, later_us + 200 * MS);
    assert_false(u.gone);
    assert_int_equal(u.health, UPSTREAM_DEAD);
    assert_true(u.silent_since_us == later_us);
}

// Anyone can forge it, so it does not count for one that has just replied, or has replied since.
static void test_unreachable_is_not_believed_of_one_that_replies(void **state)
{
    (void)state;
    struct upstream u = alive(1000);
    assert_false(upstream_unreachable(&u, NOW_US, NOW_US + 999 * MS));
    assert_int_equal(u.health, UPSTREAM_ALIVE);
    u.reply_sent_us = NOW_US + 3 * S;
    assert_false(upstream_unreachable(&u, NOW_US + 3 * S - 1, NOW_US + 9 * S));
    assert_false(u.gone);
    // But we know what we could not even send.
    assert_true(upstream_unreachable(&u, 0, NOW_US));
    assert_int_equal(u.health, UPSTREAM_DEAD);
}

struct wait_row {
    const char *name;
    uint32_t sample_us;
    unsigned samples;
    uint32_t slow_us;
    unsigned slow_samples;
    uint32_t early_us, late_us;
};

// 1000 us fall into a bucket that ends at 1024, 40 ms at 40.96, 100 ms at 114.688.
static const struct wait_row wait_rows[] = {
    {"wait without a sample", 0, 0, 0, 0, 150000, 300000},
    {"wait after one fast sample", 1000, 1, 0, 0, 30000, 60000},
    {"wait after one sample of 40 ms", 40000, 1, 0, 0, 102400, 204800},
    {"wait after seven samples", 40000, 7, 0, 0, 102400, 204800},
    {"wait after eight samples", 40000, 8, 0, 0, 51200, 102400},
    {"wait has a least", 1000, 8, 0, 0, 10000, 30000},
    {"wait late follows the slow mode", 1000, 80, 100000, 20, 10000, 172032},
    {"wait has a most", 5000000, 20, 0, 0, 1500000, 1500000},
    {"wait late has a most", 1000, 80, 5000000, 20, 10000, 1500000},
};

static void test_wait_row(void **state)
{
    const struct wait_row *row = *state;
    struct upstream u = unknown();
    replies(&u, row->sample_us, row->samples);
    replies(&u, row->slow_us, row->slow_samples);
    while (u.latency.fresh > 0 && u.latency.total > 16)
        replies(&u, row->sample_us, 1);
    assert_int_equal(upstream_early_us(&u), row->early_us);
    assert_int_equal(upstream_late_us(&u), row->late_us);
}

static void test_connections_that_fail_are_tried_ever_later(void **state)
{
    (void)state;
    static const uint64_t pauses_ms[] = {500, 1000, 2000, 4000, 8000, 16000, 32000, 32000, 32000};
    struct upstream u = alive(1000);
    for (size_t i = 0; i < COUNT_OF(pauses_ms); i++) {
        upstream_tcp_failed(&u, NOW_US + i * S);
        assert_true(u.tcp_retry_us == NOW_US + i * S + pauses_ms[i] * MS);
    }
    // One that works ends the waiting too: there is a connection to be had.
    upstream_tcp_worked(&u);
    assert_int_equal(u.tcp_failures, 0);
    assert_int_equal(u.tcp_retry_us, 0);
    upstream_tcp_failed(&u, NOW_US);
    assert_true(u.tcp_retry_us == NOW_US + 500 * MS);
}

// --- the choice --------------------------------------------------------------------------------

struct choice_row {
    const char *name;
    enum forward_strategy strategy;
    struct {
        uint32_t us; // that it takes; 0: not known
        uint8_t sends;
        uint8_t overdue;
        uint16_t loss_pm;
        uint32_t in_flight;
        bool dead;
    } upstreams[4];
    size_t count;
    int wanted;
};

#define MS_1  .us = 1000
#define MS_30 .us = 30000

static const struct choice_row choice_rows[] = {
    {"ordered: the first", FORWARD_ORDERED, {{MS_30}, {MS_1}}, 2, 0},
    {"ordered: the first with fewer sends",
     FORWARD_ORDERED,
     {{MS_1, .sends = 1}, {MS_1}, {MS_1}},
     3,
     1},
    {"ordered: the first that is alive",
     FORWARD_ORDERED,
     {{MS_1, .dead = true}, {MS_1}, {MS_1}},
     3,
     1},
    {"ordered: one that is known", FORWARD_ORDERED, {{0}, {0}, {MS_30}}, 3, 2},
    {"ordered: all unknown, the first", FORWARD_ORDERED, {{0}, {0}}, 2, 0},
    {"ordered: one that owes nothing", FORWARD_ORDERED, {{MS_1, .overdue = 1}, {MS_30}}, 2, 1},
    {"ordered: one that owes before one unknown",
     FORWARD_ORDERED,
     {{0}, {MS_30, .overdue = 9}},
     2,
     1},
    {"ordered: fewer sends before all else",
     FORWARD_ORDERED,
     {{MS_1, .sends = 1}, {.sends = 0}},
     2,
     1},
    {"ordered: all dead", FORWARD_ORDERED, {{MS_1, .dead = true}, {.dead = true}}, 2, -1},
    {"ordered: never a dead one, whatever the sends",
     FORWARD_ORDERED,
     {{MS_1, .sends = 2}, {MS_1, .dead = true}},
     2,
     0},
    {"ordered: only one has sends left",
     FORWARD_ORDERED,
     {{MS_1, .sends = 3}, {MS_1, .sends = 2}, {MS_1, .sends = 3}},
     3,
     1},
    {"none has sends left", FORWARD_ORDERED, {{MS_1, .sends = 3}, {MS_1, .sends = 3}}, 2, -1},
    {"none has sends left but a dead one",
     FORWARD_ORDERED,
     {{MS_1, .sends = 3}, {MS_1, .dead = true}},
     2,
     -1},
    {"none has sends left, one more than all", FORWARD_ORDERED, {{MS_1, .sends = 4}}, 1, -1},
    {"no upstream", FORWARD_ORDERED, {{0}}, 0, -1},
    {"random: fewer sends", FORWARD_RANDOM, {{MS_1, .sends = 1}, {MS_1, .sends = 2}, {0}}, 3, 2},
    {"random: alive", FORWARD_RANDOM, {{MS_1, .dead = true}, {.dead = true}, {MS_30}}, 3, 2},
    {"random: known", FORWARD_RANDOM, {{0}, {MS_30}, {0}}, 3, 1},
    {"fastest: fewer sends", FORWARD_FASTEST, {{MS_1, .sends = 1}, {MS_30}}, 2, 1},
    {"fastest: alive", FORWARD_FASTEST, {{MS_1, .dead = true}, {MS_30}}, 2, 1},
    {"fastest: known", FORWARD_FASTEST, {{0}, {MS_30}}, 2, 1},
    {"fastest: owes nothing", FORWARD_FASTEST, {{MS_1, .overdue = 1}, {MS_30}}, 2, 1},
};

// For the first send, if there was none.
static int choose(const struct choice_row *row, struct rng *rng)
{
    bool first = true;
    struct forward_zone settings = {.strategy = row->strategy};
    struct zone zone = {.settings = &settings, .upstream_count = (uint16_t)row->count};
    struct upstream upstreams[20];
    uint8_t sends[ZONE_UPSTREAMS_MAX] = {0};
    for (size_t i = 0; i < row->count; i++) {
        zone.upstreams[i] = (uint16_t)(19 - 3 * i); // the place is not the index
        struct upstream *u = &upstreams[19 - 3 * i];
        *u = row->upstreams[i].us ? alive(row->upstreams[i].us) : unknown();
        u->overdue = row->upstreams[i].overdue;
        if (u->overdue > 0)
            kinds_add(&u->silent_to, KIND);
        u->loss_pm = row->upstreams[i].loss_pm;
        u->in_flight = row->upstreams[i].in_flight;
        if (row->upstreams[i].dead)
            u->health = UPSTREAM_DEAD;
        sends[i] = row->upstreams[i].sends;
        first &= sends[i] == 0;
    }
    struct choice choice = {&zone, upstreams, sends, KIND, first, NOW_US};
    return upstream_choose(&choice, rng);
}

static void test_choice_row(void **state)
{
    struct rng rng = rng_of(1);
    for (unsigned i = 0; i < 500; i++)
        assert_int_equal(choose(*state, &rng), ((const struct choice_row *)*state)->wanted);
}

struct share_row {
    const char *name;
    struct choice_row choice;
    unsigned counts[4][2]; // of 6400 choices each may get from .. to
};

// 100 of 6400 choices are to find out; they go to each alike.
#define MOST 6000, 6400

static const struct share_row share_rows[] = {
    {"random: each equally often",
     {"", FORWARD_RANDOM, {{MS_1}, {MS_30}, {MS_1}, {MS_30}}, 4, 0},
     {{1450, 1750}, {1450, 1750}, {1450, 1750}, {1450, 1750}}},
    {"random: for a resend the fastest that has not had it",
     {"", FORWARD_RANDOM, {{MS_30}, {MS_1, .sends = 1}, {.us = 2000}, {MS_30}}, 4, 0},
     {{0, 0}, {0, 0}, {6400, 6400}, {0, 0}}},
    {"fastest: the fastest, and now and then another",
     {"", FORWARD_FASTEST, {{MS_30}, {MS_1}, {.us = 10000}}, 3, 0},
     {{15, 60}, {MOST}, {15, 60}}},
    {"fastest: one that is alone has nothing to find out",
     {"", FORWARD_FASTEST, {{MS_30}}, 1, 0},
     {{6400, 6400}}},
    {"fastest: one nearly as fast with less in flight",
     {"", FORWARD_FASTEST, {{MS_1, .in_flight = 3}, {.us = 1500, .in_flight = 2}}, 2, 0},
     {{25, 85}, {MOST}}},
    {"fastest: of those the one with the least in flight",
     {"",
      FORWARD_FASTEST,
      {{MS_1, .in_flight = 3},
       {MS_1, .in_flight = 2},
       {MS_1, .in_flight = 1},
       {MS_1, .in_flight = 4}},
      4,
      0},
     {{10, 50}, {10, 50}, {MOST}, {10, 50}}},
    {"fastest: not one that is slower, whatever is in flight",
     {"", FORWARD_FASTEST, {{MS_1, .in_flight = 99}, {.us = 2500}}, 2, 0},
     {{MOST}, {25, 85}}},
    {"fastest: nearly as fast but owing",
     {"", FORWARD_FASTEST, {{MS_1, .in_flight = 9}, {MS_1, .overdue = 1}}, 2, 0},
     {{6400, 6400}, {0, 0}}},
    {"fastest: with a resend the load does not matter",
     {"", FORWARD_FASTEST, {{MS_1, .in_flight = 9, .sends = 1}, {.us = 1500, .sends = 1}}, 2, 0},
     {{MOST}, {25, 85}}},
    {"fastest: what gets lost costs time",
     {"", FORWARD_FASTEST, {{MS_1, .loss_pm = 300}, {.us = 2000}}, 2, 0},
     {{25, 85}, {MOST}}},
    {"fastest: a little loss costs little",
     {"", FORWARD_FASTEST, {{MS_1, .loss_pm = 30}, {.us = 2500}}, 2, 0},
     {{MOST}, {25, 85}}},
};

static void test_share_row(void **state)
{
    const struct share_row *row = *state;
    struct rng rng = rng_of(2);
    unsigned counts[4] = {0};
    for (unsigned i = 0; i < 6400; i++) {
        int choice = choose(&row->choice, &rng);
        assert_in_range(choice, 0, row->choice.count - 1);
        counts[choice]++;
    }
    for (size_t i = 0; i < row->choice.count; i++)
        assert_in_range(counts[i], row->counts[i][0], row->counts[i][1]);
}

// --- probes ------------------------------------------------------------------------------------

struct probes {
    struct forward_zone settings;
    struct zone zone;
    struct upstream upstreams[3];
    uint8_t sends[ZONE_UPSTREAMS_MAX];
    uint64_t next_us;
};

// All of them dead since now.
static struct probes probes_of(uint16_t count)
{
    struct probes t = {.zone = {.upstreams = {0, 1, 2}, .upstream_count = count}};
    for (size_t i = 0; i < COUNT_OF(t.upstreams); i++) {
        t.upstreams[i] = unknown();
        t.upstreams[i].health = UPSTREAM_DEAD;
        t.upstreams[i].tcp_probe_us = UINT64_MAX;
    }
    return t;
}

static int try(struct probes *t, uint64_t now_us)
{
    int choice = upstream_try(&t->zone, t->upstreams, KIND, t->sends, UPSTREAM_SENDS_MAX, now_us);
    t->next_us = upstream_next_probe_us(&t->zone, t->upstreams, KIND, now_us);
    return choice;
}

// A thirty-second of the silence so far, but no less than 100 ms and no more than 1 s.
static void test_probes_are_paced_by_the_silence(void **state)
{
    (void)state;
    static const struct {
        uint64_t silence_us, pause_us;
    } rows[] = {
        {0, 100 * MS},      {3200 * MS, 100 * MS}, {3232 * MS, 101 * MS},
        {16 * S, 500 * MS}, {32 * S, 1 * S},       {3600 * (uint64_t)S, 1 * S},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct probes t = probes_of(1);
        uint64_t now_us = NOW_US + rows[i].silence_us;
        assert_int_equal(try(&t, now_us), 0);
        assert_true(t.upstreams[0].probe_us == now_us + rows[i].pause_us);
        assert_int_equal(try(&t, now_us + rows[i].pause_us - 1), -1);
        assert_true(t.next_us == now_us + rows[i].pause_us);
        assert_int_equal(try(&t, now_us + rows[i].pause_us), 0);
    }
}

static void test_a_minute_of_silence_costs_few_probes(void **state)
{
    (void)state;
    struct probes t = probes_of(1);
    unsigned count = 0;
    for (uint64_t ms = 0; ms < 60000; ms++)
        count += try(&t, NOW_US + ms * MS) == 0 ||
                 upstream_probe(&t.zone, t.upstreams, TRANSPORT_UDP, NOW_US + ms * MS) == 0;
    assert_in_range(count, 100, 150);
}

static void test_probes_go_to_the_one_that_waited_longest(void **state)
{
    (void)state;
    struct probes t = probes_of(3);
    t.upstreams[0].probe_us = NOW_US - 1;
    t.upstreams[1].probe_us = NOW_US - 3;
    t.upstreams[2].probe_us = NOW_US - 2;
    assert_int_equal(try(&t, NOW_US), 1);
    assert_int_equal(try(&t, NOW_US), 2);
    assert_int_equal(try(&t, NOW_US), 0);
    assert_int_equal(try(&t, NOW_US), -1);
    assert_true(t.next_us == NOW_US + 100 * MS);
}

static void test_probes_are_for_untrusted_upstreams(void **state)
{
    (void)state;
    struct probes t = probes_of(3);
    t.upstreams[0] = alive(1000);
    t.upstreams[1] = alive(1000);
    t.upstreams[1].overdue = 1; // owes a reply
    kinds_add(&t.upstreams[1].silent_to, KIND);
    t.upstreams[2] = unknown();
    assert_int_equal(try(&t, NOW_US), 1);
    assert_int_equal(try(&t, NOW_US), 2);
    assert_int_equal(try(&t, NOW_US), -1);
    t.upstreams[1].overdue = 0;
    upstream_replied(&t.upstreams[2], KIND, NOW_US, NOW_US + 1, TRANSPORT_UDP, true);
    assert_int_equal(try(&t, NOW_US + 10 * S), -1);
    assert_true(t.next_us == UINT64_MAX);
}

static void test_probes_leave_out_upstreams_that_had_the_question_often_enough(void **state)
{
    (void)state;
    struct probes t = probes_of(2);
    t.sends[0] = 3;
    t.sends[1] = 2;
    assert_int_equal(try(&t, NOW_US), 1);
    t.sends[1] = 3;
    assert_int_equal(try(&t, NOW_US + 10 * S), -1);
    // Beside one that is trusted the first copy is the only one.
    t.sends[0] = 1;
    t.sends[1] = 0;
    assert_int_equal(upstream_try(&t.zone, t.upstreams, KIND, t.sends, 1, NOW_US + 20 * S), 1);
}

// A client's question may be silent by itself, so of many copies in a row some are SOA probes.
static void test_many_probes_are_not_all_copies_of_clients_questions(void **state)
{
    (void)state;
    struct probes t = probes_of(1);
    unsigned copies = 0, probes = 0;
    for (unsigned i = 0; i < 100; i++) {
        uint64_t now_us = NOW_US + i * S;
        if (try(&t, now_us) == 0)
            copies++;
        else if (upstream_probe(&t.zone, t.upstreams, TRANSPORT_UDP, now_us) == 0)
            probes++;
    }
    assert_int_equal(copies + probes, 100);
    assert_in_range(probes, 40, 44);
}

static void test_probe_is_for_those_that_may_be_dead(void **state)
{
    (void)state;
    struct probes t = probes_of(1);
    struct upstream *u = &t.upstreams[0];
    *u = alive(1000);
    assert_false(upstream_probe_due(&t.zone, t.upstreams, TRANSPORT_UDP, NOW_US + S));
    for (unsigned i = 0; i < UPSTREAM_OVERDUE_DEAD; i++)
        upstream_overdue(u, KIND, NOW_US + 1, NOW_US + 20 * MS);
    assert_false(upstream_probe_due(&t.zone, t.upstreams, TRANSPORT_UDP, NOW_US + 150 * MS));
    assert_true(upstream_probe_due(&t.zone, t.upstreams, TRANSPORT_UDP, NOW_US + 151 * MS));
    assert_false(upstream_probe_due(&t.zone, t.upstreams, TRANSPORT_TCP, NOW_US + 60 * S));
    assert_int_equal(upstream_probe(&t.zone, t.upstreams, TRANSPORT_UDP, NOW_US + 151 * MS), 0);
    assert_int_equal(upstream_probe(&t.zone, t.upstreams, TRANSPORT_UDP, NOW_US + 250 * MS), -1);
    upstream_overdue(u, KIND_PROBE, NOW_US + 151 * MS, NOW_US + 251 * MS);
    assert_int_equal(u->health, UPSTREAM_DEAD);
    // Half a second later over TCP too, and every five seconds from then on.
    assert_false(upstream_probe_due(&t.zone, t.upstreams, TRANSPORT_TCP, NOW_US + 750 * MS));
    assert_int_equal(upstream_probe(&t.zone, t.upstreams, TRANSPORT_TCP, NOW_US + 751 * MS), 0);
    assert_false(upstream_probe_due(&t.zone, t.upstreams, TRANSPORT_TCP, NOW_US + 5750 * MS));
    assert_true(upstream_probe_due(&t.zone, t.upstreams, TRANSPORT_TCP, NOW_US + 5751 * MS));
    // Also if ICMP reports it unreachable, which may be true of UDP alone.
    u->gone = true;
    assert_true(upstream_probe_due(&t.zone, t.upstreams, TRANSPORT_TCP, NOW_US + 5751 * MS));
}

static void test_all_are_dead_only_when_each_is(void **state)
{
    (void)state;
    struct probes t = probes_of(3);
    assert_true(upstream_all_dead(&t.zone, t.upstreams));
    for (unsigned i = 0; i < 3; i++) {
        t.upstreams[i].health = i % 2 ? UPSTREAM_ALIVE : UPSTREAM_UNKNOWN;
        assert_false(upstream_all_dead(&t.zone, t.upstreams));
        t.upstreams[i].health = UPSTREAM_DEAD;
    }
}

static const struct CMUnitTest others[] = {
    cmocka_unit_test(test_new_one_is_unknown_and_has_a_cookie_of_its_own),
    cmocka_unit_test(test_first_reply_makes_it_alive_whatever_it_was),
    cmocka_unit_test(test_reply_over_tcp_makes_a_dead_one_usable_over_tcp),
    cmocka_unit_test(test_probe_vouches_for_a_moment),
    cmocka_unit_test(test_unreachable_is_not_believed_of_one_that_replies),
    cmocka_unit_test(test_many_probes_are_not_all_copies_of_clients_questions),
    cmocka_unit_test(test_probe_is_for_those_that_may_be_dead),
    cmocka_unit_test(test_unknown_one_is_dead_with_its_first_late_send),
    cmocka_unit_test(test_loss_among_replies_does_not_count_against_it),
    cmocka_unit_test(test_latest_send_that_was_answered_counts),
    cmocka_unit_test(test_failing_is_not_trusted_until_it_answers),
    cmocka_unit_test(test_loss_is_smoothed),
    cmocka_unit_test(test_unreachable_is_dead_at_once_and_gone_until_another_reply),
    cmocka_unit_test(test_connections_that_fail_are_tried_ever_later),
    cmocka_unit_test(test_probes_are_paced_by_the_silence),
    cmocka_unit_test(test_a_minute_of_silence_costs_few_probes),
    cmocka_unit_test(test_probes_go_to_the_one_that_waited_longest),
    cmocka_unit_test(test_probes_are_for_untrusted_upstreams),
    cmocka_unit_test(test_probes_leave_out_upstreams_that_had_the_question_often_enough),
    cmocka_unit_test(test_all_are_dead_only_when_each_is),
};

#define ROWS(run, rows) tests_of_rows(tests + count, run, rows, sizeof *(rows), COUNT_OF(rows))

int main(void)
{
    struct CMUnitTest tests[COUNT_OF(overdue_rows) + COUNT_OF(wait_rows) + COUNT_OF(choice_rows) +
                            COUNT_OF(share_rows) + COUNT_OF(others)];
    size_t count = 0;
    count += ROWS(test_overdue_row, overdue_rows);
    count += ROWS(test_wait_row, wait_rows);
    count += ROWS(test_choice_row, choice_rows);
    count += ROWS(test_share_row, share_rows);
    memcpy(tests + count, others, sizeof others);
    return cmocka_run_group_tests_name("upstream", tests, NULL, NULL);
}
