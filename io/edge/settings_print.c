// SPDX-License-Identifier: MIT
#include "io/edge/settings_print.h"

#include "core/settings/format.h"
#include "io/edge/resolv_conf.h"

#include <ctype.h>

// What is printed is a settings file itself: reading it gives the same settings again.

#define ORIGIN_COLUMN 48
#define FLOW_MAX      72 // columns; a longer list gets a line for each item

// True if the text means itself in YAML, inside a [list] too.
static bool is_plain(const char *text)
{
    size_t colons = 0;
    if (*text == '\0' || *text == '-' || *text == ':')
        return false;
    for (const char *c = text; *c; c++) {
        if (*c == ':' && (++colons > 1 || !isdigit((unsigned char)c[1])))
            return false;
        if (*c != ':' && !isalnum((unsigned char)*c) && !strchr("._/-", *c))
            return false;
    }
    return true;
}

size_t yaml_quote(char quoted[static YAML_TEXT_SIZE], const char *text)
{
    if (is_plain(text))
        return (size_t)snprintf(quoted, YAML_TEXT_SIZE, "%s", text);
    if (!strpbrk(text, "\\\""))
        return (size_t)snprintf(quoted, YAML_TEXT_SIZE, "\"%s\"", text);
    // Between single quotes a backslash is a backslash.
    size_t len = 0;
    quoted[len++] = '\'';
    for (; *text && len < YAML_TEXT_SIZE - 4; text++) {
        if (*text == '\'')
            quoted[len++] = '\'';
        quoted[len++] = *text;
    }
    quoted[len++] = '\'';
    quoted[len] = '\0';
    return len;
}

static size_t item_text(const struct settings_option *option, const void *base, size_t index,
                        char quoted[static YAML_TEXT_SIZE])
{
    char text[SETTINGS_TEXT_SIZE];
    settings_format(option, base, index, text);
    return yaml_quote(quoted, text);
}

static void print_origin(const struct settings *settings, struct settings_origin origin,
                         size_t column, FILE *to)
{
    int gap = column < ORIGIN_COLUMN ? (int)(ORIGIN_COLUMN - column) : 1;
    fprintf(to, "%*s# ", gap, "");
    if (origin.source == SOURCE_FILE) {
        for (const char *c = settings->file; *c; c++) // a line break would end the comment
            fputc((unsigned char)*c < ' ' ? '?' : *c, to);
        fprintf(to, ":%u", origin.line);
    } else {
        fputs(origin.source == SOURCE_COMMAND_LINE  ? "command line"
              : origin.source == SOURCE_RESOLV_CONF ? RESOLV_CONF_PATH
                                                    : "default",
              to);
    }
    fputc('\n', to);
}

static size_t flow_width(const struct settings_option *option, const void *base)
{
    char quoted[YAML_TEXT_SIZE];
    size_t width = 0;
    for (size_t i = 0; i < settings_count(option, base) && width <= FLOW_MAX; i++)
        width += item_text(option, base, i, quoted) + 2;
    return width;
}

static void print_option(const struct settings *settings, const struct settings_option *option,
                         const void *base, const char *indent, struct settings_origin origin,
                         FILE *to)
{
    char quoted[YAML_TEXT_SIZE];
    size_t count = settings_count(option, base);
    bool list = settings_is_list(option);
    size_t column = (size_t)fprintf(to, "%s%s:", indent, option->key);
    if (list && flow_width(option, base) > FLOW_MAX) {
        print_origin(settings, origin, column, to);
        for (size_t i = 0; i < count; i++) {
            item_text(option, base, i, quoted);
            column = (size_t)fprintf(to, "%*s- %s", (int)strlen(indent) + 2, "", quoted);
            print_origin(settings, origin, column, to);
        }
        return;
    }
    column += (size_t)fprintf(to, list ? " [" : " ");
    for (size_t i = 0; i < count; i++) {
        item_text(option, base, i, quoted);
        column += (size_t)fprintf(to, "%s%s", i ? ", " : "", quoted);
    }
    column += (size_t)fprintf(to, list ? "]" : "");
    print_origin(settings, origin, column, to);
}

static void print_zone(const struct settings *settings, const struct forward_zone *zone, FILE *to)
{
    const char *indent = "  - ";
    for (size_t i = 0; i < SETTINGS_ROWS; i++) {
        const struct settings_option *option = &settings_options[i];
        if (!option->in_zone)
            continue;
        print_option(settings, option, zone, indent, zone->origins[option->slot], to);
        indent = "    ";
    }
}

void settings_print(const struct settings *settings, FILE *to)
{
    const char *section = "";
    for (size_t i = 0; i < SETTINGS_ROWS; i++) {
        const struct settings_option *option = &settings_options[i];
        bool first = strcmp(section, option->section) != 0;
        section = option->section;
        if (option->in_zone && (!first || settings->forward.count == 0))
            continue; // the first row of the section prints all its entries
        if (first)
            fprintf(to, "%s:\n", section);
        if (!option->in_zone) {
            print_option(settings, option, settings, "  ", settings->origins[option->slot], to);
            continue;
        }
        for (size_t zone = 0; zone < settings->forward.count; zone++)
            print_zone(settings, &settings->forward.items[zone], to);
    }
}
