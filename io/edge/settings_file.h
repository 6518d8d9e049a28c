// SPDX-License-Identifier: MIT
#pragma once
#include "core/settings/check.h"
#include "io/edge/settings_lists.h"
#include "io/edge/settings_report.h"

// The settings file (YAML). What a value may be is decided in core/settings; here it is read, with
// the line it stands on.

#define SETTINGS_FILE_MAX ((size_t)16 << 20) // octets

// Reads a file over settings that hold the defaults; what it does not name stays. `path` is kept in
// settings->file. Every fault is told to the report. 0 or -EINVAL, -ENOMEM or what the system says;
// in each case the settings are whole and are to be freed.
[[nodiscard]] int settings_file_read(struct settings *settings, const char *path,
                                     struct settings_report *report);

// The same for a text in memory that is called `name`.
[[nodiscard]] int settings_file_parse(struct settings *settings, const char *name, const char *text,
                                      size_t len, struct settings_report *report);

// Tells the report what settings_check finds.
void settings_file_check(const struct settings *settings, struct settings_report *report);
