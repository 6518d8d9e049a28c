// SPDX-License-Identifier: MIT
#pragma once
#include "core/settings/settings.h"

#include <stdio.h>

// Settings as text that a settings file may hold.

// Prints the settings as a file that can be read back, each with the place it comes from.
void settings_print(const struct settings *settings, FILE *to);

// Writes text as a YAML scalar, between quotes where it must be; returns the length.
#define YAML_TEXT_SIZE (2 * SETTINGS_TEXT_SIZE + 3)
size_t yaml_quote(char quoted[static YAML_TEXT_SIZE], const char *text);
