// SPDX-License-Identifier: MIT
#include "tests/netsim/operator.h"

#include "io/engine/engine.h"
#include "io/engine/engine_answer_log.h"
#include "io/engine/engine_figures.h"
#include "io/engine/engine_rules.h"
#include "tests/netsim/askers.h"
#include "tests/netsim/callers.h"
#include "tests/netsim/clients.h"
#include "tests/netsim/engine.h"
#include "tests/netsim/files.h"
#include "tests/netsim/house.h"
#include "tests/netsim/link.h"
#include "tests/netsim/network.h"
#include "tests/netsim/resolvers.h"
#include "tests/netsim/scanner.h"
#include "tests/netsim/upgrading.h"
#include "tests/netsim/world.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

enum {
    SETTLE_US = 16000000, // until the last question has been given up
    CLOSE_US = 3000000,   // until the slowest upstream has seen it
    LOG_US = 20000,
    GENERATIONS = 8,
};

static struct {
    struct engine *engine;
    struct settings settings[GENERATIONS];
    unsigned generation;
    struct alarm log_timer;
    uint64_t logged;
    unsigned cache_mib;
    bool finished; // what predecessors had begun
} op;

// --- the answer log ------------------------------------------------------------------------------

static bool logged_take(void *context, const struct logged_answer *logged,
                        const struct client *client, const uint8_t *reply, size_t len)
{
    (void)context;
    (void)client;
    if (len < 12 || !(reply[2] & 0x80) || logged->now_us < logged->since_us)
        world_fail("the answer log has what is no answer");
    op.logged++;
    return true;
}

static void log_read(void *context)
{
    (void)context;
    (void)engine_answer_log_read(op.engine, logged_take, NULL);
    (void)engine_kernel_drops(op.engine);
    alarm_set(&op.log_timer, world.now_us + LOG_US);
}

static void log_begin(void)
{
    if (engine_answer_log_set(op.engine, 1) < 0)
        world_fail("no answer log");
    op.log_timer = (struct alarm){.run = log_read};
    alarm_set(&op.log_timer, world.now_us + LOG_US);
}

// --- what it does --------------------------------------------------------------------------------

static void engine_make(void)
{
    char why[ENGINE_WHY_SIZE];
    house_settings(&op.settings[0], false, 1);
    // Nothing may be left of one that cannot be made.
    world.calm = false;
    op.engine = engine_open(&op.settings[0], house_local(), NULL, NULL, why);
    world.calm = true;
    if (!op.engine) {
        world_tell("the engine cannot be made: %s", why);
        if (files_count() > 0)
            world_fail("%u files are left of an engine that could not be made", files_count());
        op.engine = engine_open(&op.settings[0], house_local(), NULL, NULL, why);
    }
    if (!op.engine || engine_start(op.engine, why) < 0)
        world_fail("no engine: %s", why);
}

static void reload(void)
{
    char why[ENGINE_WHY_SIZE];
    assert(op.generation + 1 < GENERATIONS);
    struct settings *next = &op.settings[++op.generation];
    house_settings(next, op.generation % 2 == 1, op.cache_mib);
    int error = engine_reload(op.engine, next, house_local(), why);
    world_tell("reloaded: %d%s%s", error, error ? ", " : "", error ? why : "");
    // A place that could not be emptied keeps its socket, and so its port.
    bool may = world.params.shortage_pm > 0 || world.params.place_fail_pm > 0;
    if (error != 0 && !may)
        world_fail("a reload failed: %s", why);
    if (error < 0)
        op.generation--;
}

static void successor_make(void)
{
    assert(op.generation + 1 < GENERATIONS);
    if (world.params.other_cache)
        op.cache_mib++;
    struct settings *next = &op.settings[++op.generation];
    house_settings(next, op.generation % 2 == 1, op.cache_mib);
    if (!upgrade(&op.engine, &op.finished, next, logged_take)) {
        op.generation--;
        op.cache_mib = 1;
    }
}

static bool clients_done(void)
{
    return askers_done() && callers_done();
}

static void order_wait(void)
{
    world_run(world.now_us + 1 + dice_below(&world.dice, (uint32_t)world.params.span_us));
}

static void orders_give(void)
{
    unsigned reloads = world.params.reloads, upgrades = world.params.upgrades;
    while (reloads + upgrades > 0) {
        order_wait();
        if (dice_below(&world.dice, reloads + upgrades) < reloads) {
            reloads--;
            reload();
            continue;
        }
        upgrades--;
        alarm_stop(&op.log_timer);
        successor_make();
        if (world.params.answer_log)
            log_begin();
    }
}

// --- what it looks at ----------------------------------------------------------------------------

static uint64_t sum_of(const struct counters *sum, const char *metric)
{
    uint64_t value = 0;
    for (unsigned c = 0; c < COUNTER_COUNT; c++) {
        if (strcmp(counter_descriptions[c].metric, metric) == 0)
            value += sum->values[c];
    }
    return value;
}

static void figures_check(void)
{
    static struct counters sum;
    engine_counters(op.engine, &sum);
    if (sum.values[COUNTER_pending] > 0 || sum.values[COUNTER_waiters] > 0 ||
        sum.values[COUNTER_tcp_open] > 0)
        world_fail("at the end there are %" PRIu64 " questions, %" PRIu64 " waiters and %" PRIu64
                   " connections",
                   sum.values[COUNTER_pending], sum.values[COUNTER_waiters],
                   sum.values[COUNTER_tcp_open]);
    uint64_t queries = sum_of(&sum, "ouzel_queries_total");
    uint64_t ends = sum_of(&sum, "ouzel_answers_total") + sum_of(&sum, "ouzel_drops_total");
    if (queries != ends && op.finished)
        world_fail("%" PRIu64 " queries had %" PRIu64 " ends", queries, ends);
    if (sum.values[COUNTER_upstream_unreachable] > world.gone)
        world_fail("upstreams were unreachable %" PRIu64 " times, and said to be %" PRIu64,
                   sum.values[COUNTER_upstream_unreachable], world.gone);
    if (world.params.answer_log && world.params.upgrades == 0 &&
        op.logged != sum.values[COUNTER_answers_logged])
        world_fail("%" PRIu64 " answers were logged, and %" PRIu64 " read",
                   sum.values[COUNTER_answers_logged], op.logged);
    world_tell("%" PRIu64 " asked, %" PRIu64 " answered, %" PRIu64 " of %" PRIu64 " lost, %" PRIu64
               " queries, %" PRIu64 " connections, %" PRIu64 " steps",
               clients_figures.asked, clients_figures.answered, clients_figures.lost,
               clients_figures.due, queries, clients_figures.connections, world.steps);
}

static void end_check(void)
{
    if (!resolvers_idle() || links_count() > 0)
        world_fail("%u connections are left", links_count());
    if (files_numbers() > 0 || files_count() > 0)
        world_fail("%u descriptors and %u sockets are left", files_numbers(), files_count());
}

bool operator_excuses(void)
{
    static struct counters sum;
    engine_counters(op.engine, &sum);
    return sum.values[COUNTER_drops_handover_full] > 0;
}

void operator_run(void)
{
    memset(&op, 0, sizeof op);
    op.cache_mib = 1;
    op.finished = true;
    engine_make();
    resolvers_begin(world.params.resolvers);
    askers_begin(world.params.askers);
    callers_begin(world.params.callers);
    scanner_begin();
    if (world.params.answer_log)
        log_begin();
    world.calm = false;
    orders_give();
    while (!clients_done()) {
        if (!world_step())
            world_fail("nothing goes on, and clients wait");
    }
    world.calm = true;
    world_run(world.now_us + SETTLE_US);
    engine_check_buffers();
    alarm_stop(&op.log_timer);
    (void)engine_answer_log_read(op.engine, logged_take, NULL);
    figures_check();
    int error = engine_stop(op.engine);
    if (error < 0)
        world_fail("a worker ended with %d", error);
    engine_close(op.engine);
    world_run(world.now_us + CLOSE_US);
    end_check();
    askers_end();
    callers_end();
    scanner_end();
    resolvers_end();
}
