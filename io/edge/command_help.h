// SPDX-License-Identifier: MIT
#pragma once
#include "io/edge/command.h"

#include <stdio.h>

// `ouzel help` and `ouzel version`.

int command_help(const struct program *program, int argc, char **argv);
int command_version(const struct program *program, int argc, char **argv);

// Says that there is no such command (or help topic), and which one is similar.
void command_unknown(const struct program *program, const char *what, const char *name, FILE *to);

void help_overview(const struct program *program, FILE *to);
