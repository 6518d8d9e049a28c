// SPDX-License-Identifier: MIT
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

// Experiments with figures: what the forwarder promises of waiting, in virtual time. Each runs in a
// plain world with a few seeds, under all that the simulator checks anyway, and its worst figure
// counts. Latency is from the query's arrival to the answer.

enum { SEEDS = 5, FIRST_SEED = 1, TRIES = 4000, WARM_UP = 300, US_A_MS = 1000 };

struct figure {
    const char *what;
    double most; // the bound; what is measured must be less
    double worst;
};

struct bench {
    struct sim *sim;
    uint64_t latencies[TRIES];
    unsigned count;
    unsigned unanswered;
    bool failed;
};

static void wait_until(struct sim *sim, uint64_t us)
{
    event_push(sim, &(struct event){.kind = EVENT_BENCH}, us);
    while (sim->now_us < us && sim_step(sim))
        continue;
}

// Any of many questions, one after the other.
static uint32_t question_of(unsigned number)
{
    unsigned name = number % NAMES_MAX, type = number / NAMES_MAX % TYPES_MAX;
    return (name * TYPES_MAX + type) * FLAGS_MAX;
}

static uint32_t ask(struct sim *sim, unsigned number)
{
    return client_ask(sim, question_of(number), (uint16_t)(1024 + number));
}

static void latency_take(struct bench *bench, uint32_t asked)
{
    const struct asked *query = &bench->sim->asked[asked];
    if (query->state != ASKED_ANSWERED)
        bench->unanswered++;
    else
        bench->latencies[bench->count++] = query->answered_us - query->left_us;
}

static void ask_and_wait(struct bench *bench, unsigned number)
{
    struct sim *sim = bench->sim;
    uint32_t asked = ask(sim, number);
    while (sim->asked[asked].state != ASKED_ANSWERED && sim_step(sim))
        continue;
    latency_take(bench, asked);
}

// So many questions one after the other, with pauses.
static void ask_many(struct bench *bench, unsigned from, unsigned count, uint64_t pause_us)
{
    for (unsigned i = 0; i < count; i++) {
        ask_and_wait(bench, from + i);
        wait_until(bench->sim, bench->sim->now_us + pause_us);
    }
}

// So many questions, each at its time, whatever becomes of those before.
static void ask_steadily(struct bench *bench, uint64_t until_us, uint64_t pause_us)
{
    struct sim *sim = bench->sim;
    while (sim->now_us < until_us && !sim->failed) {
        ask(sim, sim->asked_count);
        wait_until(sim, sim->now_us + pause_us);
    }
}

static void begin(struct bench *bench, uint64_t seed, unsigned servers)
{
    bench->count = bench->unanswered = 0;
    sim_begin_plain(bench->sim, seed, servers);
}

static void warm_up(struct bench *bench)
{
    ask_many(bench, 0, WARM_UP, 1000);
    bench->count = bench->unanswered = 0;
}

// Of a run that has come to its end; the latencies are sorted by then.
static void end(struct bench *bench, uint64_t seed)
{
    if (!sim_end(bench->sim)) {
        printf("# seed %" PRIu64 ": %s\n", seed, bench->sim->why);
        bench->failed = true;
    }
}

static int ascending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static double quantile_ms(struct bench *bench, double share)
{
    if (bench->count == 0)
        return 0;
    qsort(bench->latencies, bench->count, sizeof *bench->latencies, ascending);
    unsigned place = (unsigned)(share * (double)bench->count);
    place = place < bench->count ? place : bench->count - 1;
    return (double)bench->latencies[place] / US_A_MS;
}

static void worse(struct figure *figure, double value)
{
    if (value > figure->worst)
        figure->worst = value;
}

// --- the experiments ---------------------------------------------------------------------------

// One packet in ten is lost, the query's, on a path of 0.5 ms.
static void one_lost(struct bench *bench, uint64_t seed, struct figure *figures)
{
    begin(bench, seed, 1);
    warm_up(bench);
    for (unsigned i = 0; i < 2000; i++) {
        unsigned before = bench->count;
        bool lost = i % 10 == 9;
        bench->sim->servers[0].there.burst_left = lost;
        ask_and_wait(bench, WARM_UP + i);
        bench->count = lost ? bench->count : before;
        wait_until(bench->sim, bench->sim->now_us + 2000);
    }
    worse(&figures[0], quantile_ms(bench, 0.5));
    worse(&figures[1], quantile_ms(bench, 1));
    end(bench, seed);
}

static void lossy(struct bench *bench, uint64_t seed, unsigned servers, struct figure *figures)
{
    begin(bench, seed, servers);
    for (unsigned i = 0; i < servers; i++)
        bench->sim->servers[i].there.loss_pm = bench->sim->servers[i].back.loss_pm = 100;
    ask_many(bench, 0, 300, 1000);
    worse(&figures[0], quantile_ms(bench, 0.99));
    worse(&figures[1], bench->unanswered);
    end(bench, seed);
    const struct tally *t = &bench->sim->tally;
    worse(&figures[2], 100.0 * ((double)(t->sends + t->tcp_sends) / 300 - 1));
    worse(&figures[1], (double)t->failures);
}

static void lossy_one(struct bench *bench, uint64_t seed, struct figure *figures)
{
    lossy(bench, seed, 1, figures);
}

static void lossy_two(struct bench *bench, uint64_t seed, struct figure *figures)
{
    lossy(bench, seed, 2, figures);
}

static void one_dead(struct bench *bench, uint64_t seed, struct figure *figures)
{
    begin(bench, seed, 2);
    bench->sim->servers[seed % 2].mode = MODE_DEAD;
    ask_many(bench, 0, 300, 5000);
    worse(&figures[0], quantile_ms(bench, 0.99));
    worse(&figures[1], quantile_ms(bench, 1));
    end(bench, seed);
    worse(&figures[2], (double)bench->sim->tally.failures + bench->unanswered);
}

static void one_closed(struct bench *bench, uint64_t seed, struct figure *figures)
{
    begin(bench, seed, 2);
    bench->sim->servers[seed % 2].mode = MODE_CLOSED;
    ask_many(bench, 0, 300, 5000);
    worse(&figures[0], quantile_ms(bench, 1));
    end(bench, seed);
    worse(&figures[1], (double)bench->sim->tally.failures + bench->unanswered);
}

// That no question is sent more than three times to each is checked anyway.
static void all_dead(struct bench *bench, uint64_t seed, struct figure *figures)
{
    begin(bench, seed, 2);
    bench->sim->servers[0].mode = bench->sim->servers[1].mode = MODE_DEAD;
    for (unsigned i = 0; i < 200; i++) {
        ask(bench->sim, i);
        wait_until(bench->sim, bench->sim->now_us + 10000);
    }
    end(bench, seed);
    for (unsigned i = 0; i < 200; i++)
        latency_take(bench, i);
    worse(&figures[0], quantile_ms(bench, 1));
    worse(&figures[1], 200.0 - (double)bench->sim->tally.failures);
    worse(&figures[2], (double)(bench->sim->tally.sends + bench->sim->tally.tcp_sends) / 200);
}

// An outage of all upstreams for 5 s under a steady load: the first answer after its end, and the
// longest wait of a client that asks after that.
static void outage(struct bench *bench, uint64_t seed, struct figure *figures)
{
    begin(bench, seed, 1 + seed % 3);
    struct sim *sim = bench->sim;
    ask_steadily(bench, sim->now_us + 1000000, 10000);
    for (unsigned i = 0; i < SERVERS_MAX; i++)
        sim->servers[i].mode = MODE_DEAD;
    uint64_t back_us = sim->now_us + 5000000, first_us = NEVER;
    ask_steadily(bench, back_us, 10000);
    for (unsigned i = 0; i < SERVERS_MAX; i++)
        sim->servers[i].mode = MODE_GOOD;
    uint32_t after = sim->asked_count;
    ask_steadily(bench, back_us + 1000000, 10000);
    end(bench, seed);
    for (uint32_t i = 0; i < sim->asked_count; i++) {
        const struct asked *asked = &sim->asked[i];
        if (i >= after)
            latency_take(bench, i);
        if (asked->answered_us > back_us && asked->answered_us < first_us)
            first_us = asked->answered_us;
    }
    worse(&figures[0], (double)(first_us - back_us) / US_A_MS);
    worse(&figures[1], quantile_ms(bench, 1));
}

static void becomes_slow(struct bench *bench, uint64_t seed, struct figure *figures)
{
    begin(bench, seed, 1);
    warm_up(bench);
    bench->sim->servers[0].mode = MODE_SLOW;
    bench->sim->servers[0].slow_us = 600000;
    ask_many(bench, WARM_UP, 50, 20000);
    worse(&figures[0], quantile_ms(bench, 1));
    end(bench, seed);
    worse(&figures[1], (double)bench->sim->tally.failures + bench->unanswered);
}

static void equal(struct bench *bench, uint64_t seed, struct figure *figures)
{
    begin(bench, seed, 1);
    for (unsigned i = 0; i < 200; i++)
        client_ask(bench->sim, 0, (uint16_t)(1024 + i));
    end(bench, seed);
    for (unsigned i = 0; i < 200; i++)
        latency_take(bench, i);
    worse(&figures[0], (double)(bench->sim->tally.sends + bench->sim->tally.tcp_sends));
    worse(&figures[1], bench->unanswered);
}

// A load on a path of 20 ms, with or without a forger of replies to every question.
// Returns the 99th percentile.
static double load(struct bench *bench, uint64_t seed, unsigned forged)
{
    begin(bench, seed, 2);
    struct sim *sim = bench->sim;
    for (unsigned i = 0; i < 2; i++)
        sim->servers[i].there.base_us = sim->servers[i].back.base_us = 10000;
    sim->params.spoof_us = 1;
    for (unsigned i = 0; i < 1000; i++) {
        ask(sim, i);
        for (unsigned k = 0; k < forged / 1000; k++)
            spoof_blind(sim);
        wait_until(sim, sim->now_us + 5000);
    }
    end(bench, seed);
    for (unsigned i = 0; i < 1000; i++)
        latency_take(bench, i);
    return quantile_ms(bench, 0.99);
}

static void storm(struct bench *bench, uint64_t seed, struct figure *figures)
{
    double calm = load(bench, seed, 0), stormy = load(bench, seed, 10000);
    worse(&figures[0], stormy / calm);
    worse(&figures[1], (double)bench->sim->tally.failures + bench->unanswered);
    worse(&figures[2], 10000.0 - (double)bench->sim->tally.forged);
}

#define FIGURES_MAX 3

static struct experiment {
    const char *what;
    void (*run)(struct bench *bench, uint64_t seed, struct figure *figures);
    struct figure figures[FIGURES_MAX];
} experiments[] = {
    {"a query is lost on a path of 0.5 ms",
     one_lost,
     {{"median ms", 30, 0}, {"slowest ms", 60, 0}}},
    {"19 % of exchanges are lost",
     lossy_one,
     {{"p99 ms", 120, 0}, {"not answered", 1, 0}, {"extra sends %", 40, 0}}},
    {"the same with two upstreams",
     lossy_two,
     {{"p99 ms", 120, 0}, {"not answered", 1, 0}, {"extra sends %", 40, 0}}},
    {"one of two upstreams is dead from the start",
     one_dead,
     {{"p99 ms", 3, 0}, {"slowest ms", 20, 0}, {"not answered", 1, 0}}},
    {"one of two upstreams has closed its port",
     one_closed,
     {{"slowest ms", 50, 0}, {"not answered", 1, 0}}},
    {"all are dead",
     all_dead,
     {{"slowest ms", 5000, 0}, {"no SERVFAIL", 1, 0}, {"sends a question", 6, 0}}},
    {"an outage of 5 s ends",
     outage,
     {{"first answer ms", 300, 0}, {"slowest from then ms", 300, 0}}},
    {"an upstream takes 600 ms at once",
     becomes_slow,
     {{"slowest ms", 602, 0}, {"not answered", 1, 0}}},
    {"200 ask the same at once", equal, {{"sends", 2, 0}, {"not answered", 1, 0}}},
    {"10,000 forged replies come",
     storm,
     {{"p99 by that without", 1.05, 0}, {"not answered", 1, 0}, {"forged too few", 1, 0}}},
};

unsigned bench_run(struct sim *sim)
{
    unsigned count = sizeof experiments / sizeof *experiments, missed = 0;
    struct bench *bench = calloc(1, sizeof *bench);
    bench->sim = sim;
    printf("1..%u\n", count);
    for (unsigned i = 0; i < count; i++) {
        struct experiment *e = &experiments[i];
        bench->failed = false;
        for (uint64_t seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++)
            e->run(bench, seed, e->figures);
        bool good = !bench->failed;
        for (unsigned k = 0; k < FIGURES_MAX && e->figures[k].what; k++)
            good &= e->figures[k].worst < e->figures[k].most;
        printf("%sok %u - %-44s", good ? "" : "not ", i + 1, e->what);
        for (unsigned k = 0; k < FIGURES_MAX && e->figures[k].what; k++)
            printf("%s %s %.4g (< %g)", k ? "," : "", e->figures[k].what, e->figures[k].worst,
                   e->figures[k].most);
        printf("\n");
        missed += !good;
    }
    free(bench);
    return missed;
}
