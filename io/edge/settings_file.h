// SPDX-License-Identifier: MIT
#pragma once
#include "core/settings/settings.h"

#include <stdio.h>

// The settings file (YAML), the memory of the settings' lists, and the report that all complaints
// about settings go to. What a value may be is decided in core/settings; here it is read, with the
// line it stands on.

#define SETTINGS_FILE_MAX   ((size_t)16 << 20) // octets
#define SETTINGS_ERRORS_MAX 20                 // kept; the rest is counted
#define SETTINGS_ERROR_SIZE 800

struct settings_error {
    uint32_t line; // of the file; 0: not about the file
    char text[SETTINGS_ERROR_SIZE];
};

// Starts as {0}. It owns nothing but itself, so it needs no freeing.
struct settings_report {
    const char *file; // borrowed: the name that lines belong to
    size_t count;     // errors told, kept or not
    struct settings_error errors[SETTINGS_ERRORS_MAX];
};

__attribute__((format(printf, 3, 4))) void settings_report_add(struct settings_report *report,
                                                               uint32_t line, const char *format,
                                                               ...);

// One line each: "FILE:LINE: ..." or "ouzel: ...".
void settings_report_print(const struct settings_report *report, FILE *to);

// Makes `settings` the defaults, lists included. 0 or -ENOMEM (then there is nothing to free).
[[nodiscard]] int settings_defaults(struct settings *settings);

// Frees the lists and leaves them empty.
void settings_free(struct settings *settings);

// Reads `len` octets of text as the value of an option or, of a list, as one more item. `base` as
// in struct settings_option. 0; -EINVAL with the reason in `why`; -ENOMEM, also with a `why`.
[[nodiscard]] int settings_add(const struct settings_option *option, void *base, const char *text,
                               size_t len, char why[static SETTINGS_WHY_SIZE]);

// Empties a list.
void settings_clear(const struct settings_option *option, void *base);

// 0 or -ENOMEM; the list is as it was then.
[[nodiscard]] int address_list_append(struct address_list *list, const struct address *address);

// Adds an entry with every option at its default; NULL: no memory.
[[nodiscard]] struct forward_zone *forward_zone_append(struct forward_zone_list *list);

// Takes the last entry away again.
void forward_zone_drop(struct forward_zone_list *list);

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
