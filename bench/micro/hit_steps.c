// SPDX-License-Identifier: MIT
#include "bench/micro/steps.h"

#include <stdio.h>
#include <stdlib.h>

// Does one step of so many cached answers and ends, to be counted as hit_instructions is: under
// callgrind with N and with 2N, the difference over N. A program of its own, so that what
// hit_instructions is compiled to stays what the daemon's is.

enum { NAMES = 1000, STEPS = sizeof steps_all / sizeof *steps_all };

static const struct step *step_of(const char *name)
{
    for (size_t i = 0; i < STEPS; i++) {
        if (strcmp(steps_all[i].name, name) == 0)
            return &steps_all[i];
    }
    return NULL;
}

int main(int argc, char **argv)
{
    size_t rounds = argc == 3 ? strtoul(argv[1], NULL, 10) : 0;
    const struct step *step = argc == 3 ? step_of(argv[2]) : NULL;
    if (rounds == 0 || !step) {
        fprintf(stderr, "usage: %s ROUNDS parse|key|lookup|patch   (of %d cached answers each)\n",
                argv[0], NAMES);
        return 2;
    }
    struct warm *warm = warm_make(NAMES, (size_t)8 << 20);
    struct steps *steps = steps_make(warm);
    for (size_t round = 0; round < rounds; round++)
        step->do_all(steps);
    steps_free(steps);
    warm_free(warm);
    printf("%zu times %s\n", rounds * NAMES, step->name);
    return 0;
}
