// SPDX-License-Identifier: MIT
#pragma once
#include "core/forward/learned.h"
#include "io/engine/engine.h"

// The engine's side of an upgrade: what it leaves, its rest while another process takes over, and
// what that process carries on.

// Fills in what the successor's engine needs. The descriptors stay this engine's; of `inheritance`
// the caller frees `sockets` alone. 0 or -ENOMEM.
[[nodiscard]] int engine_pass_on(const struct engine *engine,
                                 struct engine_inheritance *inheritance);

// Nobody is heard any more and the cache is not written; what was asked is still answered, and
// connections that say nothing are closed. engine_resume undoes it, and repairs what another
// process has left of the cache that was killed while it wrote. False: a worker has ended.
[[nodiscard]] bool engine_rest(struct engine *engine);
[[nodiscard]] bool engine_resume(struct engine *engine);

// Has an engine at rest answered everything, and is no client connected?
[[nodiscard]] bool engine_is_done(const struct engine *engine);

// What a worker has learned of an upstream, for the worker of the same number of another engine.
struct engine_lesson {
    uint32_t worker;
    uint32_t unused;
    struct learned learned;
};

// Puts together what all workers have learned: `*lessons`, from malloc, is the caller's to free,
// NULL where there is no memory or a worker has ended. Returns how many there are. And tells the
// workers of this engine, which have been started.
[[nodiscard]] size_t engine_lessons(struct engine *engine, struct engine_lesson **lessons);
void engine_learn(struct engine *engine, const struct engine_lesson *lessons, size_t count);

// Did it begin with the answers of another engine?
[[nodiscard]] bool engine_has_cache(const struct engine *engine);

// What was counted by the one before this engine; adds up. One thread at a time.
void engine_carry(struct engine *engine, const struct counters *counted);
