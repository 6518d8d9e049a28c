// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>
#include <stdint.h>

// Timers on a hierarchical wheel (Varghese and Lauck, SOSP 1987): starting, stopping and firing
// cost the same however many there are. The unit is a tick of 1 ms; a timer fires up to one tick
// late and never early. Timers are members of what they time; the wheel owns none of them.

#define WHEEL_LEVELS  4
#define WHEEL_SLOTS   64 // of each level; a level's slot spans all slots of the level below
#define WHEEL_TICK_US 1000u
#define WHEEL_NEVER   UINT64_MAX

struct timer {
    struct timer *next;
    struct timer **link; // what points to this timer; NULL: it is not running
    uint64_t due_tick;
    uint32_t kind; // the owner's: what it is a timer of; the wheel leaves it alone
};

struct wheel {
    uint64_t tick;                   // all before and including it have fired
    uint64_t occupied[WHEEL_LEVELS]; // a bit a slot
    struct timer *slots[WHEEL_LEVELS][WHEEL_SLOTS];
};

void wheel_init(struct wheel *wheel, uint64_t now_us);

// Starts or restarts a timer. One that is due already fires with the next tick.
// More than 64^4 ticks (about 4.6 hours) away is taken as that far.
void wheel_start(struct wheel *wheel, struct timer *timer, uint64_t due_us);
void wheel_stop(struct wheel *wheel, struct timer *timer);

// Lets a timer that runs fire at due_us if that is earlier. One that is due already is left as it
// is, so that calling this again and again does not put it off.
void wheel_hasten(struct wheel *wheel, struct timer *timer, uint64_t due_us);

static inline bool timer_running(const struct timer *timer)
{
    return timer->link != 0;
}

// Returns a timer that is due at now_us, stopped; NULL when there is none left. Call it until NULL.
struct timer *wheel_next(struct wheel *wheel, uint64_t now_us);

// A time before or at which the next timer is due: the earliest moment worth waking for;
// WHEEL_NEVER without timers. It may be early where the timer is far (one level up), never late.
uint64_t wheel_deadline(const struct wheel *wheel);
