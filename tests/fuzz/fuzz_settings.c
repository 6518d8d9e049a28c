// SPDX-License-Identifier: MIT
#include "core/settings/format.h"
#include "core/settings/parse.h"
#include "io/edge/settings_diff.h"
#include "io/edge/settings_file.h"
#include "io/edge/settings_print.h"
#include "tests/fuzz/target.h"

#include <errno.h>

// A settings file, in memory. Whatever stands there, the settings are whole: each value lies within
// its bounds, and as text it is read as the same value. A file is taken without a word or refused
// with sentences that name a line of it. What is taken can be printed (`ouzel check`), and that
// means the same.

static const char file_name[] = "fuzz.yaml";

// YAML has breaks that are no newline, and texts that are no UTF-8: all octets count that may
// belong to one. What is missing at the end of the file is missed on the line behind its last.
static uint32_t lines_max(const uint8_t *data, size_t size)
{
    uint32_t count = 2;
    for (size_t i = 0; i < size; i++)
        count += data[i] == '\n' || data[i] == '\r' || data[i] == 0x85 || data[i] == 0xa8 ||
                 data[i] == 0xa9 || data[i] == 0x28 || data[i] == 0x29;
    return count;
}

static void sentence_check(const char *text, size_t size)
{
    assert(memchr(text, '\0', size) && *text);
    for (const char *c = text; *c; c++)
        assert((unsigned char)*c >= ' ' && *c != 0x7f);
}

static void report_check(const struct settings_report *report, uint32_t lines)
{
    assert(report->file == file_name);
    for (size_t i = 0; i < report->count && i < SETTINGS_ERRORS_MAX; i++) {
        const struct settings_error *error = &report->errors[i];
        assert(error->line >= 1 && error->line <= lines);
        sentence_check(error->text, sizeof error->text);
    }
}

static uint64_t word_count(const char *words)
{
    uint64_t count = 0;
    size_t len;
    while (settings_next_word(&words, &len))
        count++;
    return count;
}

static void bounds_check(const struct settings_option *option, const void *base)
{
    const void *field = (const uint8_t *)base + option->offset;
    uint64_t value = 0;
    switch ((enum settings_kind)option->kind) {
    case KIND_COUNT:
    case KIND_COUNT_OR_AUTO:
    case KIND_SIZE:
    case KIND_DURATION:
        memcpy(&value, field, sizeof value);
        assert(option->kind == KIND_COUNT_OR_AUTO && value == 0 ? true : value >= option->min);
        assert(value <= option->max);
        break;
    case KIND_WORD:
        memcpy(&value, field, sizeof(uint32_t));
        assert(value < word_count(option->detail));
        break;
    default:
        assert(!settings_is_list(option) || settings_count(option, base) <= option->max);
    }
}

// What a value is as text must be the value again.
static void values_check(const struct settings_option *option, const void *base)
{
    char text[SETTINGS_TEXT_SIZE], why[SETTINGS_WHY_SIZE];
    union settings_value value;
    for (size_t i = 0; i < settings_count(option, base); i++) {
        size_t len = settings_format(option, base, i, text);
        assert(len < sizeof text && strlen(text) == len);
        bool same = settings_parse(option, text, len, &value, why);
        assert(same);
    }
}

static void rows_check(const void *base, bool in_zone)
{
    for (size_t i = 0; i < SETTINGS_ROWS; i++) {
        if (settings_options[i].in_zone != in_zone)
            continue;
        bounds_check(&settings_options[i], base);
        values_check(&settings_options[i], base);
    }
}

static void settings_are_whole(const struct settings *settings)
{
    rows_check(settings, false);
    assert(settings->forward.count <= FORWARD_ZONES_MAX);
    for (size_t i = 0; i < settings->forward.count; i++)
        rows_check(&settings->forward.items[i], true);
}

static void no_difference(void *context, const char *name, const char *from, const char *to)
{
    (void)context;
    fprintf(stderr, "%s: %s is read as %s\n", name, from, to);
    abort();
}

static void printed_check(const struct settings *settings)
{
    static struct settings_report report;
    struct settings again;
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    assert(to);
    settings_print(settings, to);
    fclose(to);
    report.count = 0;
    int error = settings_defaults(&again);
    assert(error == 0);
    error = settings_file_parse(&again, file_name, text, size, &report);
    settings_file_check(&again, &report);
    if (error != 0 || report.count > 0) {
        settings_report_print(&report, stderr);
        fprintf(stderr, "%s", text);
        abort();
    }
    settings_diff(settings, &again, no_difference, NULL);
    settings_free(&again);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct settings_report report;
    struct input input = {data, size};
    struct settings settings;
    uint32_t lines = lines_max(data, size);
    uint8_t *text = input_copy(&input, &size);
    report.count = 0;
    int error = settings_defaults(&settings);
    assert(error == 0);
    error = settings_file_parse(&settings, file_name, (const char *)text, size, &report);
    assert(error == (report.count > 0 ? -EINVAL : 0));
    settings_file_check(&settings, &report);
    report_check(&report, lines);
    settings_are_whole(&settings);
    if (report.count == 0)
        printed_check(&settings);
    settings_free(&settings);
    free(text);
    return 0;
}
