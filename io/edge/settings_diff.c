// SPDX-License-Identifier: MIT
#include "io/edge/settings_diff.h"

#include "core/settings/format.h"
#include "io/edge/settings_lists.h"

#include <stdio.h>

#define NAME_SIZE  (NAME_TEXT_SIZE + 64) // forward, a zone and a key
#define VALUE_SIZE 200

// All of an option's values as one text.
static void value_text(const struct settings_option *option, const void *base,
                       char text[static VALUE_SIZE])
{
    char item[SETTINGS_TEXT_SIZE];
    size_t count = settings_count(option, base), at = 0;
    text[0] = '\0';
    for (size_t i = 0; i < count && at < VALUE_SIZE - 1; i++) {
        settings_format(option, base, i, item);
        at += (size_t)snprintf(text + at, VALUE_SIZE - at, "%s%s", i ? ", " : "", item);
    }
    if (at >= VALUE_SIZE)
        memcpy(text + VALUE_SIZE - 4, "...", 4);
    else if (at == 0)
        snprintf(text, VALUE_SIZE, "%s", settings_is_list(option) ? "[]" : "off");
}

static bool same_values(const struct settings_option *option, const void *a, const void *b)
{
    char left[SETTINGS_TEXT_SIZE], right[SETTINGS_TEXT_SIZE];
    size_t count = settings_count(option, a);
    if (settings_count(option, b) != count)
        return false;
    for (size_t i = 0; i < count; i++) {
        settings_format(option, a, i, left);
        settings_format(option, b, i, right);
        if (strcmp(left, right) != 0)
            return false;
    }
    return true;
}

static void option_diff(
    const struct settings_option *option, const char *name, const void *from, const void *to,
    void (*tell)(void *context, const char *name, const char *from, const char *to), void *context)
{
    char before[VALUE_SIZE], then[VALUE_SIZE];
    if (same_values(option, from, to))
        return;
    value_text(option, from, before);
    value_text(option, to, then);
    tell(context, name, before, then);
}

static void option_name(const struct settings_option *option, const struct forward_zone *zone,
                        char name[static NAME_SIZE])
{
    char text[NAME_TEXT_SIZE];
    if (zone)
        name_format(&zone->zone, text);
    if (zone)
        snprintf(name, NAME_SIZE, "%s %s %s", option->section, text, option->key);
    else
        snprintf(name, NAME_SIZE, "%s.%s", option->section, option->key);
}

static const struct forward_zone *zone_of(const struct settings *settings, const struct name *name)
{
    for (size_t i = 0; i < settings->forward.count; i++) {
        if (name_equal(&settings->forward.items[i].zone, name))
            return &settings->forward.items[i];
    }
    return NULL;
}

// The options of a zone, or those of one that is there only once, by its upstreams.
static void zone_diff(const struct forward_zone *from, const struct forward_zone *to,
                      void (*tell)(void *context, const char *name, const char *from,
                                   const char *to),
                      void *context)
{
    char name[NAME_SIZE], value[VALUE_SIZE];
    for (size_t i = 0; i < SETTINGS_ROWS; i++) {
        const struct settings_option *option = &settings_options[i];
        if (!option->in_zone || option->slot == ZONE_zone)
            continue;
        option_name(option, from ? from : to, name);
        if (from && to) {
            option_diff(option, name, from, to, tell, context);
        } else if (option->slot == ZONE_to) {
            value_text(option, from ? from : to, value);
            tell(context, name, from ? value : "none", to ? value : "none");
        }
    }
}

void settings_diff(const struct settings *from, const struct settings *to,
                   void (*tell)(void *context, const char *name, const char *from, const char *to),
                   void *context)
{
    char name[NAME_SIZE];
    for (size_t i = 0; i < SETTINGS_ROWS; i++) {
        const struct settings_option *option = &settings_options[i];
        if (option->in_zone)
            continue;
        option_name(option, NULL, name);
        option_diff(option, name, from, to, tell, context);
    }
    for (size_t i = 0; i < from->forward.count; i++)
        zone_diff(&from->forward.items[i], zone_of(to, &from->forward.items[i].zone), tell,
                  context);
    for (size_t i = 0; i < to->forward.count; i++) {
        if (!zone_of(from, &to->forward.items[i].zone))
            zone_diff(NULL, &to->forward.items[i], tell, context);
    }
}

static int value_copy(const struct settings_option *option, struct settings *to,
                      const struct settings *from)
{
    char text[SETTINGS_TEXT_SIZE], why[SETTINGS_WHY_SIZE];
    if (settings_is_list(option))
        settings_clear(option, to);
    for (size_t i = 0; i < settings_count(option, from); i++) {
        size_t len = settings_format(option, from, i, text);
        int error = settings_add(option, to, text, len, why);
        if (error)
            return error;
    }
    to->origins[option->slot] = from->origins[option->slot];
    return 0;
}

int settings_keep(struct settings *settings, const struct settings *running,
                  void (*tell)(void *context, const char *name, const char *from, const char *to),
                  void *context)
{
    char name[NAME_SIZE];
    int error = 0;
    for (size_t i = 0; i < SETTINGS_ROWS && error == 0; i++) {
        const struct settings_option *option = &settings_options[i];
        if (option->in_zone || option->reloadable || same_values(option, running, settings))
            continue;
        option_name(option, NULL, name);
        option_diff(option, name, running, settings, tell, context);
        error = value_copy(option, settings, running);
    }
    return error;
}
