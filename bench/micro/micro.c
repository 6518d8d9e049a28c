// SPDX-License-Identifier: MIT
#include "bench/micro/bench.h"
#include "bench/micro/steps.h"

// The steps of a cached answer, each alone, and all of them together.

enum { NAMES = 1000, STEPS = sizeof steps_all / sizeof *steps_all };

struct bench_step {
    struct steps *steps;
    void (*do_all)(struct steps *steps);
};

static void step(struct bench *bench, void *context)
{
    const struct bench_step *one = context;
    while (bench_next(bench))
        one->do_all(one->steps);
    bench_items(bench, NAMES);
}

static void hit_single(struct bench *bench, void *context)
{
    while (bench_next(bench))
        warm_hits(context, NAMES, 1, 1);
    bench_items(bench, NAMES);
}

static void hit_batch(struct bench *bench, void *context)
{
    while (bench_next(bench))
        warm_hits(context, NAMES, 50, 1);
    bench_items(bench, NAMES);
}

int main(int argc, char **argv)
{
    struct warm *warm = warm_make(NAMES, (size_t)8 << 20);
    struct steps *steps = steps_make(warm);
    struct bench_step all[STEPS];
    for (size_t i = 0; i < STEPS; i++) {
        all[i] = (struct bench_step){steps, steps_all[i].do_all};
        bench_add(steps_all[i].name, step, &all[i]);
    }
    bench_add("hit/batch:1", hit_single, warm);
    bench_add("hit/batch:50", hit_batch, warm);
    int status = bench_run(argc, argv);
    steps_free(steps);
    warm_free(warm);
    return status;
}
