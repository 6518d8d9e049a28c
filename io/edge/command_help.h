// SPDX-License-Identifier: MIT
#pragma once
#include "io/edge/command.h"

#include <stdio.h>

// `ouzel help` and `ouzel version`.

int command_help(const struct program *program, int argc, char **argv);
int command_version(const struct program *program, int argc, char **argv);

// Tells that there is no such command (or topic of help) and which one is near.
void command_unknown(const struct program *program, const char *what, const char *name, FILE *to);

void help_overview(const struct program *program, FILE *to);
