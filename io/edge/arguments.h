// SPDX-License-Identifier: MIT
#pragma once
#include "core/settings/check.h"
#include "core/settings/settings.h"

#include <stdio.h>

// The command line of `ouzel serve` and `ouzel check`.

// Makes the settings in force: the defaults, the file of --config, and the options of the command
// line, each of which overrides the one before; without upstreams those of the system. Then checks
// them (settings_check). argv[0] is the name of the command ("serve"). 0: the settings are the
// caller's to free (settings_free); the file's name in them points into argv. Else the exit status
// 2: every fault has been printed to `errors`, and there is nothing to free.
[[nodiscard]] int settings_load(struct settings *settings, int argc, char **argv, FILE *errors);

// Prints the options, one to a line; or their names alone, on one.
void arguments_print(FILE *to);
void arguments_names(FILE *to);
