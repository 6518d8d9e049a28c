// SPDX-License-Identifier: MIT
#include "tests/fuzz/corpus.h"

#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { INPUT_MAX = 1 << 20 };

static char current[4096];

static void died(int number)
{
    static const char before[] = "not ok 1 - ended by a signal at ";
    ssize_t written = write(STDOUT_FILENO, before, sizeof before - 1);
    written += write(STDOUT_FILENO, current, strlen(current));
    written += write(STDOUT_FILENO, "\n", 1);
    (void)written;
    signal(number, SIG_DFL);
    raise(number);
}

void corpus_watch(void)
{
    signal(SIGABRT, died);
    signal(SIGSEGV, died);
}

static bool file_run(const char *path, corpus_take *take, void *context)
{
    snprintf(current, sizeof current, "%s", path);
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = malloc(INPUT_MAX);
    bool good = file && bytes;
    if (good) {
        size_t len = fread(bytes, 1, INPUT_MAX, file);
        uint8_t *exact = realloc(bytes, len ? len : 1);
        bytes = exact ? exact : bytes;
        take(context, bytes, len);
    } else {
        printf("# cannot read %s\n", path);
    }
    if (file)
        fclose(file);
    free(bytes);
    return good;
}

static int visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

int corpus_run(const char *path, corpus_take *take, void *context)
{
    struct dirent **entries;
    int count = scandir(path, &entries, visible, alphasort);
    if (count < 0)
        return file_run(path, take, context) ? 1 : -1;
    bool good = true;
    for (int i = 0; i < count; i++) {
        char file[4096];
        snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
        good = file_run(file, take, context) && good;
        free(entries[i]);
    }
    free(entries);
    return good ? count : -1;
}
