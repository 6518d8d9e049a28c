// SPDX-License-Identifier: MIT
#include "core/forward/wheel.h"

#include <assert.h>
#include <string.h>

// Level l's slot spans 64^l ticks. A timer lies at the level of the highest group of six bits in
// which its tick differs from the wheel's, in the slot which that group of its own names. So all
// timers of a level lie ahead of the wheel's own slot there, and when the wheel's tick enters a
// slot of a higher level, its timers spread over the levels below. A slot's bit in `occupied` is
// set exactly if its list is not empty.

enum { BITS = 6, MASK = WHEEL_SLOTS - 1 };
#define REACH ((uint64_t)1 << BITS * WHEEL_LEVELS)

void wheel_init(struct wheel *wheel, uint64_t now_us)
{
    memset(wheel, 0, sizeof *wheel);
    wheel->tick = now_us / WHEEL_TICK_US;
}

static unsigned level_of(uint64_t tick, uint64_t due)
{
    uint64_t differs = tick ^ due;
    if (differs < WHEEL_SLOTS)
        return 0;
    unsigned level = (63u - (unsigned)__builtin_clzll(differs)) / BITS;
    return level < WHEEL_LEVELS ? level : WHEEL_LEVELS - 1;
}

static void place(struct wheel *wheel, struct timer *timer)
{
    unsigned level = level_of(wheel->tick, timer->due_tick);
    unsigned slot = timer->due_tick >> BITS * level & MASK;
    struct timer **head = &wheel->slots[level][slot];

    timer->next = *head;
    timer->link = head;
    if (timer->next)
        timer->next->link = &timer->next;
    *head = timer;
    wheel->occupied[level] |= (uint64_t)1 << slot;
}

void wheel_start(struct wheel *wheel, struct timer *timer, uint64_t due_us)
{
    wheel_stop(wheel, timer);
    uint64_t due = due_us / WHEEL_TICK_US + (due_us % WHEEL_TICK_US != 0);
    // What is due already comes with the next tick; what is too far waits as long as can be.
    if (due <= wheel->tick)
        due = wheel->tick + 1;
    if (due - wheel->tick >= REACH - WHEEL_SLOTS)
        due = wheel->tick + REACH - WHEEL_SLOTS - 1;
    timer->due_tick = due;
    place(wheel, timer);
}

void wheel_hasten(struct wheel *wheel, struct timer *timer, uint64_t due_us)
{
    if (timer_running(timer) && timer->due_tick * WHEEL_TICK_US > due_us)
        wheel_start(wheel, timer, due_us);
}

void wheel_stop(struct wheel *wheel, struct timer *timer)
{
    if (!timer->link)
        return;
    *timer->link = timer->next;
    if (timer->next)
        timer->next->link = timer->link;
    // If that emptied a slot, the link is a slot's head and its bit goes too.
    struct timer **first = &wheel->slots[0][0];
    if (!timer->next && timer->link >= first && timer->link < first + WHEEL_LEVELS * WHEEL_SLOTS) {
        size_t index = (size_t)(timer->link - first);
        wheel->occupied[index / WHEEL_SLOTS] &= ~((uint64_t)1 << index % WHEEL_SLOTS);
    }
    timer->link = 0;
}

// Takes a slot's timers out and lays them where they belong seen from the present tick.
static void spread(struct wheel *wheel, unsigned level, unsigned slot)
{
    struct timer *timer = wheel->slots[level][slot];
    wheel->slots[level][slot] = 0;
    wheel->occupied[level] &= ~((uint64_t)1 << slot);
    while (timer) {
        struct timer *next = timer->next;
        place(wheel, timer);
        timer = next;
    }
}

// The tick of the next occupied slot, or of the next border where a higher level spreads.
static uint64_t next_tick(const struct wheel *wheel)
{
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        unsigned shift = BITS * level;
        unsigned here = wheel->tick >> shift & MASK;
        uint64_t ahead = wheel->occupied[level] & ~(((uint64_t)2 << here) - 1);
        uint64_t behind = wheel->occupied[level] & ~ahead;
        uint64_t base = wheel->tick >> shift >> BITS << BITS;
        if (ahead)
            return (base + (unsigned)__builtin_ctzll(ahead)) << shift;
        // Only the top level wraps: there a slot behind is one of the next round.
        if (behind && level == WHEEL_LEVELS - 1)
            return (base + WHEEL_SLOTS + (unsigned)__builtin_ctzll(behind)) << shift;
    }
    return WHEEL_NEVER;
}

struct timer *wheel_next(struct wheel *wheel, uint64_t now_us)
{
    uint64_t now = now_us / WHEEL_TICK_US;
    for (;;) {
        struct timer *timer = wheel->slots[0][wheel->tick & MASK];
        if (timer && timer->due_tick <= wheel->tick) {
            wheel_stop(wheel, timer);
            return timer;
        }
        uint64_t next = next_tick(wheel);
        if (next > now) {
            // Nothing lies between, so the wheel may stand anywhere before it.
            if (now > wheel->tick)
                wheel->tick = now;
            return 0;
        }
        wheel->tick = next;
        for (unsigned level = WHEEL_LEVELS - 1; level > 0; level--) {
            if ((next & (((uint64_t)1 << BITS * level) - 1)) == 0)
                spread(wheel, level, next >> BITS * level & MASK);
        }
    }
}

uint64_t wheel_deadline(const struct wheel *wheel)
{
    uint64_t next = next_tick(wheel);
    return next == WHEEL_NEVER ? WHEEL_NEVER : next * WHEEL_TICK_US;
}
