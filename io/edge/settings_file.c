// SPDX-License-Identifier: MIT
#include "io/edge/settings_file.h"
#include "io/edge/regular_file.h"
#include "io/edge/resolv_conf.h"
#include "io/edge/scope.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>
#include <yaml.h>

// The file is read event by event. Each load_...() begins with the first event of its node as the
// current one and ends with the node's last event as the current one, whatever the node holds, so
// that one fault never hides the next. When the parser itself gives up (`broken`), every loop ends.
//
// A list has room for the power of two that holds its count: the room need not be stored.

#define SKIP_DEPTH_MAX 32

struct loader {
    yaml_parser_t parser;
    yaml_event_t event; // the current one
    struct settings *settings;
    struct settings_report *report;
    const char *text;
    size_t len;
    int error; // negative errno, kept for the caller
    bool broken;
    uint32_t section_lines[SETTINGS_ROWS]; // where a section began, at its first row; 0: not yet
};

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

// Makes room for one more; the new place of the items, NULL: no memory.
static void *grow(void *items, size_t count, size_t item_size)
{
    if (count & (count - 1))
        return items;
    return reallocarray(items, count ? 2 * count : 1, item_size);
}

int address_list_append(struct address_list *list, const struct address *address)
{
    struct address *items = grow(list->items, list->count, sizeof *items);
    if (!items)
        return -ENOMEM;
    list->items = items;
    items[list->count++] = *address;
    return 0;
}

static int prefix_list_append(struct prefix_list *list, const struct prefix *prefix)
{
    struct prefix *items = grow(list->items, list->count, sizeof *items);
    if (!items)
        return -ENOMEM;
    list->items = items;
    items[list->count++] = *prefix;
    return 0;
}

static int text_list_append(struct text_list *list, const char *text, size_t len)
{
    struct text_item *items = grow(list->items, list->count, sizeof *items);
    if (!items)
        return -ENOMEM;
    list->items = items;
    items[list->count] = (struct text_item){.text = strndup(text, len)};
    if (!items[list->count].text)
        return -ENOMEM;
    list->count++;
    return 0;
}

struct forward_zone *forward_zone_append(struct forward_zone_list *list)
{
    struct forward_zone *items = grow(list->items, list->count, sizeof *items);
    if (!items)
        return NULL;
    list->items = items;
    forward_zone_init(&items[list->count]);
    return &items[list->count++];
}

static bool is_address(const struct settings_option *option)
{
    return option->kind == KIND_ADDRESS || option->kind == KIND_ADDRESS_LIST ||
           option->kind == KIND_UPSTREAM_LIST;
}

int settings_add(const struct settings_option *option, void *base, const char *text, size_t len,
                 char why[static SETTINGS_WHY_SIZE])
{
    union settings_value value;
    char numbered[ADDRESS_TEXT_MAX], quoted[SETTINGS_QUOTE_SIZE];
    void *field = (uint8_t *)base + option->offset;
    int error;
    enum scope_verdict scope = is_address(option) ? scope_number(text, len, numbered) : SCOPE_NONE;
    if (scope == SCOPE_UNKNOWN) {
        settings_quote(quoted, text, len);
        snprintf(why, SETTINGS_WHY_SIZE, "%s: there is no interface of that name", quoted);
        return -EINVAL;
    }
    if (scope == SCOPE_NUMBERED) {
        text = numbered;
        len = strlen(numbered);
    }
    if (!settings_parse(option, text, len, &value, why))
        return -EINVAL;
    if (!settings_is_list(option)) {
        settings_store(option, base, &value);
        return 0;
    }
    if (!settings_accepts(option, base, &value, why))
        return -EINVAL;
    if (option->kind == KIND_PREFIX_LIST)
        error = prefix_list_append(field, &value.prefix);
    else if (settings_is_texts(option))
        error = text_list_append(field, value.text.bytes, value.text.len);
    else
        error = address_list_append(field, &value.address);
    if (error)
        snprintf(why, SETTINGS_WHY_SIZE, "out of memory");
    return error;
}

void settings_clear(const struct settings_option *option, void *base)
{
    void *field = (uint8_t *)base + option->offset;
    if (option->kind == KIND_PREFIX_LIST) {
        struct prefix_list *list = field;
        free(list->items);
        *list = (struct prefix_list){0};
    } else if (settings_is_texts(option)) {
        struct text_list *list = field;
        while (list->count > 0)
            free(list->items[--list->count].text);
        free(list->items);
        *list = (struct text_list){0};
    } else if (settings_is_list(option)) {
        struct address_list *list = field;
        free(list->items);
        *list = (struct address_list){0};
    }
}

static void clear_rows(void *base, bool in_zone)
{
    for (size_t i = 0; i < SETTINGS_ROWS; i++)
        if (settings_options[i].in_zone == in_zone)
            settings_clear(&settings_options[i], base);
}

void forward_zone_drop(struct forward_zone_list *list)
{
    clear_rows(&list->items[--list->count], true);
}

void settings_free(struct settings *settings)
{
    while (settings->forward.count > 0)
        forward_zone_drop(&settings->forward);
    free(settings->forward.items);
    settings->forward.items = NULL;
    clear_rows(settings, false);
}

int settings_defaults(struct settings *settings)
{
    settings_init(settings);
    for (size_t i = 0; i < SETTINGS_ROWS; i++) {
        const struct settings_option *option = &settings_options[i];
        const char *at = option->fallback;
        const char *word;
        size_t len;
        char why[SETTINGS_WHY_SIZE];
        if (option->in_zone || !settings_is_list(option))
            continue;
        while ((word = settings_next_word(&at, &len))) {
            int error = settings_add(option, settings, word, len, why);
            if (error) {
                settings_free(settings);
                return error;
            }
        }
    }
    return 0;
}

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

static uint32_t line_of(const yaml_mark_t *mark)
{
    return (uint32_t)mark->line + 1;
}

static uint32_t event_line(const struct loader *l)
{
    return line_of(&l->event.start_mark);
}

static void out_of_memory(struct loader *l)
{
    settings_report_add(l->report, 0, "out of memory");
    l->error = -ENOMEM;
    l->broken = true;
}

// The reader (characters, not syntax) knows an offset only.
static uint32_t line_at_offset(const struct loader *l, size_t offset)
{
    uint32_t line = 1;
    for (size_t i = 0; i < offset && i < l->len; i++)
        line += l->text[i] == '\n';
    return line;
}

// True if the line holds what `test` looks for: beginners' mistakes that a parser words badly.
static bool line_has(const struct loader *l, uint32_t line, const char *what, bool at_start)
{
    const char *at = l->text;
    const char *end = l->text + l->len;
    while (--line > 0) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        if (!newline)
            return false;
        at = newline + 1;
    }
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    if (newline)
        end = newline;
    if (at_start)
        for (const char *c = at; c < end; c++)
            if (*c != ' ' && *c != '\t')
                end = c;
    return memmem(at, (size_t)(end - at), what, strlen(what));
}

static const char *syntax_hint(const struct loader *l, uint32_t line)
{
    if (line_has(l, line, "\t", true))
        return " (indent with spaces, not with tabs)";
    if (line_has(l, line, "::", false))
        return " (put an IPv6 address between quotes, as in \"[::1]:53\")";
    return "";
}

// What was told about this line before is most likely the same fault, worded worse.
static void forget_line(struct settings_report *report, uint32_t line)
{
    while (report->count > 0 && report->count <= SETTINGS_ERRORS_MAX &&
           report->errors[report->count - 1].line == line)
        report->count--;
}

static void tell_syntax(struct loader *l)
{
    const yaml_parser_t *p = &l->parser;
    if (p->error == YAML_MEMORY_ERROR) {
        out_of_memory(l);
        return;
    }
    const char *problem = p->problem ? p->problem : "the parser gave up";
    l->broken = true;
    if (p->error == YAML_READER_ERROR) {
        settings_report_add(l->report, line_at_offset(l, p->problem_offset), "this is not YAML: %s",
                            problem);
        return;
    }
    uint32_t line = line_of(&p->problem_mark);
    const char *hint = syntax_hint(l, line);
    forget_line(l->report, line);
    if (p->context && line_of(&p->context_mark) != line)
        settings_report_add(l->report, line, "this is not YAML: %s, %s that began on line %u%s",
                            problem, p->context, line_of(&p->context_mark), hint);
    else
        settings_report_add(l->report, line, "this is not YAML: %s%s", problem, hint);
}

// Fetches the next event; false: there is none.
static bool next(struct loader *l)
{
    if (l->broken)
        return false;
    yaml_event_delete(&l->event);
    memset(&l->event, 0, sizeof l->event);
    if (yaml_parser_parse(&l->parser, &l->event))
        return true;
    memset(&l->event, 0, sizeof l->event);
    tell_syntax(l);
    return false;
}

// Goes to the end of the current node. No setting is nested, and the parser takes quadratic time
// for what is nested very deeply: so that ends the reading.
static void skip(struct loader *l)
{
    size_t depth = 0;
    do {
        yaml_event_type_t type = l->event.type;
        depth += type == YAML_MAPPING_START_EVENT || type == YAML_SEQUENCE_START_EVENT;
        depth -= type == YAML_MAPPING_END_EVENT || type == YAML_SEQUENCE_END_EVENT;
        if (depth > SKIP_DEPTH_MAX) {
            settings_report_add(l->report, event_line(l),
                                "lists or mappings are nested too deeply");
            l->broken = true;
        }
    } while (depth > 0 && next(l));
}

// What a node is called in a message.
static const char *node_noun(const struct loader *l)
{
    if (l->event.type == YAML_MAPPING_START_EVENT)
        return "a mapping";
    return l->event.type == YAML_SEQUENCE_START_EVENT ? "a list" : "a single value";
}

// Refuses what would make a file mean something else than what stands there.
static void refuse_extras(struct loader *l)
{
    const yaml_event_t *e = &l->event;
    const yaml_char_t *anchor = NULL;
    const yaml_char_t *tag = NULL;
    if (e->type == YAML_SCALAR_EVENT) {
        anchor = e->data.scalar.anchor;
        tag = e->data.scalar.tag;
    } else if (e->type == YAML_SEQUENCE_START_EVENT) {
        anchor = e->data.sequence_start.anchor;
        tag = e->data.sequence_start.tag;
    } else if (e->type == YAML_MAPPING_START_EVENT) {
        anchor = e->data.mapping_start.anchor;
        tag = e->data.mapping_start.tag;
    } else if (e->type == YAML_ALIAS_EVENT) {
        settings_report_add(l->report, event_line(l),
                            "an alias (*%.40s) is not taken here: write the value out",
                            (const char *)e->data.alias.anchor);
    }
    if (anchor)
        settings_report_add(l->report, event_line(l),
                            "an anchor (&%.40s) is not taken here: leave it out",
                            (const char *)anchor);
    if (tag) {
        char quoted[SETTINGS_QUOTE_SIZE];
        settings_quote(quoted, (const char *)tag, strlen((const char *)tag));
        settings_report_add(l->report, event_line(l), "a tag (%s) is not taken here: leave it out",
                            quoted);
    }
}

static const char *scalar_text(const struct loader *l, size_t *len)
{
    *len = l->event.data.scalar.length;
    return (const char *)l->event.data.scalar.value;
}

// True for `key:` with nothing behind it.
static bool is_nothing(const struct loader *l)
{
    return l->event.type == YAML_SCALAR_EVENT && l->event.data.scalar.length == 0 &&
           l->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

static void text_list_line(struct text_list *list, uint32_t line)
{
    list->items[list->count - 1].line = line;
}

static void load_text(struct loader *l, const struct settings_option *option, void *base)
{
    char why[SETTINGS_WHY_SIZE];
    size_t len;
    const char *text = scalar_text(l, &len);
    int error = settings_add(option, base, text, len, why);
    if (error == -ENOMEM)
        out_of_memory(l);
    else if (error)
        settings_report_add(l->report, event_line(l), "%s.%s: %s", option->section, option->key,
                            why);
    else if (settings_is_texts(option))
        text_list_line((struct text_list *)(void *)((uint8_t *)base + option->offset),
                       event_line(l));
}

static void load_list(struct loader *l, const struct settings_option *option, void *base)
{
    uint32_t line = event_line(l);
    size_t seen = 0;
    for (; next(l) && l->event.type != YAML_SEQUENCE_END_EVENT; seen++) {
        refuse_extras(l);
        if (l->event.type == YAML_SCALAR_EVENT && seen <= option->max)
            load_text(l, option, base);
        else if (l->event.type != YAML_SCALAR_EVENT && l->event.type != YAML_ALIAS_EVENT)
            settings_report_add(l->report, event_line(l),
                                "%s.%s: an item is %s: give a single value%s", option->section,
                                option->key, node_noun(l),
                                option->kind == KIND_PREFIX_LIST || settings_is_texts(option)
                                    ? ""
                                    : ", between quotes where it has brackets: \"[::1]:53\"");
        skip(l);
    }
    if (!l->broken && seen < option->min)
        settings_report_add(l->report, line, "%s.%s: the list is empty: give one item at least",
                            option->section, option->key);
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
    refuse_extras(l);
    settings_expected(option, expected);
    if (l->event.type == YAML_ALIAS_EVENT)
        return;
    if (is_nothing(l))
        settings_report_add(l->report, key_line, "%s.%s has no value: give %.400s%s",
                            option->section, option->key, expected,
                            list && option->min == 0 ? ", or [] for none" : "");
    else if (l->event.type == YAML_SCALAR_EVENT)
        load_text(l, option, base);
    else if (list && l->event.type == YAML_SEQUENCE_START_EVENT)
        load_list(l, option, base);
    else {
        settings_report_add(l->report, event_line(l), "%s.%s is %s: give %s%.400s", option->section,
                            option->key, node_noun(l), list ? "a list, each item " : "", expected);
        skip(l);
    }
}

// An unknown key, and where it might belong.
static void tell_unknown_key(struct loader *l, const char *section)
{
    char quoted[SETTINGS_QUOTE_SIZE];
    char keys[SETTINGS_WHY_SIZE] = "";
    size_t keys_len = 0;
    size_t len;
    const char *text = scalar_text(l, &len);
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
        settings_report_add(l->report, event_line(l), "%s has no key %s: did you mean %s?", section,
                            quoted, nearest.best);
    else if (elsewhere)
        settings_report_add(l->report, event_line(l), "%s has no key %s: it belongs in section %s",
                            section, quoted, elsewhere->section);
    else
        settings_report_add(l->report, event_line(l), "%s has no key %s: its keys are %s", section,
                            quoted, keys);
}

// Steps from a mapping's key to its value where the key is one that can be looked up; else tells,
// skips both and returns false.
static bool key_is_text(struct loader *l)
{
    refuse_extras(l);
    if (l->event.type == YAML_SCALAR_EVENT)
        return true;
    if (l->event.type != YAML_ALIAS_EVENT)
        settings_report_add(l->report, event_line(l), "a key is %s: give a single word",
                            node_noun(l));
    skip(l);
    if (next(l))
        skip(l);
    return false;
}

static void skip_value(struct loader *l)
{
    if (next(l))
        skip(l);
}

// The keys and values of a section, or of one entry of a section that is a list.
static void load_keys(struct loader *l, const char *section, void *base)
{
    uint32_t lines[SETTINGS_ROWS] = {0};
    while (next(l) && l->event.type != YAML_MAPPING_END_EVENT) {
        size_t len;
        if (!key_is_text(l))
            continue;
        const char *key = scalar_text(l, &len);
        const struct settings_option *option = settings_find(section, key, len);
        if (!option) {
            tell_unknown_key(l, section);
            skip_value(l);
            continue;
        }
        uint32_t line = event_line(l);
        uint32_t *first = &lines[option - settings_options];
        if (*first > 0) {
            settings_report_add(l->report, line, "%s.%s is given twice, first on line %u: keep one",
                                section, option->key, *first);
            skip_value(l);
            continue;
        }
        *first = line;
        if (next(l))
            load_value(l, option, base, line);
    }
}

static void load_zone(struct loader *l, const char *section)
{
    uint32_t line = event_line(l);
    size_t errors = l->report->count;
    struct forward_zone *zone = forward_zone_append(&l->settings->forward);
    if (!zone) {
        out_of_memory(l);
        return;
    }
    for (size_t slot = 0; slot < ZONE_COUNT; slot++)
        zone->origins[slot].line = line;
    load_keys(l, section, zone);
    if (!l->broken && zone->origins[ZONE_to].source == SOURCE_DEFAULT)
        settings_report_add(l->report, line,
                            "forward.to is missing in this entry: name the servers that its zone "
                            "is asked of");
    // What is half read would only make settings_check complain about what nobody wrote.
    if (l->report->count > errors)
        forward_zone_drop(&l->settings->forward);
}

static void load_zones(struct loader *l, const char *section)
{
    uint32_t line = event_line(l);
    size_t seen = 0;
    for (; next(l) && l->event.type != YAML_SEQUENCE_END_EVENT; seen++) {
        refuse_extras(l);
        if (l->event.type == YAML_MAPPING_START_EVENT && seen < FORWARD_ZONES_MAX) {
            load_zone(l, section);
            continue;
        }
        if (seen == FORWARD_ZONES_MAX)
            settings_report_add(l->report, event_line(l),
                                "%s has too many entries: give %d at most", section,
                                FORWARD_ZONES_MAX);
        else if (seen < FORWARD_ZONES_MAX && l->event.type != YAML_ALIAS_EVENT)
            settings_report_add(l->report, event_line(l),
                                "%s: an entry is %s: give a mapping with zone and to", section,
                                node_noun(l));
        skip(l);
    }
    if (!l->broken && seen == 0)
        settings_report_add(l->report, line,
                            "%s is an empty list: give an entry, or leave the section out to use "
                            "the system's servers",
                            section);
}

// `workers:4` is one word to YAML.
static bool lacks_space(const struct loader *l)
{
    return l->event.type == YAML_SCALAR_EVENT &&
           memchr(l->event.data.scalar.value, ':', l->event.data.scalar.length);
}

static void load_section(struct loader *l, const struct settings_option *first)
{
    bool list = first->in_zone;
    refuse_extras(l);
    if (is_nothing(l) || l->event.type == YAML_ALIAS_EVENT) // all its keys are commented out
        return;
    if (list && l->event.type == YAML_SEQUENCE_START_EVENT) {
        load_zones(l, first->section);
    } else if (!list && l->event.type == YAML_MAPPING_START_EVENT) {
        load_keys(l, first->section, l->settings);
    } else {
        settings_report_add(l->report, event_line(l), "section %s is %s: give %s%s", first->section,
                            node_noun(l),
                            list ? "a list, its entries beginning with \"- \""
                                 : "keys and values, one to a line and indented",
                            lacks_space(l) ? ", with a space after each colon" : "");
        skip(l);
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
    const char *text = scalar_text(l, &len);
    struct nearest nearest = nearest_to(text, len);
    settings_quote(quoted, text, len);
    for (size_t i = 0; i < SETTINGS_ROWS; i++) {
        const struct settings_option *option = &settings_options[i];
        if (strlen(option->key) == len && memcmp(option->key, text, len) == 0) {
            settings_report_add(l->report, event_line(l),
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
        settings_report_add(l->report, event_line(l), "there is no section %s: did you mean %s?",
                            quoted, nearest.best);
    else
        settings_report_add(l->report, event_line(l), "there is no section %s: there are %s",
                            quoted, names);
}

static void load_sections(struct loader *l)
{
    while (next(l) && l->event.type != YAML_MAPPING_END_EVENT) {
        size_t len;
        if (!key_is_text(l))
            continue;
        const char *text = scalar_text(l, &len);
        const struct settings_option *section = find_section(text, len);
        if (!section) {
            tell_unknown_section(l);
            skip_value(l);
            continue;
        }
        uint32_t line = event_line(l);
        uint32_t *first = &l->section_lines[section - settings_options];
        if (*first > 0) {
            settings_report_add(l->report, line,
                                "section %s is given twice, first on line %u: put all its keys "
                                "into one",
                                section->section, *first);
            skip_value(l);
            continue;
        }
        *first = line;
        if (next(l))
            load_section(l, section);
    }
}

static void load_stream(struct loader *l)
{
    if (!next(l) || !next(l) || l->event.type == YAML_STREAM_END_EVENT)
        return; // broken, or nothing in it: the stream begins and ends
    if (!next(l))
        return;
    refuse_extras(l);
    if (l->event.type == YAML_MAPPING_START_EVENT) {
        load_sections(l);
    } else if (!is_nothing(l) && l->event.type != YAML_ALIAS_EVENT) {
        settings_report_add(l->report, event_line(l),
                            "the file is %s: give sections, as in \"server:\"", node_noun(l));
        skip(l);
    }
    if (next(l) && next(l) && l->event.type != YAML_STREAM_END_EVENT)
        settings_report_add(l->report, event_line(l),
                            "a second document begins here: give one only");
}

int settings_file_parse(struct settings *settings, const char *name, const char *text, size_t len,
                        struct settings_report *report)
{
    size_t errors = report->count;
    struct loader l = {.settings = settings, .report = report, .text = text, .len = len};
    settings->file = name;
    report->file = name;
    if (!yaml_parser_initialize(&l.parser)) {
        out_of_memory(&l);
        return l.error;
    }
    yaml_parser_set_input_string(&l.parser, (const unsigned char *)text, len);
    load_stream(&l);
    yaml_event_delete(&l.event);
    yaml_parser_delete(&l.parser);
    if (l.error)
        return l.error;
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
