// SPDX-License-Identifier: MIT
#include "bench/warm.h"

#include <stdio.h>
#include <stdlib.h>

// Answers so many cached questions and ends. Run under callgrind with N and with 2N, the difference
// over N is the number of instructions that core and cache spend on a cached answer: without local
// names, or with special names and so many blocked ones.

enum { NAMES = 1000, BATCH = 20 };

int main(int argc, char **argv)
{
    size_t rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
    if (argc < 2 || argc > 3 || rounds == 0) {
        fprintf(stderr, "usage: %s ROUNDS [BLOCKED]   (of %d cached answers each)\n", argv[0],
                NAMES);
        return 2;
    }
    struct warm *warm = warm_make(NAMES, (size_t)8 << 20);
    if (argc == 3)
        warm_block(warm, strtoul(argv[2], NULL, 10));
    warm_hits(warm, NAMES, BATCH, rounds);
    warm_free(warm);
    printf("%zu cached answers\n", rounds * NAMES);
    return 0;
}
