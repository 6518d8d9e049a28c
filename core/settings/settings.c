// SPDX-License-Identifier: MIT
#include "core/settings/settings.h"

#include "core/settings/units.h"
#include "core/settings/words.h"

#include <assert.h>

// A row's field has the type that KIND_TYPE_... gives its kind, so a base, an offset and the kind
// are enough to reach it.

#define ROW(section_, base_, field_, slot_, in_zone_, key_, kind_, fallback_, min_, max_, detail_, \
            reloadable_, help_)                                                                    \
    {.section = #section_,                                                                         \
     .key = key_,                                                                                  \
     .fallback = fallback_,                                                                        \
     .detail = detail_,                                                                            \
     .help = help_,                                                                                \
     .min = min_,                                                                                  \
     .max = max_,                                                                                  \
     .offset = offsetof(base_, field_),                                                            \
     .kind = KIND_##kind_,                                                                         \
     .slot = slot_,                                                                                \
     .in_zone = in_zone_,                                                                          \
     .reloadable = reloadable_},

const struct settings_option settings_options[SETTINGS_ROWS] = {
#define OPTION(section, field, ...) \
    ROW(section, struct settings, section##_##field, OPTION_##section##_##field, false, __VA_ARGS__)
#define ZONE_OPTION(section, field, ...) \
    ROW(section, struct forward_zone, field, ZONE_##field, true, __VA_ARGS__)
#include "core/settings/options.def"
};

static void *field_of(const struct settings_option *option, void *base)
{
    return (uint8_t *)base + option->offset;
}

bool settings_is_list(const struct settings_option *option)
{
    return option->kind == KIND_ADDRESS_LIST || option->kind == KIND_UPSTREAM_LIST ||
           option->kind == KIND_PREFIX_LIST || settings_is_texts(option);
}

bool settings_is_texts(const struct settings_option *option)
{
    return option->kind == KIND_PATH_LIST || option->kind == KIND_RECORD_LIST ||
           option->kind == KIND_NAME_LIST || option->kind == KIND_INTERFACE_LIST;
}

void settings_store(const struct settings_option *option, void *base,
                    const union settings_value *value)
{
    void *field = field_of(option, base);
    assert(!settings_is_list(option));
    switch ((enum settings_kind)option->kind) {
    case KIND_BOOLEAN:
        *(bool *)field = value->boolean;
        break;
    case KIND_WORD:
        *(uint32_t *)field = value->word;
        break;
    case KIND_NAME:
        *(struct name *)field = value->name;
        break;
    case KIND_ADDRESS:
        *(struct address *)field = value->address;
        break;
    case KIND_PREFIX:
        *(struct prefix *)field = value->prefix;
        break;
    case KIND_PATH:
        *(struct path *)field = value->path;
        break;
    case KIND_TEXT:
        *(struct short_text *)field = value->short_text;
        break;
    default:
        *(uint64_t *)field = value->number;
    }
}

size_t settings_count(const struct settings_option *option, const void *base)
{
    const void *field = settings_field(option, base);
    if (option->kind == KIND_PREFIX_LIST)
        return ((const struct prefix_list *)field)->count;
    if (option->kind == KIND_UPSTREAM_LIST)
        return ((const struct endpoint_list *)field)->count;
    if (settings_is_texts(option))
        return ((const struct text_list *)field)->count;
    return settings_is_list(option) ? ((const struct address_list *)field)->count : 1;
}

struct settings_origin *settings_origin(const struct settings_option *option, void *base)
{
    if (option->in_zone)
        return &((struct forward_zone *)base)->origins[option->slot];
    return &((struct settings *)base)->origins[option->slot];
}

const struct settings_option *settings_find(const char *section, const char *key, size_t key_len)
{
    for (size_t i = 0; i < SETTINGS_ROWS; i++) {
        const struct settings_option *option = &settings_options[i];
        if (text_is(key, key_len, option->key) &&
            text_is(section, text_len(section), option->section))
            return option;
    }
    return NULL;
}
