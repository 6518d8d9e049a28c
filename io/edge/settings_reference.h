// SPDX-License-Identifier: MIT
#pragma once
#include "io/edge/settings_print.h"

// What the settings are, as options.def describes them: the pages that are made from it.

void help_settings(FILE *to); // docs/reference.md
void help_sample(FILE *to);   // docs/ouzel.yaml.sample

// What an option may be, as a sentence.
void help_takes(const struct settings_option *option, char *text, size_t size);

// Its default as it would stand in a file. False: there is none, it must be given.
[[nodiscard]] bool help_default(const struct settings_option *option,
                                char text[static YAML_TEXT_SIZE]);
