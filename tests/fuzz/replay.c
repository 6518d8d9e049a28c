// SPDX-License-Identifier: MIT
#include "tests/fuzz/target.h"

#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

// Runs a target over files, or over all files of a directory in the order of their names, and says
// so in TAP. A crash names the file.

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

static bool file_run(const char *path)
{
    snprintf(current, sizeof current, "%s", path);
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = malloc(INPUT_MAX);
    bool good = file && bytes;
    if (good) {
        size_t len = fread(bytes, 1, INPUT_MAX, file);
        uint8_t *exact = realloc(bytes, len ? len : 1);
        bytes = exact ? exact : bytes;
        LLVMFuzzerTestOneInput(bytes, len);
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

// Returns how many files were run, or -1.
static int path_run(const char *path)
{
    struct dirent **entries;
    int count = scandir(path, &entries, visible, alphasort);
    if (count < 0)
        return file_run(path) ? 1 : -1;
    bool good = true;
    for (int i = 0; i < count; i++) {
        char file[4096];
        snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
        good = file_run(file) && good;
        free(entries[i]);
    }
    free(entries);
    return good ? count : -1;
}

int main(int argc, char **argv)
{
    signal(SIGABRT, died);
    signal(SIGSEGV, died);
    printf("1..1\n");
    fflush(stdout);
    int sum = 0;
    bool good = true;
    for (int i = 1; i < argc; i++) {
        int count = path_run(argv[i]);
        good = good && count > 0;
        sum += count > 0 ? count : 0;
    }
    good = good && sum > 0;
    printf("%sok 1 - %d inputs\n", good ? "" : "not ", sum);
    return !good;
}
