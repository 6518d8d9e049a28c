// SPDX-License-Identifier: MIT
#pragma once
#include "core/serve.h"

// The engine: all workers, the cache's memory and the clock they share.

struct engine; // opaque

// Takes all memory, opens all sockets and rings, and starts the workers. The settings must live as
// long as the engine. NULL: `why` is one sentence that names what could not be had, and nothing is
// left behind.
#define ENGINE_WHY_SIZE 640
[[nodiscard]] struct engine *engine_start(const struct settings *settings,
                                          char why[static ENGINE_WHY_SIZE]);

// Ends all workers and gives everything back. Returns 0, or the negative errno with which a worker
// had failed.
int engine_stop(struct engine *engine);

unsigned engine_worker_count(const struct engine *engine);

// Adds up what the workers have counted. For any thread.
void engine_counters(const struct engine *engine, struct counters *sum);
void engine_cache_use(const struct engine *engine, struct cache_use *use);

// A descriptor that becomes readable when a worker has failed.
int engine_failure_fd(const struct engine *engine);
