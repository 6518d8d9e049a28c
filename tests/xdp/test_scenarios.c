// SPDX-License-Identifier: MIT
#include "tests/scenario/runner.h"
#include "tests/scenario/stage.h"
#include "tests/xdp/compare.h"

#include <stdio.h>
#include <stdlib.h>

// All scenarios with the program beside their workers: whatever a scenario is about, both say the
// same to each of its queries over UDP.
//
//   test_scenarios ANSWERED POPULAR [ARGUMENTS OF run_scenario]...   TAP; skipped where BPF is
//                                                                    not allowed
//
// So many frames at least have to be answered by the program as things are, and so many as if all
// answers were popular.

static bool all_load(struct compare *compare, char why[static PLANE_WHY_SIZE])
{
    for (uint32_t workers = 1; workers <= WORKERS_MAX; workers++) {
        if (!compare_load(compare, STAGE_SHARDS_PER_WORKER * workers, STAGE_REGION_LEN, why))
            return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    static struct compare compare;
    char why[PLANE_WHY_SIZE] = "";
    size_t count;
    if (argc < 4) {
        fprintf(stderr, "usage: %s ANSWERED POPULAR [ARGUMENTS OF run_scenario]...\n", argv[0]);
        return 2;
    }
    compare_init(&compare);
    if (!all_load(&compare, why)) {
        printf("1..0 # SKIP %s\n", why);
        return 0;
    }
    size_t failed = runner_run(argc - 2, argv + 2, &compare.beside, &count);
    compare_report(&compare);
    bool enough =
        compare_answered(&compare, strtoull(argv[1], NULL, 10), strtoull(argv[2], NULL, 10));
    printf("%sok %zu - the program answers what it can\n", enough ? "" : "not ", count + 1);
    printf("1..%zu\n", count + 1);
    return failed > 0 || !enough;
}
