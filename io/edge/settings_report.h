// SPDX-License-Identifier: MIT
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

// Collects all faults of settings, each with its line in the file.

#define SETTINGS_ERRORS_MAX 20 // stored; the rest is counted
#define SETTINGS_ERROR_SIZE 800

struct settings_error {
    uint32_t line; // of the file; 0: not about the file
    char text[SETTINGS_ERROR_SIZE];
};

// Starts as {0}. It owns nothing but itself, so it needs no freeing.
struct settings_report {
    const char *file; // borrowed: the name that lines belong to
    size_t count;     // of all errors, stored or not
    struct settings_error errors[SETTINGS_ERRORS_MAX];
};

__attribute__((format(printf, 3, 4))) void settings_report_add(struct settings_report *report,
                                                               uint32_t line, const char *format,
                                                               ...);

// One line each: "FILE:LINE: ..." or "ouzel: ...".
void settings_report_print(const struct settings_report *report, FILE *to);
