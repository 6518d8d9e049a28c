// SPDX-License-Identifier: MIT
#include "tests/netsim/clients.h"
#include "tests/netsim/engine.h"
#include "tests/netsim/files.h"
#include "tests/netsim/house.h"
#include "tests/netsim/learning.h"
#include "tests/netsim/link.h"
#include "tests/netsim/network.h"
#include "tests/netsim/operator.h"
#include "tests/netsim/world.h"
#include "tests/support/patience.h"

#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static const char usage[] =
    "usage: netsim --seed N [--trace]     one seed; what happens, line by line\n"
    "       netsim --seeds FROM COUNT     so many seeds from that one on\n"
    "       netsim --replay FILE          the seeds of a file, one a line\n"
    "       netsim --tap FROM COUNT FILE  all of that as a test\n"
    "A failure names its seed and what did not hold; the exit status is then 1. The digest at the\n"
    "end depends on all that was sent, so two equal runs print the same one.\n";

enum { GROUP = 100, TWICE = 10, PATIENCE_S = 120, FAILED_MAX = 20, KEPT_MAX = 1000 };

// What a process that runs seeds leaves to the one that started it.
struct progress {
    uint64_t seed;   // that it is at
    uint64_t digest; // of all so far
    uint64_t last;   // of the last one
    uint64_t asked, lost, steps;
};

static struct progress *progress;

static void world_make(uint64_t seed, bool trace)
{
    world_begin(seed, trace);
    files_begin();
    links_begin();
    network_begin();
    engine_begin();
}

static void run(uint64_t seed, bool trace)
{
    progress->seed = seed;
    patience_begin(PATIENCE_S);
    world_make(seed, trace);
    params_draw(&world.params, seed);
    clients_begin(seed);
    operator_run();
    progress->last = dice_mix(world.digest ^ world.steps);
    progress->digest = dice_mix(progress->digest ^ progress->last);
    progress->asked += clients_figures.asked;
    progress->lost += clients_figures.lost;
    progress->steps += world.steps;
}

// Runs `count` seeds in a process of its own, as one that fails ends its process. Returns how many
// it has done: all, or those in front of the one that failed.
static uint64_t some_run(uint64_t from, uint64_t count)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0)
        exit(2);
    if (pid == 0) {
        for (uint64_t seed = from; seed < from + count; seed++)
            run(seed, false);
        exit(0);
    }
    int status = 0;
    while (waitpid(pid, &status, 0) < 0)
        continue;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return count;
    if (WIFSIGNALED(status))
        printf("# seed %" PRIu64 ": ended by signal %d\n", progress->seed, WTERMSIG(status));
    return progress->seed - from;
}

// Returns how many failed.
static uint64_t many_run(uint64_t from, uint64_t count)
{
    uint64_t failed = 0;
    for (uint64_t done = 0; done < count && failed < FAILED_MAX;) {
        uint64_t some = count - done < GROUP ? count - done : GROUP;
        uint64_t went = some_run(from + done, some);
        failed += went < some;
        done += went < some ? went + 1 : some;
    }
    return failed;
}

// Reads the seeds of a file, one a line; what follows one says why it is kept. Returns how many
// there are; -1: it cannot be read.
static int seeds_read(const char *path, uint64_t seeds[static KEPT_MAX])
{
    char line[512];
    int count = 0;
    FILE *file = fopen(path, "r");
    while (file && count < KEPT_MAX && fgets(line, sizeof line, file)) {
        char *end;
        seeds[count] = strtoull(line, &end, 10);
        count += end != line;
    }
    if (file)
        fclose(file);
    return file ? count : -1;
}

// The file is closed before the first of its seeds runs: a process that ends would move the place
// in it that both share.
static uint64_t file_run(const char *path)
{
    uint64_t seeds[KEPT_MAX], failed = 0;
    int count = seeds_read(path, seeds);
    if (count < 0)
        fprintf(stderr, "netsim: cannot read %s\n", path);
    for (int i = 0; i < count; i++)
        failed += many_run(seeds[i], 1);
    return failed + (count < 0);
}

// A seed runs in the same way alone and behind another one.
static bool same_again(uint64_t from)
{
    uint64_t before = progress->digest;
    bool same = true;
    for (uint64_t seed = from + 1; seed <= from + TWICE && same; seed++) {
        (void)some_run(seed, 1);
        uint64_t alone = progress->last;
        (void)some_run(seed - 1, 2);
        same = progress->last == alone;
        if (!same)
            printf("# seed %" PRIu64 ": a second run went otherwise\n", seed);
    }
    progress->digest = before;
    return same;
}

static void say(uint64_t number, bool good, const char *what)
{
    printf("%sok %" PRIu64 " - %s\n", good ? "" : "not ", number, what);
}

static int tap(uint64_t from, uint64_t count, const char *path)
{
    char what[64];
    uint64_t groups = (count + GROUP - 1) / GROUP, bad = 0;
    printf("1..%" PRIu64 "\n", groups + 2);
    for (uint64_t i = 0; i < groups; i++) {
        uint64_t first = from + i * GROUP, left = count - i * GROUP;
        uint64_t some = left < GROUP ? left : GROUP;
        bool good = many_run(first, some) == 0;
        bad += !good;
        snprintf(what, sizeof what, "seeds %" PRIu64 " to %" PRIu64, first, first + some - 1);
        say(i + 1, good, what);
    }
    bool good = file_run(path) == 0, same = same_again(from);
    bad += !good + !same;
    say(groups + 1, good, "seeds that once failed");
    say(groups + 2, same, "equal seeds run equally");
    printf("# digest %016" PRIx64 "\n", progress->digest);
    return bad > 0;
}

static int many(uint64_t from, uint64_t count)
{
    uint64_t failed = many_run(from, count);
    printf("%" PRIu64 " seeds, %" PRIu64 " failed, %" PRIu64 " asked, %" PRIu64 " lost, %" PRIu64
           " steps, digest %016" PRIx64 "\n",
           count, failed, progress->asked, progress->lost, progress->steps, progress->digest);
    return failed > 0;
}

static int one(uint64_t seed, bool trace)
{
    run(seed, trace);
    printf("digest %016" PRIx64 "\n", progress->digest);
    return 0;
}

// All that the seeds share: the settings, and the right replies.
static void prepare(void)
{
    // What one seed has used the next one uses again, without asking the kernel for pages.
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    setvbuf(stdout, NULL, _IOLBF, 0);
    progress =
        mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (progress == MAP_FAILED)
        exit(2);
    house_make();
    world_make(0, false);
    learning_run();
}

int main(int argc, char **argv)
{
    const char *how = argc > 2 ? argv[1] : "";
    uint64_t from = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
    uint64_t count = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
    bool is_one = strcmp(how, "--seed") == 0, is_many = strcmp(how, "--seeds") == 0;
    bool is_file = strcmp(how, "--replay") == 0, is_tap = strcmp(how, "--tap") == 0 && argc > 4;
    if (!is_one && !is_many && !is_file && !is_tap) {
        fputs(usage, stderr);
        return 2;
    }
    prepare();
    if (is_one)
        return one(from, argc > 3 && strcmp(argv[3], "--trace") == 0);
    if (is_file)
        return file_run(argv[2]) > 0;
    return is_tap ? tap(from, count, argv[4]) : many(from, count);
}
