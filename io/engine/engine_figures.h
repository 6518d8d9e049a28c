// SPDX-License-Identifier: MIT
#pragma once
#include "io/engine/engine.h"

// The counters and the memory of the engine. For any thread.

// The sum of the workers' counters, of those carried over from a predecessor, and of the XDP
// plane's. For any thread. engine_counters_own is without the plane's, which go over to a successor
// with the plane.
void engine_counters(const struct engine *engine, struct counters *sum);
void engine_counters_own(const struct engine *engine, struct counters *sum);
void engine_timings(const struct engine *engine, struct histogram sums[static TIMING_COUNT]);

// Memory in octets: the cache's region; of all workers the tables of fixed size (questions, source
// ports, quotas) and the buffers; zones and access lists; and local names.
struct engine_memory {
    uint64_t cache, tables, buffers, rules, local;
};
void engine_memory(const struct engine *engine, struct engine_memory *memory);

// Datagrams that the kernel dropped before a worker saw them, for want of room in its socket.
uint64_t engine_kernel_drops(const struct engine *engine);
void engine_cache_use(const struct engine *engine, struct cache_use *use);
