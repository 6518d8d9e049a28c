// SPDX-License-Identifier: MIT
#include "tests/fuzz/corpus.h"
#include "tests/fuzz/target.h"

#include <stdbool.h>
#include <stdio.h>

// Runs a target over files, or over all files of a directory, and says so in TAP. A crash names the
// file.

static void take(void *context, const uint8_t *bytes, size_t len)
{
    (void)context;
    LLVMFuzzerTestOneInput(bytes, len);
}

int main(int argc, char **argv)
{
    corpus_watch();
    printf("1..1\n");
    fflush(stdout);
    int sum = 0;
    bool good = true;
    for (int i = 1; i < argc; i++) {
        int count = corpus_run(argv[i], take, NULL);
        good = good && count > 0;
        sum += count > 0 ? count : 0;
    }
    good = good && sum > 0;
    printf("%sok 1 - %d inputs\n", good ? "" : "not ", sum);
    return !good;
}
