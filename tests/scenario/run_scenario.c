// SPDX-License-Identifier: MIT
#include "tests/scenario/runner.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    size_t count;
    size_t failed = runner_run(argc, argv, NULL, &count);
    printf("1..%zu\n", count);
    return failed > 0;
}
