// SPDX-License-Identifier: MIT
#pragma once
#include "io/edge/command.h"

#include <stdio.h>

// The man pages and the completion of the shell.

void help_manual(const struct program *program, FILE *to); // docs/ouzel.8
void help_manual_settings(FILE *to);                       // docs/ouzel.yaml.5

// packaging/ouzel.bash; `topics` are the words of `ouzel help` other than commands, up to NULL.
void help_completion(const struct program *program, const char *const *topics, FILE *to);
