// SPDX-License-Identifier: MIT
#include "bench/micro/bench.h"

#include <benchmark/benchmark.h>

struct bench {
    benchmark::State *state;
};

int bench_next(struct bench *bench)
{
    return bench->state->KeepRunning();
}

void bench_items(struct bench *bench, unsigned long items_per_round)
{
    bench->state->SetItemsProcessed(static_cast<int64_t>(bench->state->iterations()) *
                                    static_cast<int64_t>(items_per_round));
}

void bench_add(const char *name, void (*run)(struct bench *bench, void *context), void *context)
{
    benchmark::RegisterBenchmark(name, [run, context](benchmark::State &state) {
        struct bench bench = {&state};
        run(&bench, context);
    });
}

int bench_run(int argc, char **argv)
{
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv))
        return 2;
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    return 0;
}
