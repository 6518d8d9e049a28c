// SPDX-License-Identifier: MIT
#include "tests/netsim/world.h"

#include "tests/netsim/threads.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

// Timers stand in a heap, by their moments and among equal ones by the order of setting.

enum {
    TIMERS_MAX = 1 << 16,
    STEPS_MAX = 3000000,
    STEP_US_MAX = 20,
};
#define BEGIN_US 1700000000000000u

struct world world;

static struct alarm *heap[TIMERS_MAX];
static size_t heap_count;
static uint64_t heap_order;

void world_begin(uint64_t seed, bool trace)
{
    world = (struct world){
        .seed = seed, .now_us = BEGIN_US, .dice = dice_for(seed, 2), .trace = trace, .calm = true};
    heap_count = 0;
    heap_order = 0;
    threads_begin();
}

static void line_begin(FILE *file)
{
    fprintf(file, "%9.6f ", (double)(world.now_us - BEGIN_US) / 1e6);
}

void world_fail(const char *format, ...)
{
    va_list arguments;
    printf("seed %" PRIu64 ": ", world.seed);
    line_begin(stdout);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
    fflush(stdout);
    _exit(1);
}

void world_tell(const char *format, ...)
{
    va_list arguments;
    if (!world.trace)
        return;
    line_begin(stdout);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
}

void world_mix(const void *bytes, size_t len)
{
    const uint8_t *octets = bytes;
    uint64_t sum = len;
    for (size_t i = 0; i < len; i++)
        sum = sum * 0x100000001b3u ^ octets[i];
    world.digest = dice_mix(world.digest ^ sum);
}

bool world_mischief(uint32_t per_mille)
{
    return per_mille > 0 && !world.calm && dice_chance(&world.dice, per_mille);
}

// --- timers ------------------------------------------------------------------------------------

static bool sooner(const struct alarm *a, const struct alarm *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void heap_put(size_t place, struct alarm *alarm)
{
    heap[place] = alarm;
    alarm->place = place;
}

static void heap_rise(size_t place, struct alarm *alarm)
{
    for (; place > 0 && sooner(alarm, heap[(place - 1) / 2]); place = (place - 1) / 2)
        heap_put(place, heap[(place - 1) / 2]);
    heap_put(place, alarm);
}

static void heap_sink(size_t place, struct alarm *alarm)
{
    for (size_t child; (child = 2 * place + 1) < heap_count; place = child) {
        if (child + 1 < heap_count && sooner(heap[child + 1], heap[child]))
            child++;
        if (sooner(alarm, heap[child]))
            break;
        heap_put(place, heap[child]);
    }
    heap_put(place, alarm);
}

void alarm_stop(struct alarm *alarm)
{
    if (alarm->at_us == 0)
        return;
    struct alarm *last = heap[--heap_count];
    size_t place = alarm->place;
    alarm->at_us = 0;
    if (last == alarm)
        return;
    heap_sink(place, last);
    heap_rise(last->place, last);
}

void alarm_set(struct alarm *alarm, uint64_t at_us)
{
    alarm_stop(alarm);
    if (heap_count == TIMERS_MAX)
        world_fail("more timers than the simulation has room for");
    alarm->at_us = at_us > world.now_us ? at_us : world.now_us;
    alarm->order = ++heap_order;
    heap_rise(heap_count++, alarm);
}

void alarm_hasten(struct alarm *alarm, uint64_t at_us)
{
    if (alarm->at_us == 0 || at_us < alarm->at_us)
        alarm_set(alarm, at_us);
}

// --- steps -------------------------------------------------------------------------------------

static void alarm_run(void)
{
    struct alarm *alarm = heap[0];
    alarm_stop(alarm);
    alarm->run(alarm->context);
}

static void step_count(void)
{
    if (++world.steps > STEPS_MAX)
        world_fail("there is no end to it");
    world.now_us += dice_below(&world.dice, STEP_US_MAX);
}

bool world_step(void)
{
    uint64_t next_us = heap_count > 0 ? heap[0]->at_us : UINT64_MAX;
    unsigned ready = threads_ready();
    bool due = next_us <= world.now_us;
    if (ready == 0 && !due) {
        uint64_t deadline_us = threads_deadline();
        next_us = deadline_us < next_us ? deadline_us : next_us;
        if (next_us == UINT64_MAX)
            return false;
        world.now_us = next_us > world.now_us ? next_us : world.now_us;
        ready = threads_ready();
        due = heap_count > 0 && heap[0]->at_us <= world.now_us;
    }
    step_count();
    if (ready == 0 && !due)
        return true; // a worker's pause was over, and it sleeps on
    uint32_t lot = dice_below(&world.dice, ready + due);
    if (lot < ready)
        threads_turn(lot);
    else
        alarm_run();
    return true;
}

static void nothing(void *context)
{
    (void)context;
}

void world_run(uint64_t until_us)
{
    struct alarm end = {.run = nothing};
    alarm_set(&end, until_us);
    while (end.at_us != 0)
        (void)world_step();
}
