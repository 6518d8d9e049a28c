// SPDX-License-Identifier: MIT
#pragma once
#include "core/settings/settings.h"

#include <stdio.h>

// The subcommands of ouzel. Each gets its own name as argv[0] and returns the exit status.

#define STATUS_FINE   0
#define STATUS_FAILED 1 // at run time
#define STATUS_USAGE  2 // wrong usage or configuration

struct command {
    const char *name;
    const char *summary; // one line, no full stop
    const char *usage;   // what follows the name
    int (*run)(int argc, char **argv);
};

// The table is main.c's; a row without a name ends it.
extern const struct command commands[];

int command_serve(int argc, char **argv);
int command_check(int argc, char **argv);
int command_ctl(int argc, char **argv);
int command_help(int argc, char **argv);
int command_version(int argc, char **argv);

// Tells that there is no such command (or topic of help) and which one is near.
void command_unknown(const char *what, const char *name, FILE *to);

void help_overview(FILE *to);
void help_settings(FILE *to);        // docs/reference.md
void help_orders(FILE *to);          // of `ouzel ctl`
void help_manual(FILE *to);          // docs/ouzel.8
void help_manual_settings(FILE *to); // docs/ouzel.yaml.5
void help_completion(FILE *to);      // packaging/ouzel.bash
void help_topics(FILE *to);          // the words that `ouzel help` takes beside the commands

// What an option may be, as a sentence; and its default as it would stand in a file. False: it must
// be given.
void help_takes(const struct settings_option *option, char *text, size_t size);
void help_sample(FILE *to); // docs/ouzel.yaml.sample

// Prints the settings as a file that can be read back, each with the place it comes from.
void check_print(const struct settings *settings, FILE *to);

// Writes text as a YAML scalar, between quotes where it must be; returns the length.
#define YAML_TEXT_SIZE (2 * SETTINGS_TEXT_SIZE + 3)
size_t yaml_quote(char quoted[static YAML_TEXT_SIZE], const char *text);

[[nodiscard]] bool help_default(const struct settings_option *option,
                                char text[static YAML_TEXT_SIZE]);
