// SPDX-License-Identifier: MIT
#include "tests/netsim/threads.h"

#include "io/engine/gate.h"
#include "io/engine/worker_state.h"
#include "io/engine/worker_thread.h"
#include "tests/netsim/engine.h"
#include "tests/netsim/world.h"

enum { THREADS_MAX = 16, WAITS_MAX = 2000000 };

static struct {
    struct worker *workers[THREADS_MAX]; // NULL: none
    uint64_t stalled_us[THREADS_MAX];    // until then no turn is given
    unsigned ready[THREADS_MAX];         // places of those that could take a turn
    unsigned ready_count;
    unsigned current; // a place, plus one
    bool kill;
} threads;

void threads_begin(void)
{
    memset(&threads, 0, sizeof threads);
}

unsigned threads_ready(void)
{
    threads.ready_count = 0;
    for (unsigned i = 0; i < THREADS_MAX; i++) {
        if (threads.workers[i] && threads.stalled_us[i] <= world.now_us &&
            engine_is_awake(threads.workers[i]->net))
            threads.ready[threads.ready_count++] = i;
    }
    return threads.ready_count;
}

uint64_t threads_deadline(void)
{
    uint64_t first_us = UINT64_MAX;
    for (unsigned i = 0; i < THREADS_MAX; i++) {
        uint64_t deadline_us =
            threads.workers[i] ? engine_deadline(threads.workers[i]->net) : UINT64_MAX;
        if (threads.workers[i] && threads.stalled_us[i] > world.now_us)
            deadline_us = threads.stalled_us[i];
        first_us = deadline_us < first_us ? deadline_us : first_us;
    }
    return first_us;
}

static void thread_end(unsigned place)
{
    struct worker *w = threads.workers[place];
    worker_end(w);
    threads.workers[place] = NULL;
}

void threads_turn(unsigned lot)
{
    unsigned place = threads.ready[lot], before = threads.current;
    struct worker *w = threads.workers[place];
    threads.current = place + 1;
    if (!worker_turn(w))
        thread_end(place);
    else
        engine_turn_ends(w->net);
    if (world_mischief(world.params.stall_pm))
        threads.stalled_us[place] = world.now_us + dice_below(&world.dice, world.params.stall_us);
    threads.current = before;
}

void threads_kill(bool kill)
{
    threads.kill = kill;
}

unsigned threads_current(void)
{
    return threads.current;
}

static unsigned place_of(const struct worker *w)
{
    unsigned place = 0;
    while (place < THREADS_MAX && threads.workers[place] != w)
        place++;
    return place;
}

// --- what io calls -----------------------------------------------------------------------------

int worker_start(struct worker *w)
{
    unsigned place = place_of(NULL);
    if (place == THREADS_MAX)
        world_fail("too many workers");
    w->running = true;
    threads.workers[place] = w;
    threads.stalled_us[place] = 0;
    if (!worker_begin(w))
        thread_end(place);
    return 0;
}

int worker_stop(struct worker *w)
{
    if (!w->running)
        return 0;
    if (threads.kill)
        threads.workers[place_of(w)] = NULL;
    else
        worker_ask_to_end(w);
    for (unsigned waits = 0; place_of(w) < THREADS_MAX; waits++) {
        if (waits == WAITS_MAX || !world_step())
            world_fail("a worker does not end");
    }
    w->running = false;
    return w->result;
}

void gate_init(struct gate *gate)
{
    sem_init(&gate->passes, 0, 0);
}

void gate_free(struct gate *gate)
{
    sem_destroy(&gate->passes);
}

void gate_open(struct gate *gate)
{
    sem_post(&gate->passes);
}

void gate_wait(struct gate *gate)
{
    for (unsigned waits = 0; sem_trywait(&gate->passes) != 0; waits++) {
        if (threads.current > 0)
            world_fail("a worker waits at a gate");
        if (waits == WAITS_MAX || !world_step())
            world_fail("a worker does not do its task");
    }
}
