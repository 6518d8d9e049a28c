// SPDX-License-Identifier: MIT
#include "tests/scenario/runner.h"

#include "tests/scenario/play.h"
#include "tests/support/patience.h"

#include <dirent.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char usage[] =
    "usage: run_scenario [--trace] [--bad] [--seed N] [--part N/COUNT] FILE|DIRECTORY...\n"
    "Plays scenarios, each with several seeds, and says in TAP how it went.\n"
    "  --trace         prints what happens\n"
    "  --bad           each must fail, with the sentence behind \"fails:\" in its first line\n"
    "  --seed N        with this seed alone\n"
    "  --part N/COUNT  the Nth and each COUNTth behind it; the parts from 1 to COUNT are all\n";

enum { SEEDS = 5, PATHS_MAX = 1000, OUTPUT_MAX = 1 << 20, PATIENCE_S = 60, TRIM_MIN = 64 << 20 };

struct run {
    struct beside *beside; // NULL: none
    bool trace;
    bool bad;
    uint64_t seed; // 0: several
    size_t part;   // from 1, of so many
    size_t part_count;
    char *paths[PATHS_MAX];
    size_t path_count;
};

static const char suffix[] = ".scenario";

static bool is_scenario(const char *name)
{
    size_t len = strlen(name), end = sizeof suffix - 1;
    return len > end && strcmp(name + len - end, suffix) == 0;
}

static void path_add(struct run *run, const char *path)
{
    if (run->path_count == PATHS_MAX) {
        fprintf(stderr, "run_scenario: more than %d files\n", PATHS_MAX);
        exit(2);
    }
    run->paths[run->path_count++] = strdup(path);
}

// Adds a file, or the scenarios of a directory and those below it in the order of their names. What
// else lies there is an error: a scenario with a wrong name would never be played.
static void paths_find(struct run *run, const char *path)
{
    struct dirent **entries;
    struct stat about;
    if (stat(path, &about) != 0) {
        fprintf(stderr, "run_scenario: %s: %s\n", path, strerror(errno));
        exit(2);
    }
    if (!S_ISDIR(about.st_mode)) {
        path_add(run, path);
        return;
    }
    int count = scandir(path, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char below[4096];
        snprintf(below, sizeof below, "%s/%s", path, entries[i]->d_name);
        bool directory = stat(below, &about) == 0 && S_ISDIR(about.st_mode);
        if (*entries[i]->d_name != '.') {
            if (!directory && !is_scenario(entries[i]->d_name)) {
                fprintf(stderr, "run_scenario: %s: no scenario (its name has to end in %s)\n",
                        below, suffix);
                exit(2);
            }
            paths_find(run, below);
        }
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
}

// Plays it in a process of its own, as what goes wrong ends that. Returns the exit status, or 256
// and a signal's number; what it prints is in `output`.
static int played(const struct run *run, const char *path, uint64_t seed, char *output)
{
    int ends[2];
    fflush(stdout);
    if (pipe(ends) != 0)
        return 2;
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        patience_begin(PATIENCE_S);
        struct script script = script_open(path);
        script.seed = seed;
        play(&script, run->trace, run->beside);
        fflush(stdout);
        _exit(0);
    }
    close(ends[1]);
    size_t len = 0;
    ssize_t got;
    while ((got = read(ends[0], output + len, OUTPUT_MAX - 1 - len)) > 0)
        len += (size_t)got;
    output[len] = '\0';
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? 256 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void output_print(const char *output)
{
    while (*output) {
        int len = (int)strcspn(output, "\n");
        printf("%s%.*s\n", *output == '#' ? "" : "# ", len, output);
        output += len + (output[len] == '\n');
    }
}

// What the scenario must fail with.
static char *failure_wanted(const char *title)
{
    static const char mark[] = "fails: ";
    const char *at = strstr(title, mark);
    return at ? strdup(at + sizeof mark - 1) : NULL;
}

static bool run_good(const struct run *run, const char *path, char *output)
{
    uint64_t first = run->seed ? run->seed : 1;
    uint64_t last = run->seed ? run->seed : SEEDS;
    for (uint64_t seed = first; seed <= last; seed++) {
        int result = played(run, path, seed, output);
        if (run->trace)
            printf("# with seed %d:\n", (int)seed);
        if (run->trace || result != 0)
            output_print(output);
        if (result == 0)
            continue;
        printf("# with seed %d", (int)seed);
        if (result >= 256)
            printf(", ended by signal %d", result - 256);
        printf("\n");
        return false;
    }
    return true;
}

static bool run_bad(const struct run *run, const char *path, const char *wanted, char *output)
{
    int result = played(run, path, 1, output);
    if (run->trace)
        output_print(output);
    if (wanted && result == 1 && strstr(output, wanted))
        return true;
    output_print(output);
    printf("# this should fail with: %s\n", wanted ? wanted : "(the file does not say what)");
    return false;
}

// A case's name is the scenario's place and the first sentence of what it says.
static void case_print(bool good, size_t number, const char *path, const char *title)
{
    const char *at = path + strlen(path);
    for (unsigned slashes = 0; at > path && (slashes += at[-1] == '/') < 2;)
        at--;
    const char *end = strstr(title, ". ");
    int len = end ? (int)(end - title) : (int)strlen(title);
    // The sign with which TAP's directives begin must not stand there.
    int plain = (int)strcspn(title, "#");
    printf("%s %zu - %s: %.*s\n", good ? "ok" : "not ok", number, at, len < plain ? len : plain,
           title);
}

// Leaves those of its part, which are spread over all folders, as some take longer than others.
static void part_keep(struct run *run)
{
    size_t kept = 0;
    for (size_t i = 0; i < run->path_count; i++) {
        if (i % run->part_count == run->part - 1)
            run->paths[kept++] = run->paths[i];
        else
            free(run->paths[i]);
    }
    run->path_count = kept;
}

static bool part_read(struct run *run, const char *text)
{
    char *end;
    run->part = strtoul(text, &end, 10);
    run->part_count = *end == '/' ? strtoul(end + 1, &end, 10) : 0;
    return *end == '\0' && run->part >= 1 && run->part <= run->part_count;
}

static _Noreturn void usage_tell(void)
{
    fputs(usage, stderr);
    exit(2);
}

static void options_take(struct run *run, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--trace") == 0) {
            run->trace = true;
        } else if (strcmp(argv[i], "--bad") == 0) {
            run->bad = true;
        } else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
            run->seed = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--part") == 0 && i + 1 < argc) {
            if (!part_read(run, argv[++i]))
                usage_tell();
        } else if (*argv[i] == '-') {
            usage_tell();
        } else {
            paths_find(run, argv[i]);
        }
    }
    part_keep(run);
    if (run->path_count == 0)
        usage_tell();
}

size_t runner_run(int argc, char **argv, struct beside *beside, size_t *count)
{
    struct run run = {.beside = beside, .part = 1, .part_count = 1};
    size_t failed = 0;
    char *output = malloc(OUTPUT_MAX);
    if (!output)
        exit(2);
    options_take(&run, argc, argv);
    // Buffers come and go with each message; giving their pages back each time takes longer than
    // all that is played.
    mallopt(M_TRIM_THRESHOLD, TRIM_MIN);
    for (size_t i = 0; i < run.path_count; i++) {
        struct script script = script_open(run.paths[i]);
        char *wanted = failure_wanted(script.title);
        bool good = run.bad ? run_bad(&run, run.paths[i], wanted, output)
                            : run_good(&run, run.paths[i], output);
        case_print(good, i + 1, run.paths[i], script.title);
        failed += !good;
        free(wanted);
        free(script.title);
        free(script.text);
        free(run.paths[i]);
    }
    free(output);
    *count = run.path_count;
    return failed;
}
