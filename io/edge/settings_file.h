// SPDX-License-Identifier: MIT
#pragma once
#include "core/settings/check.h"
#include "io/edge/settings_lists.h"
#include "io/edge/settings_report.h"

// The settings file (YAML), read with line numbers. core/settings decides which values are valid.

#define SETTINGS_FILE_MAX ((size_t)16 << 20) // octets

// Reads a file into settings that have the defaults; what it does not name stays. `path` is stored
// in settings->file. Every fault is added to the report. 0, -EINVAL, -ENOMEM or the errno of
// reading the file; in each case the settings are consistent and are to be freed.
[[nodiscard]] int settings_file_read(struct settings *settings, const char *path,
                                     struct settings_report *report);

// The same for a text in memory that is called `name`.
[[nodiscard]] int settings_file_parse(struct settings *settings, const char *name, const char *text,
                                      size_t len, struct settings_report *report);

// Adds to the report what settings_check finds.
void settings_file_check(const struct settings *settings, struct settings_report *report);
