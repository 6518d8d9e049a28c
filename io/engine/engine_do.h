// SPDX-License-Identifier: MIT
#pragma once
#include "io/engine/engine.h"

// What another thread has the workers do, each in its own thread between two batches (job.h).

// Has each worker's thread call `run` between two batches until it returns false; returns when all
// are done. What takes long is done in pieces, and the worker answers in between. For any thread;
// they take turns. False: a worker has ended and did not do it.
[[nodiscard]] bool engine_do(struct engine *engine,
                             bool (*run)(struct serve *serve, uint64_t now_us, uint32_t worker,
                                         void *context),
                             void *context);

// Waits until every worker has come round between two batches. False: one has ended.
[[nodiscard]] bool engine_come_round(struct engine *engine);

// The same for who may not wait for what another thread has them do, which takes long perhaps:
// `*asked` is false then, and so is the answer. False otherwise: one has ended.
[[nodiscard]] bool engine_is_alive(struct engine *engine, bool *asked);
