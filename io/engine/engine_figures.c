// SPDX-License-Identifier: MIT
#include "io/engine/engine_figures.h"

#include "io/engine/answer_log.h"
#include "io/engine/engine_plane.h"
#include "io/engine/engine_state.h"
#include "io/engine/worker.h"

void engine_counters(const struct engine *engine, struct counters *sum)
{
    engine_counters_own(engine, sum);
    engine_plane_count(engine, sum);
}

void engine_counters_own(const struct engine *engine, struct counters *sum)
{
    memset(sum, 0, sizeof *sum);
    for (unsigned c = 0; c < COUNTER_COUNT; c++)
        sum->values[c] = counter_get(&engine->carried, (enum counter)c);
    for (unsigned i = 0; i < engine->worker_count; i++) {
        for (unsigned c = 0; c < COUNTER_COUNT; c++)
            sum->values[c] += counter_get(&engine->counters[i], (enum counter)c);
    }
}

void engine_timings(const struct engine *engine, struct histogram sums[TIMING_COUNT])
{
    memset(sums, 0, TIMING_COUNT * sizeof *sums);
    for (unsigned t = 0; t < TIMING_COUNT; t++)
        histogram_sum(&sums[t], &engine->carried.timings[t]);
    for (unsigned i = 0; i < engine->worker_count; i++) {
        for (unsigned t = 0; t < TIMING_COUNT; t++)
            histogram_sum(&sums[t], &engine->counters[i].timings[t]);
    }
}

void engine_memory(const struct engine *engine, struct engine_memory *memory)
{
    *memory = (struct engine_memory){.cache = engine->region_size};
    for (unsigned i = 0; i < engine->worker_count; i++)
        worker_memory(engine->workers[i], &memory->tables, &memory->buffers);
    if (__atomic_load_n(&engine->answer_log_bytes, __ATOMIC_RELAXED))
        memory->buffers += (uint64_t)engine->worker_count * ANSWER_LOG_SIZE;
    memory->rules = __atomic_load_n(&engine->rules_octets, __ATOMIC_RELAXED);
    memory->local = __atomic_load_n(&engine->local_octets, __ATOMIC_RELAXED);
}

uint64_t engine_kernel_drops(const struct engine *engine)
{
    uint64_t drops = 0;
    for (unsigned i = 0; i < engine->worker_count; i++)
        drops += worker_kernel_drops(engine->workers[i]);
    return drops;
}

void engine_cache_use(const struct engine *engine, struct cache_use *use)
{
    cache_use(&engine->cache, use);
}
