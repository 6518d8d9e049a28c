// SPDX-License-Identifier: MIT
#include "io/edge/settings_reference.h"

#include "core/settings/format.h"

// docs/reference.md and docs/ouzel.yaml.sample are what is printed here, octet for octet; a unit
// test compares them.

#define LINE_MAX_COLUMNS 96

// Prints words in lines of bounded length: `first` before the first, `more` before the others.
static void print_wrapped(const char *first, const char *more, const char *text, FILE *to)
{
    size_t column = (size_t)fprintf(to, "%s", first);
    const char *word;
    size_t len;
    bool begun = true;
    while ((word = settings_next_word(&text, &len))) {
        if (!begun && column + 1 + len > LINE_MAX_COLUMNS) {
            column = (size_t)fprintf(to, "\n%s", more) - 1;
            begun = true;
        }
        column += (size_t)fprintf(to, "%s%.*s", begun ? "" : " ", (int)len, word);
        begun = false;
    }
    fputc('\n', to);
}

bool help_default(const struct settings_option *option, char text[static YAML_TEXT_SIZE])
{
    const char *at = option->fallback;
    const char *word;
    size_t word_len;
    bool list = settings_is_list(option);
    size_t len = (size_t)snprintf(text, YAML_TEXT_SIZE, list ? "[" : "");
    while ((word = settings_next_word(&at, &word_len)) && len < SETTINGS_TEXT_SIZE) {
        char item[SETTINGS_TEXT_SIZE];
        char quoted[YAML_TEXT_SIZE];
        snprintf(item, sizeof item, "%.*s", (int)word_len, word);
        yaml_quote(quoted, item);
        len +=
            (size_t)snprintf(text + len, YAML_TEXT_SIZE - len, "%s%s", len > 1 ? ", " : "", quoted);
    }
    snprintf(text + len, YAML_TEXT_SIZE - len, list ? "]" : "");
    return *option->fallback != '\0' || option->min == 0;
}

void help_takes(const struct settings_option *option, char *text, size_t size)
{
    char expected[SETTINGS_TEXT_SIZE];
    settings_expected(option, expected);
    unsigned long long min = option->min;
    unsigned long long max = option->max;
    if (settings_is_list(option) && min > 0)
        snprintf(text, size, "Takes a list of %llu to %llu items, each %s.", min, max, expected);
    else if (settings_is_list(option))
        snprintf(text, size, "Takes a list of up to %llu items, each %s.", max, expected);
    else
        snprintf(text, size, "Takes %s.", expected);
}

static void reference_option(const struct settings_option *option, FILE *to)
{
    char text[2 * SETTINGS_TEXT_SIZE];
    char value[YAML_TEXT_SIZE];
    fprintf(to, "\n### %s.%s\n\n", option->section, option->key);
    print_wrapped("", "", option->help, to);
    fputc('\n', to);
    help_takes(option, text, sizeof text);
    print_wrapped("- ", "  ", text, to);
    if (help_default(option, value)) {
        fprintf(to, "- Default: `%s`\n", value);
    } else {
        fputs("- Required.\n", to);
    }
    if (!option->reloadable)
        fputs("- Changes with a restart only.\n", to);
}

void help_settings(FILE *to)
{
    const char *section = "";
    fputs(
        "# Settings\n\n"
        "ouzel reads its settings from the YAML file that `--config` names. Every section and\n"
        "every key may be left out; an empty file means the defaults. An unknown key, a value out\n"
        "of bounds or a key given twice is an error that names its line, and ouzel does not "
        "start.\n"
        "`ouzel check` reports errors, or prints the settings in force and the source of each.\n"
        "\n"
        "On SIGHUP or `ouzel ctl reload` a running ouzel reads them again, with the files that\n"
        "they name. It continues to answer meanwhile, and reports what has changed. If anything\n"
        "is wrong, it says so, and everything stays as it was.\n"
        "\n"
        "- An address is `192.0.2.1`, `192.0.2.1:53`, `192.0.2.1@53`, `2001:db8::1` or\n"
        "  `[2001:db8::1]:53`; a link-local one takes its interface: `fe80::1%eth0`.\n"
        "  Quote one with brackets or `::`: `\"[::1]:53\"`.\n"
        "- A size takes `K`, `M` or `G`, which are powers of 1024.\n"
        "- A duration needs a unit: `ms`, `s`, `m`, `h` or `d`.\n"
        "- A list is `[one, two]`, or an indented line `- one` for each item. A single value\n"
        "  counts as a list of one.\n"
        "\n"
        "`ouzel help settings` prints this page, `ouzel help sample` a sample file.\n",
        to);
    for (size_t i = 0; i < SETTINGS_ROWS; i++) {
        const struct settings_option *option = &settings_options[i];
        if (strcmp(section, option->section) != 0) {
            section = option->section;
            fprintf(to, "\n## %s\n", section);
            if (option->in_zone)
                fputs(
                    "\nThis section is a list of entries, one for each zone, with the keys below.\n"
                    "Without the section all names go to the servers in `/etc/resolv.conf`.\n",
                    to);
        }
        reference_option(option, to);
    }
}

static void sample_option(const struct settings_option *option, bool first, FILE *to)
{
    char text[2 * SETTINGS_TEXT_SIZE];
    char value[YAML_TEXT_SIZE];
    char start[64];
    print_wrapped("  # ", "  # ", option->help, to);
    help_takes(option, text, sizeof text);
    print_wrapped("  # ", "  # ", text, to);
    if (!help_default(option, value)) {
        fputs("  # Required; for example:\n", to);
        snprintf(value, sizeof value, "[192.0.2.53, \"[2001:db8::53]:53\"]");
    }
    const char *entry = option->in_zone ? first ? "- " : "  " : "";
    snprintf(start, sizeof start, "  #%s%s: ", entry, option->key);
    print_wrapped(start, "  #    ", value, to);
}

void help_sample(FILE *to)
{
    const char *section = "";
    fputs("# The settings of ouzel, each with its default. A line with # right before a key is a\n"
          "# setting: remove the # and change the value. `ouzel check --config FILE` reports\n"
          "# errors. `ouzel help sample` prints this file.\n",
          to);
    for (size_t i = 0; i < SETTINGS_ROWS; i++) {
        const struct settings_option *option = &settings_options[i];
        bool first = strcmp(section, option->section) != 0;
        section = option->section;
        if (first)
            fprintf(to, "\n%s:\n", section);
        else
            fputc('\n', to);
        if (first && option->in_zone)
            fputs("  # An entry for each zone. Without any, all names go to the servers in\n"
                  "  # /etc/resolv.conf.\n",
                  to);
        sample_option(option, first, to);
    }
}
