// SPDX-License-Identifier: MIT
#pragma once
#include "io/engine/engine.h"

// Has all workers do a task (worker_task.h), each in its own thread between two batches.

// Has each worker's thread call `run` between two batches until it returns false; returns when all
// are done. Any thread may call this; calls are serialised. False: a worker has ended without
// doing it.
[[nodiscard]] bool engine_do(struct engine *engine,
                             bool (*run)(struct serve *serve, uint64_t now_us, uint32_t worker,
                                         void *context),
                             void *context);

// Waits until every worker has been between two batches. False: one has ended.
[[nodiscard]] bool engine_come_round(struct engine *engine);

// The same for a caller that must not wait for the task of another thread, which may be a long one:
// while there is one, `*asked` and the answer are false. False with `*asked`: a worker has ended.
[[nodiscard]] bool engine_is_alive(struct engine *engine, bool *asked);
