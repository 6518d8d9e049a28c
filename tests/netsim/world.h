// SPDX-License-Identifier: MIT
#pragma once
#include "tests/netsim/params.h"
#include "tests/sim/dice.h"

#include <stddef.h>

// A simulated world around the engine (io/engine): one thread, a virtual clock, and one seed that
// decides everything. Workers take turns (threads.c), and hosts around them act by timers. There is
// one world in a process, as the functions that stand in for the kernel's have no argument for it.
//
// A seed that fails ends the process (world_fail), and main.c goes on in another one.

struct world {
    uint64_t seed;
    uint64_t now_us; // since 1970
    uint64_t steps;
    uint64_t digest; // of all that was sent
    uint64_t gone;   // times that a socket was told that its upstream cannot be reached
    struct dice dice;
    struct params params;
    bool trace;
    bool calm; // faults are off: while engines are made, and at the end
};

extern struct world world;

void world_begin(uint64_t seed, bool trace);

// The seed has failed: says why and ends the process.
[[gnu::noreturn, gnu::format(printf, 1, 2)]] void world_fail(const char *format, ...);

// A line of the trace, where that is wanted.
[[gnu::format(printf, 1, 2)]] void world_tell(const char *format, ...);

void world_mix(const void *bytes, size_t len);

// A lot that is drawn where faults are on. Per mille.
[[nodiscard]] bool world_mischief(uint32_t per_mille);

// A moment at which something happens: `run` is called. Setting it again moves it.
struct alarm {
    uint64_t at_us; // 0: it is not set
    uint64_t order;
    size_t place;
    void (*run)(void *context);
    void *context;
};

void alarm_set(struct alarm *alarm, uint64_t at_us);
void alarm_stop(struct alarm *alarm);

// Brings it forward to that moment.
void alarm_hasten(struct alarm *alarm, uint64_t at_us);

// One turn of a worker, or one timer. False: there is nothing to come.
bool world_step(void);

// Goes on until that moment.
void world_run(uint64_t until_us);
