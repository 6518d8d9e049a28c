// SPDX-License-Identifier: MIT
#include "io/daemon/daemon.h"
#include "io/daemon/orders.h"
#include "io/edge/command_check.h"
#include "io/edge/command_ctl.h"
#include "io/edge/command_help.h"

#include <errno.h>
#include <string.h>

#define SETTINGS_USAGE                                                                      \
    "[--config FILE] [--listen ADDR]... [--upstream ADDR]... [--workers N] [--stats ADDR] " \
    "[--control PATH]"

static int serve(const struct program *program, int argc, char **argv)
{
    (void)program;
    return daemon_run(argc, argv);
}

static const struct command commands[] = {
    {
        .name = "serve",
        .summary = "answer queries until stopped by a signal",
        .usage = SETTINGS_USAGE,
        .takes_settings = true,
        .run = serve,
    },
    {
        .name = "check",
        .summary = "report errors in the settings, or print those in force",
        .usage = SETTINGS_USAGE,
        .takes_settings = true,
        .run = command_check,
    },
    {
        .name = "ctl",
        .summary = "give a running ouzel an order, or ask for its state",
        .usage = "[--control PATH] [--json] ORDER",
        .gives_orders = true,
        .run = command_ctl,
    },
    {
        .name = "help",
        .summary = "explain a command, or print all settings, a sample file or the man pages",
        .usage = "[COMMAND | settings | sample | manual | manual-settings | completion]",
        .run = command_help,
    },
    {
        .name = "version",
        .summary = "print the version",
        .usage = "",
        .run = command_version,
    },
    {0},
};

static const struct program program = {.commands = commands, .orders = orders};

static const struct command *find_command(const char *name)
{
    for (const struct command *command = commands; command->name; command++)
        if (strcmp(command->name, name) == 0)
            return command;
    return NULL;
}

// The spellings that people try first.
static const char *plain_name(const char *name)
{
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return "help";
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0)
        return "version";
    return name;
}

static int run(const struct command *command, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            char *help[] = {(char *)"help", argv[0], NULL};
            return command_help(&program, 2, help);
        }
    }
    return command->run(&program, argc, argv);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        help_overview(&program, stderr);
        return STATUS_USAGE;
    }
    argv[1] = (char *)plain_name(argv[1]);
    const struct command *command = find_command(argv[1]);
    if (!command) {
        command_unknown(&program, "command", argv[1], stderr);
        return STATUS_USAGE;
    }
    int status = run(command, argc - 1, argv + 1);
    // What was printed must have arrived: `ouzel check > file` on a full disk has failed.
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "ouzel: cannot write: %s\n", strerror(errno));
        return status ? status : STATUS_FAILED;
    }
    return status;
}
