// SPDX-License-Identifier: MIT
#include "io/edge/settings_report.h"

#include <stdarg.h>

void settings_report_add(struct settings_report *report, uint32_t line, const char *format, ...)
{
    if (report->count++ >= SETTINGS_ERRORS_MAX)
        return;
    struct settings_error *error = &report->errors[report->count - 1];
    va_list arguments;
    va_start(arguments, format);
    error->line = line;
    vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
}

void settings_report_print(const struct settings_report *report, FILE *to)
{
    for (size_t i = 0; i < report->count && i < SETTINGS_ERRORS_MAX; i++) {
        const struct settings_error *error = &report->errors[i];
        if (error->line > 0)
            fprintf(to, "%s:%u: %s\n", report->file, error->line, error->text);
        else
            fprintf(to, "ouzel: %s\n", error->text);
    }
    if (report->count > SETTINGS_ERRORS_MAX)
        fprintf(to, "ouzel: and %zu more\n", report->count - SETTINGS_ERRORS_MAX);
}
