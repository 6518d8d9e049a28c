// SPDX-License-Identifier: MIT
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

// What all complaints about settings go to, each with the line of the file that it is about.

#define SETTINGS_ERRORS_MAX 20 // kept; the rest is counted
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
