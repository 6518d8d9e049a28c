// SPDX-License-Identifier: MIT
#include "io/edge/settings_file.h"

#include "core/settings/check.h"
#include "core/settings/format.h"
#include "core/settings/suggest.h"
#include "io/edge/regular_file.h"
#include "io/edge/resolv_conf.h"
#include "io/edge/yaml_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

// Each load_...() begins with the first event of its node as the current one and ends with the
// node's last event as the current one, whatever the node holds, so that one fault never hides the
// next. When there is no next event, every loop ends.

struct loader {
    struct yaml_reader reader;
    struct settings *settings;
    uint32_t section_lines[SETTINGS_ROWS]; // where a section began, at its first row; 0: not yet
};

static void tell_check(void *context, struct settings_origin at, const char *why)
{
    const char *from =
        at.source == SOURCE_RESOLV_CONF ? " (it comes from " RESOLV_CONF_PATH ")" : "";
    settings_report_add(context, at.line, "%s%s", why, from);
}

void settings_file_check(const struct settings *settings, struct settings_report *report)
{
    settings_check(settings, tell_check, report);
}

static void text_list_line(struct text_list *list, uint32_t line)
{
    list->items[list->count - 1].line = line;
}

static void load_text(struct loader *l, const struct settings_option *option, void *base)
{
    char why[SETTINGS_WHY_SIZE];
    size_t len;
    const char *text = yaml_reader_scalar(&l->reader, &len);
    int error = settings_add(option, base, text, len, why);
    if (error == -ENOMEM)
        yaml_reader_no_memory(&l->reader);
    else if (error)
        settings_report_add(l->reader.report, yaml_reader_line(&l->reader), "%s.%s: %s",
                            option->section, option->key, why);
    else if (settings_is_texts(option))
        text_list_line((struct text_list *)(void *)((uint8_t *)base + option->offset),
                       yaml_reader_line(&l->reader));
}

static void load_list(struct loader *l, const struct settings_option *option, void *base)
{
    uint32_t line = yaml_reader_line(&l->reader);
    size_t seen = 0;
    for (; yaml_reader_next(&l->reader) && l->reader.event.type != YAML_SEQUENCE_END_EVENT;
         seen++) {
        yaml_reader_refuse_extras(&l->reader);
        if (l->reader.event.type == YAML_SCALAR_EVENT && seen <= option->max)
            load_text(l, option, base);
        else if (l->reader.event.type != YAML_SCALAR_EVENT &&
                 l->reader.event.type != YAML_ALIAS_EVENT)
            settings_report_add(l->reader.report, yaml_reader_line(&l->reader),
                                "%s.%s: an item is %s: give a single value%s", option->section,
                                option->key, yaml_reader_noun(&l->reader),
                                option->kind == KIND_PREFIX_LIST || settings_is_texts(option)
                                    ? ""
                                    : ", between quotes where it has brackets: \"[::1]:53\"");
        yaml_reader_skip(&l->reader);
    }
    if (!l->reader.broken && seen < option->min)
        settings_report_add(l->reader.report, line,
                            "%s.%s: the list is empty: give one item at least", option->section,
                            option->key);
}

// The value of an option whose key stands on `key_line`.
static void load_value(struct loader *l, const struct settings_option *option, void *base,
                       uint32_t key_line)
{
    char expected[SETTINGS_TEXT_SIZE];
    bool list = settings_is_list(option);
    *settings_origin(option, base) =
        (struct settings_origin){.line = key_line, .source = SOURCE_FILE};
    settings_clear(option, base);
    yaml_reader_refuse_extras(&l->reader);
    settings_expected(option, expected);
    if (l->reader.event.type == YAML_ALIAS_EVENT)
        return;
    if (yaml_reader_is_nothing(&l->reader))
        settings_report_add(l->reader.report, key_line, "%s.%s has no value: give %.400s%s",
                            option->section, option->key, expected,
                            list && option->min == 0 ? ", or [] for none" : "");
    else if (l->reader.event.type == YAML_SCALAR_EVENT)
        load_text(l, option, base);
    else if (list && l->reader.event.type == YAML_SEQUENCE_START_EVENT)
        load_list(l, option, base);
    else {
        settings_report_add(l->reader.report, yaml_reader_line(&l->reader),
                            "%s.%s is %s: give %s%.400s", option->section, option->key,
                            yaml_reader_noun(&l->reader), list ? "a list, each item " : "",
                            expected);
        yaml_reader_skip(&l->reader);
    }
}

// An unknown key, and where it might belong.
static void tell_unknown_key(struct loader *l, const char *section)
{
    char quoted[SETTINGS_QUOTE_SIZE];
    char keys[SETTINGS_WHY_SIZE] = "";
    size_t keys_len = 0;
    size_t len;
    const char *text = yaml_reader_scalar(&l->reader, &len);
    struct nearest nearest = nearest_to(text, len);
    const struct settings_option *elsewhere = NULL;
    for (size_t i = 0; i < SETTINGS_ROWS; i++) {
        const struct settings_option *option = &settings_options[i];
        if (strcmp(option->section, section) != 0) {
            if (strlen(option->key) == len && memcmp(option->key, text, len) == 0)
                elsewhere = option;
            continue;
        }
        nearest_offer(&nearest, option->key);
        if (keys_len < sizeof keys)
            keys_len += (size_t)snprintf(keys + keys_len, sizeof keys - keys_len, "%s%s",
                                         keys_len ? ", " : "", option->key);
    }
    settings_quote(quoted, text, len);
    if (nearest.best)
        settings_report_add(l->reader.report, yaml_reader_line(&l->reader),
                            "%s has no key %s: did you mean %s?", section, quoted, nearest.best);
    else if (elsewhere)
        settings_report_add(l->reader.report, yaml_reader_line(&l->reader),
                            "%s has no key %s: it belongs in section %s", section, quoted,
                            elsewhere->section);
    else
        settings_report_add(l->reader.report, yaml_reader_line(&l->reader),
                            "%s has no key %s: its keys are %s", section, quoted, keys);
}

// Steps from a mapping's key to its value where the key is one that can be looked up; else tells,
// skips both and returns false.
static bool key_is_text(struct loader *l)
{
    yaml_reader_refuse_extras(&l->reader);
    if (l->reader.event.type == YAML_SCALAR_EVENT)
        return true;
    if (l->reader.event.type != YAML_ALIAS_EVENT)
        settings_report_add(l->reader.report, yaml_reader_line(&l->reader),
                            "a key is %s: give a single word", yaml_reader_noun(&l->reader));
    yaml_reader_skip(&l->reader);
    if (yaml_reader_next(&l->reader))
        yaml_reader_skip(&l->reader);
    return false;
}

static void skip_value(struct loader *l)
{
    if (yaml_reader_next(&l->reader))
        yaml_reader_skip(&l->reader);
}

// The keys and values of a section, or of one entry of a section that is a list.
static void load_keys(struct loader *l, const char *section, void *base)
{
    uint32_t lines[SETTINGS_ROWS] = {0};
    while (yaml_reader_next(&l->reader) && l->reader.event.type != YAML_MAPPING_END_EVENT) {
        size_t len;
        if (!key_is_text(l))
            continue;
        const char *key = yaml_reader_scalar(&l->reader, &len);
        const struct settings_option *option = settings_find(section, key, len);
        if (!option) {
            tell_unknown_key(l, section);
            skip_value(l);
            continue;
        }
        uint32_t line = yaml_reader_line(&l->reader);
        uint32_t *first = &lines[option - settings_options];
        if (*first > 0) {
            settings_report_add(l->reader.report, line,
                                "%s.%s is given twice, first on line %u: keep one", section,
                                option->key, *first);
            skip_value(l);
            continue;
        }
        *first = line;
        if (yaml_reader_next(&l->reader))
            load_value(l, option, base, line);
    }
}

static void load_zone(struct loader *l, const char *section)
{
    uint32_t line = yaml_reader_line(&l->reader);
    size_t errors = l->reader.report->count;
    struct forward_zone *zone = forward_zone_append(&l->settings->forward);
    if (!zone) {
        yaml_reader_no_memory(&l->reader);
        return;
    }
    for (size_t slot = 0; slot < ZONE_COUNT; slot++)
        zone->origins[slot].line = line;
    load_keys(l, section, zone);
    if (!l->reader.broken && zone->origins[ZONE_to].source == SOURCE_DEFAULT)
        settings_report_add(l->reader.report, line,
                            "forward.to is missing in this entry: name the servers that its zone "
                            "is asked of");
    // After an error the entry is incomplete, and settings_check would complain about things not in
    // the file.
    if (l->reader.report->count > errors)
        forward_zone_drop(&l->settings->forward);
}

static void load_zones(struct loader *l, const char *section)
{
    uint32_t line = yaml_reader_line(&l->reader);
    size_t seen = 0;
    for (; yaml_reader_next(&l->reader) && l->reader.event.type != YAML_SEQUENCE_END_EVENT;
         seen++) {
        yaml_reader_refuse_extras(&l->reader);
        if (l->reader.event.type == YAML_MAPPING_START_EVENT && seen < FORWARD_ZONES_MAX) {
            load_zone(l, section);
            continue;
        }
        if (seen == FORWARD_ZONES_MAX)
            settings_report_add(l->reader.report, yaml_reader_line(&l->reader),
                                "%s has too many entries: give %d at most", section,
                                FORWARD_ZONES_MAX);
        else if (seen < FORWARD_ZONES_MAX && l->reader.event.type != YAML_ALIAS_EVENT)
            settings_report_add(l->reader.report, yaml_reader_line(&l->reader),
                                "%s: an entry is %s: give a mapping with zone and to", section,
                                yaml_reader_noun(&l->reader));
        yaml_reader_skip(&l->reader);
    }
    if (!l->reader.broken && seen == 0)
        settings_report_add(l->reader.report, line,
                            "%s is an empty list: give an entry, or leave the section out to use "
                            "the system's servers",
                            section);
}

// `workers:4` is one word to YAML.
static bool lacks_space(const struct loader *l)
{
    return l->reader.event.type == YAML_SCALAR_EVENT &&
           memchr(l->reader.event.data.scalar.value, ':', l->reader.event.data.scalar.length);
}

static void load_section(struct loader *l, const struct settings_option *first)
{
    bool list = first->in_zone;
    yaml_reader_refuse_extras(&l->reader);
    if (yaml_reader_is_nothing(&l->reader) ||
        l->reader.event.type == YAML_ALIAS_EVENT) // all its keys are commented out
        return;
    if (list && l->reader.event.type == YAML_SEQUENCE_START_EVENT) {
        load_zones(l, first->section);
    } else if (!list && l->reader.event.type == YAML_MAPPING_START_EVENT) {
        load_keys(l, first->section, l->settings);
    } else {
        settings_report_add(l->reader.report, yaml_reader_line(&l->reader),
                            "section %s is %s: give %s%s", first->section,
                            yaml_reader_noun(&l->reader),
                            list ? "a list, its entries beginning with \"- \""
                                 : "keys and values, one to a line and indented",
                            lacks_space(l) ? ", with a space after each colon" : "");
        yaml_reader_skip(&l->reader);
    }
}

// The first row of the section that is called so.
static const struct settings_option *find_section(const char *text, size_t len)
{
    for (size_t i = 0; i < SETTINGS_ROWS; i++)
        if (strlen(settings_options[i].section) == len &&
            memcmp(settings_options[i].section, text, len) == 0)
            return &settings_options[i];
    return NULL;
}

static void tell_unknown_section(struct loader *l)
{
    char quoted[SETTINGS_QUOTE_SIZE];
    char names[SETTINGS_WHY_SIZE] = "";
    size_t names_len = 0;
    const char *last = "";
    size_t len;
    const char *text = yaml_reader_scalar(&l->reader, &len);
    struct nearest nearest = nearest_to(text, len);
    settings_quote(quoted, text, len);
    for (size_t i = 0; i < SETTINGS_ROWS; i++) {
        const struct settings_option *option = &settings_options[i];
        if (strlen(option->key) == len && memcmp(option->key, text, len) == 0) {
            settings_report_add(l->reader.report, yaml_reader_line(&l->reader),
                                "there is no section %s: the key belongs in section %s", quoted,
                                option->section);
            return;
        }
        if (strcmp(option->section, last) == 0)
            continue;
        last = option->section;
        nearest_offer(&nearest, last);
        if (names_len < sizeof names)
            names_len += (size_t)snprintf(names + names_len, sizeof names - names_len, "%s%s",
                                          names_len ? ", " : "", last);
    }
    if (nearest.best)
        settings_report_add(l->reader.report, yaml_reader_line(&l->reader),
                            "there is no section %s: did you mean %s?", quoted, nearest.best);
    else
        settings_report_add(l->reader.report, yaml_reader_line(&l->reader),
                            "there is no section %s: there are %s", quoted, names);
}

static void load_sections(struct loader *l)
{
    while (yaml_reader_next(&l->reader) && l->reader.event.type != YAML_MAPPING_END_EVENT) {
        size_t len;
        if (!key_is_text(l))
            continue;
        const char *text = yaml_reader_scalar(&l->reader, &len);
        const struct settings_option *section = find_section(text, len);
        if (!section) {
            tell_unknown_section(l);
            skip_value(l);
            continue;
        }
        uint32_t line = yaml_reader_line(&l->reader);
        uint32_t *first = &l->section_lines[section - settings_options];
        if (*first > 0) {
            settings_report_add(l->reader.report, line,
                                "section %s is given twice, first on line %u: put all its keys "
                                "into one",
                                section->section, *first);
            skip_value(l);
            continue;
        }
        *first = line;
        if (yaml_reader_next(&l->reader))
            load_section(l, section);
    }
}

static void load_stream(struct loader *l)
{
    if (!yaml_reader_next(&l->reader) || !yaml_reader_next(&l->reader) ||
        l->reader.event.type == YAML_STREAM_END_EVENT)
        return; // broken, or nothing in it: the stream begins and ends
    if (!yaml_reader_next(&l->reader))
        return;
    yaml_reader_refuse_extras(&l->reader);
    if (l->reader.event.type == YAML_MAPPING_START_EVENT) {
        load_sections(l);
    } else if (!yaml_reader_is_nothing(&l->reader) && l->reader.event.type != YAML_ALIAS_EVENT) {
        settings_report_add(l->reader.report, yaml_reader_line(&l->reader),
                            "the file is %s: give sections, as in \"server:\"",
                            yaml_reader_noun(&l->reader));
        yaml_reader_skip(&l->reader);
    }
    if (yaml_reader_next(&l->reader) && yaml_reader_next(&l->reader) &&
        l->reader.event.type != YAML_STREAM_END_EVENT)
        settings_report_add(l->reader.report, yaml_reader_line(&l->reader),
                            "a second document begins here: give one only");
}

int settings_file_parse(struct settings *settings, const char *name, const char *text, size_t len,
                        struct settings_report *report)
{
    size_t errors = report->count;
    struct loader l = {.settings = settings};
    settings->file = name;
    report->file = name;
    if (!yaml_reader_open(&l.reader, text, len, report)) {
        yaml_reader_no_memory(&l.reader);
        return l.reader.error;
    }
    load_stream(&l);
    yaml_reader_close(&l.reader);
    if (l.reader.error)
        return l.reader.error;
    return report->count > errors ? -EINVAL : 0;
}

// Reads to the end of the file. 0 or a negative errno; the text is the caller's to free.
static int read_all(int file, char **text, size_t *len)
{
    size_t room = 0;
    *text = NULL;
    *len = 0;
    for (;;) {
        if (*len == room) {
            room = room ? 2 * room : 16384;
            char *grown = realloc(*text, room);
            if (!grown)
                return -ENOMEM;
            *text = grown;
        }
        ssize_t got = read(file, *text + *len, room - *len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            return 0;
        *len += (size_t)got;
        if (*len > SETTINGS_FILE_MAX)
            return -EFBIG;
    }
}

int settings_file_read(struct settings *settings, const char *path, struct settings_report *report)
{
    char *text = NULL;
    size_t len = 0;
    int error = 0, file = regular_file_open(path);
    if (file < 0) {
        error = file;
    } else {
        error = read_all(file, &text, &len);
        close(file);
    }
    settings->file = path;
    report->file = path;
    if (error == -EFBIG)
        settings_report_add(report, 0, "%s is too large: a settings file has %zu MB at most", path,
                            SETTINGS_FILE_MAX >> 20);
    else if (error)
        settings_report_add(report, 0, "%s cannot be read: %s", path, regular_file_error(error));
    else
        error = settings_file_parse(settings, path, text, len, report);
    free(text);
    return error;
}
