// SPDX-License-Identifier: MIT
#include "tests/sim/sim.h"
#include "tests/support/patience.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static const char usage[] =
    "usage: sim --seed N [--trace]        one seed; what happens, line by line\n"
    "       sim --seeds FROM COUNT        so many seeds from that one on\n"
    "       sim --replay FILE             the seeds of a file, one a line\n"
    "       sim --bench                   experiments with figures, in virtual time, as a test\n"
    "       sim --tap FROM COUNT FILE     all of that as a test\n"
    "A failure names its seed and what did not hold; the exit status is then 1. The digest at the\n"
    "end depends on all that was sent, so two equal runs print the same one.\n";

enum { GROUP = 100, TWICE = 20, PATIENCE_S = 120 };

// For the handler alone: an assert of core's ends the process, and the seed must be known then.
static volatile uint64_t current_seed;

static void died(int number)
{
    char text[96];
    int len =
        snprintf(text, sizeof text, "seed %" PRIu64 ": ended by signal %d\n", current_seed, number);
    ssize_t written = write(STDERR_FILENO, text, (size_t)len);
    (void)written;
    signal(number, SIG_DFL);
    raise(number);
}

static bool run(struct sim *sim, uint64_t seed, bool trace)
{
    current_seed = seed;
    patience_begin(PATIENCE_S);
    bool good = sim_run(sim, seed, trace);
    if (!good)
        fprintf(stderr, "seed %" PRIu64 ": %s\n", seed, sim->why);
    return good;
}

// Returns how many failed.
static uint64_t run_many(struct sim *sim, uint64_t from, uint64_t count, uint64_t *digest)
{
    uint64_t failed = 0;
    for (uint64_t seed = from; seed < from + count; seed++) {
        failed += !run(sim, seed, false);
        *digest = dice_mix(*digest ^ sim->digest);
    }
    return failed;
}

// Each line begins with a seed; what follows says why it is kept. Returns how many failed.
static uint64_t run_file(struct sim *sim, const char *path, uint64_t *digest)
{
    FILE *file = fopen(path, "r");
    if (!file) {
        fprintf(stderr, "sim: cannot read %s\n", path);
        return 1;
    }
    char line[512];
    uint64_t failed = 0;
    while (fgets(line, sizeof line, file)) {
        char *end;
        uint64_t seed = strtoull(line, &end, 10);
        if (end == line)
            continue;
        failed += !run(sim, seed, false);
        *digest = dice_mix(*digest ^ sim->digest);
    }
    fclose(file);
    return failed;
}

// The same seeds again, in another order: nothing may be left over from one to the next.
static bool same_again(struct sim *sim, uint64_t from)
{
    uint64_t digests[TWICE];
    bool same = true;
    for (unsigned i = 0; i < TWICE; i++) {
        run(sim, from + i, false);
        digests[i] = sim->digest;
    }
    for (unsigned i = TWICE; i-- > 0;) {
        run(sim, from + i, false);
        if (sim->digest != digests[i]) {
            fprintf(stderr, "seed %" PRIu64 ": a second run went otherwise\n", from + i);
            same = false;
        }
    }
    return same;
}

static int tap(struct sim *sim, uint64_t from, uint64_t count, const char *path)
{
    uint64_t groups = (count + GROUP - 1) / GROUP, bad = 0, digest = 0;
    printf("1..%" PRIu64 "\n", groups + 2);
    for (uint64_t i = 0; i < groups; i++) {
        uint64_t first = from + i * GROUP, left = count - i * GROUP;
        uint64_t many = left < GROUP ? left : GROUP;
        bool failed = run_many(sim, first, many, &digest);
        bad += failed;
        printf("%sok %" PRIu64 " - seeds %" PRIu64 " to %" PRIu64 "\n", failed ? "not " : "", i + 1,
               first, first + many - 1);
    }
    bool failed = run_file(sim, path, &digest);
    bad += failed;
    printf("%sok %" PRIu64 " - seeds that once failed\n", failed ? "not " : "", groups + 1);
    failed = !same_again(sim, from);
    bad += failed;
    printf("%sok %" PRIu64 " - equal seeds run equally\n", failed ? "not " : "", groups + 2);
    printf("# digest %016" PRIx64 "\n", digest);
    return bad != 0;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

// What the seeds made happen: a simulator that tests nothing is seen here.
static void totals_print(const struct sim *sim)
{
    for (unsigned i = 0; i < COUNTER_COUNT; i++) {
        const struct counter_description *d = &counter_descriptions[i];
        if (!d->gauge)
            printf("%12" PRIu64 " %s%s%s%s\n", sim->totals[i], d->metric, *d->labels ? "{" : "",
                   d->labels, *d->labels ? "}" : "");
    }
    printf("%12" PRIu64 " forged replies\n%12" PRIu64 " popularity hints\n", sim->tallies.forged,
           sim->tallies.hints);
}

static int many(struct sim *sim, uint64_t from, uint64_t count)
{
    uint64_t digest = 0;
    double start = seconds();
    uint64_t failed = run_many(sim, from, count, &digest);
    double took = seconds() - start;
    totals_print(sim);
    printf("%" PRIu64 " seeds, %" PRIu64 " failed, %.0f seeds/s, digest %016" PRIx64 "\n", count,
           failed, (double)count / took, digest);
    return failed != 0;
}

static bool number_take(const char *text, uint64_t *number)
{
    char *end;
    *number = strtoull(text, &end, 10);
    return *text && !*end;
}

static int command_do(struct sim *sim, int argc, char **argv)
{
    uint64_t from, count, digest = 0;
    if (argc == 2 && !strcmp(argv[1], "--bench"))
        return bench_run(sim) > 0;
    bool seed = argc >= 3 && !strcmp(argv[1], "--seed") && number_take(argv[2], &from);
    bool range = argc >= 4 && number_take(argv[2], &from) && number_take(argv[3], &count);
    if (seed && (argc == 3 || (argc == 4 && !strcmp(argv[3], "--trace")))) {
        bool good = run(sim, from, argc == 4);
        printf("seed %" PRIu64 " %s, digest %016" PRIx64 "\n", from, good ? "held" : "failed",
               sim->digest);
        return !good;
    }
    if (range && argc == 4 && !strcmp(argv[1], "--seeds"))
        return many(sim, from, count);
    if (range && argc == 5 && !strcmp(argv[1], "--tap"))
        return tap(sim, from, count, argv[4]);
    if (argc == 3 && !strcmp(argv[1], "--replay")) {
        uint64_t failed = run_file(sim, argv[2], &digest);
        printf("%" PRIu64 " failed, digest %016" PRIx64 "\n", failed, digest);
        return failed != 0;
    }
    fputs(usage, stderr);
    return 2;
}

int main(int argc, char **argv)
{
    static const int deadly[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGPROF};
    for (unsigned i = 0; i < sizeof deadly / sizeof *deadly; i++)
        signal(deadly[i], died);
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct sim *sim = sim_make();
    int status = command_do(sim, argc, argv);
    sim_free(sim);
    return status;
}
