// SPDX-License-Identifier: MIT
#include "tests/netsim/upgrading.h"

#include "io/engine/engine_figures.h"
#include "io/engine/engine_succession.h"
#include "io/net/descriptor.h"
#include "tests/netsim/engine.h"
#include "tests/netsim/house.h"
#include "tests/netsim/threads.h"
#include "tests/netsim/world.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FINISH_STEPS = 200, FINISH_STEP_US = 50000, MOMENT_US = 3000 };

static struct counters counted[2];

// What the successor gets: descriptors of its own.
static void copies_make(struct engine_inheritance *to, const struct engine_inheritance *from)
{
    engine_inheritance_init(to, from->worker_count);
    to->clock_offset_us = from->clock_offset_us;
    to->cookies = from->cookies;
    to->region_fd = dup(from->region_fd);
    for (size_t i = 0; i < from->count; i++) {
        struct listening_sockets *sockets = engine_inheritance_add(to, &from->sockets[i].address);
        assert(sockets);
        for (unsigned j = 0; j < LISTENER_SOCKETS * from->worker_count; j++)
            sockets->fds[j] = descriptor_copy(from->sockets[i].fds[j]);
    }
}

static struct engine *successor_make(const struct engine *old, const struct settings *settings)
{
    char why[ENGINE_WHY_SIZE];
    struct engine_inheritance given, inheritance;
    if (engine_pass_on(old, &given) < 0)
        world_fail("nothing to pass on");
    world.calm = true;
    copies_make(&inheritance, &given);
    free(given.sockets);
    struct engine *successor = engine_open(settings, house_local(), NULL, &inheritance, why);
    engine_inheritance_free(&inheritance);
    world.calm = false;
    // An address that was given up a moment ago is still the predecessor's.
    world_tell("%s", successor ? "there is a successor" : why);
    if (!successor && world.params.reloads == 0)
        world_fail("no successor: %s", why);
    return successor;
}

static void moment(void)
{
    world_run(world.now_us + dice_below(&world.dice, MOMENT_US));
}

// What has been counted since the last time.
static void counted_pass(const struct engine *from, struct engine *to)
{
    struct counters *now = &counted[0], *told = &counted[1];
    engine_counters(from, now);
    engine_timings(from, now->timings);
    static struct counters more;
    more = *now;
    for (unsigned c = 0; c < COUNTER_COUNT; c++)
        more.values[c] -= counter_descriptions[c].gauge ? 0 : told->values[c];
    memset(more.timings, 0, sizeof more.timings);
    engine_carry(to, &more);
    *told = *now;
}

static void give_up(struct engine *old, struct engine *successor)
{
    world_tell("the successor fails");
    engine_close(successor);
    if (!engine_resume(old))
        world_fail("the engine does not resume");
}

static void old_finish(struct engine *old)
{
    for (unsigned i = 0; i < FINISH_STEPS && (i <= 2 || !engine_is_done(old)); i++)
        world_run(world.now_us + FINISH_STEP_US);
}

bool upgrade(struct engine **engine, bool *finished, const struct settings *settings,
             bool (*consume)(void *, const struct logged_answer *, const struct client *,
                             const uint8_t *, size_t))
{
    char why[ENGINE_WHY_SIZE];
    struct engine *old = *engine;
    memset(counted, 0, sizeof counted);
    world_tell("an upgrade begins");
    struct engine *successor = successor_make(old, settings);
    if (!successor)
        return false;
    moment();
    if (!engine_rest(old))
        world_fail("the engine does not rest");
    engine_check_deaf(); // the successor has not begun
    moment();
    if (world.params.upgrade_fails) {
        give_up(old, successor);
        return false;
    }
    struct engine_lesson *lessons;
    counted_pass(old, successor);
    size_t count = engine_lessons(old, &lessons);
    if (engine_start(successor, why) < 0)
        world_fail("the successor does not start: %s", why);
    engine_learn(successor, lessons, count);
    free(lessons);
    if (world.params.successor_dies) {
        moment();
        threads_kill(true);
        give_up(old, successor);
        threads_kill(false);
        return false;
    }
    old_finish(old);
    *finished = engine_is_done(old);
    (void)engine_answer_log_read(old, consume, NULL);
    counted_pass(old, successor);
    if (engine_stop(old) < 0)
        world_fail("a worker of the predecessor has failed");
    engine_close(old);
    world_tell("an upgrade has ended");
    *engine = successor;
    return true;
}
