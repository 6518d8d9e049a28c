// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>
#include <stdint.h>

// Timers on a hierarchical wheel (Varghese and Lauck, SOSP 1987): starting, stopping and firing
// take the same time however many there are. The unit is a tick of 1 ms; a timer fires up to one
// tick late and never early. Timers are members of what they time; the wheel owns none.

#define WHEEL_LEVELS  4
#define WHEEL_SLOTS   64 // of each level; a level's slot spans all slots of the level below
#define WHEEL_TICK_US 1000u
#define WHEEL_NEVER   UINT64_MAX

struct timer {
    struct timer *next;
    struct timer **link; // what points to this timer; NULL: it is not running
    uint64_t due_tick;
    uint32_t kind; // for the owner: what it is a timer of
};

struct wheel {
    uint64_t tick;                   // timers up to this one have fired
    uint64_t occupied[WHEEL_LEVELS]; // a bit for each slot
    struct timer *slots[WHEEL_LEVELS][WHEEL_SLOTS];
};

void wheel_init(struct wheel *wheel, uint64_t now_us);

// Starts or restarts a timer. One that is due already fires with the next tick.
// Times more than 64^4 ticks (about 4.6 hours) away count as that far.
void wheel_start(struct wheel *wheel, struct timer *timer, uint64_t due_us);
void wheel_stop(struct wheel *wheel, struct timer *timer);

// Has a running timer fire at due_us if that is earlier. One that is due already stays as it is, so
// repeated calls do not delay it.
void wheel_hasten(struct wheel *wheel, struct timer *timer, uint64_t due_us);

static inline bool timer_running(const struct timer *timer)
{
    return timer->link != 0;
}

// Stops and returns a timer that is due at now_us; NULL: there are no more. To be called until
// NULL.
struct timer *wheel_next(struct wheel *wheel, uint64_t now_us);

// When to call wheel_next again: not later than the next timer is due, and earlier where that is
// far away (on a higher level). WHEEL_NEVER: there are no timers.
uint64_t wheel_deadline(const struct wheel *wheel);
