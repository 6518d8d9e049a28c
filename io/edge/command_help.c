// SPDX-License-Identifier: MIT
#include "io/edge/command_help.h"

#include "core/settings/format.h"
#include "core/settings/suggest.h"
#include "io/edge/arguments.h"
#include "io/edge/command_ctl.h"
#include "io/edge/manual.h"
#include "io/edge/settings_reference.h"

static void completion(const struct program *program, FILE *to);

// Words that `ouzel help` takes besides the commands. Each has one of the two functions.
static const struct topic {
    const char *name;
    void (*print)(FILE *to);
    void (*program_print)(const struct program *program, FILE *to);
} topics[] = {
    {"settings", help_settings, NULL}, {"sample", help_sample, NULL},
    {"manual", NULL, help_manual},     {"manual-settings", help_manual_settings, NULL},
    {"completion", NULL, completion},
};

#define TOPICS (sizeof topics / sizeof topics[0])

static void completion(const struct program *program, FILE *to)
{
    const char *words[TOPICS + 1] = {NULL};
    for (size_t i = 0; i < TOPICS; i++)
        words[i] = topics[i].name;
    help_completion(program, words, to);
}

void command_unknown(const struct program *program, const char *what, const char *name, FILE *to)
{
    char quoted[SETTINGS_QUOTE_SIZE];
    struct nearest nearest = nearest_to(name, strlen(name));
    for (const struct command *command = program->commands; command->name; command++)
        nearest_offer(&nearest, command->name);
    for (size_t i = 0; i < TOPICS && strcmp(what, "command") != 0; i++)
        nearest_offer(&nearest, topics[i].name);
    settings_quote(quoted, name, strlen(name));
    if (nearest.best)
        fprintf(to, "ouzel: there is no %s %s: did you mean %s?\n", what, quoted, nearest.best);
    else
        fprintf(to, "ouzel: there is no %s %s; see `ouzel help`\n", what, quoted);
}

void help_overview(const struct program *program, FILE *to)
{
    fputs("ouzel, a caching DNS forwarder\n\nusage:\n", to);
    for (const struct command *command = program->commands; command->name; command++)
        fprintf(to, "  ouzel %-8s %s\n", command->name, command->summary);
    fputs("\n`ouzel help COMMAND` explains a command, `ouzel help settings` describes every "
          "setting.\n",
          to);
}

static void help_command(const struct program *program, const struct command *command, FILE *to)
{
    fprintf(to, "usage: ouzel %s%s%s\n\n%s: %s.\n", command->name, *command->usage ? " " : "",
            command->usage, command->name, command->summary);
    if (command->gives_orders)
        help_orders(program->orders, to);
    if (!command->takes_settings)
        return;
    fputs("\n", to);
    arguments_print(to);
    fputs(
        "\nADDR is 192.0.2.1, 192.0.2.1:53 or [2001:db8::1]:53. An option overrides the file.\n"
        "Without a file and options the server listens on 127.0.0.1:5353 and asks the servers in\n"
        "/etc/resolv.conf. `ouzel help settings` describes what the file may hold.\n"
        "\nExit status: 0 success, 1 failure at run time, 2 wrong usage or settings.\n",
        to);
}

int command_help(const struct program *program, int argc, char **argv)
{
    if (argc < 2) {
        help_overview(program, stdout);
        return STATUS_FINE;
    }
    if (argc > 2) {
        fprintf(stderr, "ouzel: help takes one word; see `ouzel help`\n");
        return STATUS_USAGE;
    }
    for (size_t i = 0; i < TOPICS; i++) {
        if (strcmp(argv[1], topics[i].name) == 0) {
            if (topics[i].print)
                topics[i].print(stdout);
            else
                topics[i].program_print(program, stdout);
            return STATUS_FINE;
        }
    }
    for (const struct command *command = program->commands; command->name; command++) {
        if (strcmp(command->name, argv[1]) == 0) {
            help_command(program, command, stdout);
            return STATUS_FINE;
        }
    }
    command_unknown(program, "command or topic", argv[1], stderr);
    return STATUS_USAGE;
}

int command_version(const struct program *program, int argc, char **argv)
{
    (void)program;
    if (argc > 1) {
        fprintf(stderr, "ouzel: %s takes no arguments\n", argv[0]);
        return STATUS_USAGE;
    }
    printf("ouzel %s\n", OUZEL_VERSION);
    return STATUS_FINE;
}
