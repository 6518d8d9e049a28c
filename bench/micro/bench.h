/* SPDX-License-Identifier: MIT */
#pragma once

/* A C face for Google Benchmark, so that what is measured stays C. */

#ifdef __cplusplus
extern "C" {
#endif

struct bench; /* one running measurement */

/* True as long as another round is to be measured. */
int bench_next(struct bench *bench);

/* How many items a round handled, for a rate per item. */
void bench_items(struct bench *bench, unsigned long items_per_round);

void bench_add(const char *name, void (*run)(struct bench *bench, void *context), void *context);

/* Runs what was added; the arguments are Google Benchmark's. Returns the exit status. */
int bench_run(int argc, char **argv);

#ifdef __cplusplus
}
#endif
