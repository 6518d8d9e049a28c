// SPDX-License-Identifier: MIT
#pragma once
#include "core/forward/learned.h"
#include "io/engine/engine.h"

// The engine's side of an upgrade: what it passes on, how it rests while the successor takes over,
// and what the successor carries on.

// Fills in what the successor's engine needs. The descriptors stay this engine's; of `inheritance`
// the caller frees `sockets` alone. 0 or -ENOMEM.
[[nodiscard]] int engine_pass_on(const struct engine *engine,
                                 struct engine_inheritance *inheritance);

// Rest: nothing is received and the cache is not written any more; queries that have arrived are
// still answered, and idle connections are closed. engine_resume undoes that, and repairs the cache
// if a successor was killed while it wrote. False: a worker has ended.
[[nodiscard]] bool engine_rest(struct engine *engine);
[[nodiscard]] bool engine_resume(struct engine *engine);

// True if an engine at rest has answered everything, and no client is connected.
[[nodiscard]] bool engine_is_done(const struct engine *engine);

// What a worker has learned of an upstream, for the successor's worker of the same number.
struct engine_lesson {
    uint32_t worker;
    uint32_t unused;
    struct learned learned;
};

// Collects what all workers have learned: `*lessons`, from malloc, is the caller's to free; NULL:
// there is no memory, or a worker has ended. Returns how many there are. engine_learn gives them to
// the workers of this engine, which have been started.
[[nodiscard]] size_t engine_lessons(struct engine *engine, struct engine_lesson **lessons);
void engine_learn(struct engine *engine, const struct engine_lesson *lessons, size_t count);

// True if it started with the cached answers of a predecessor.
[[nodiscard]] bool engine_has_cache(const struct engine *engine);

// Adds the counters of the predecessor. One thread at a time.
void engine_carry(struct engine *engine, const struct counters *counted);
