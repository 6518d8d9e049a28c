// SPDX-License-Identifier: MIT
#include "io/edge/settings_lists.h"

#include "core/settings/format.h"
#include "core/settings/parse.h"
#include "io/edge/scope.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

// A list has room for the power of two that holds its count: the room need not be stored.

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

int endpoint_list_append(struct endpoint_list *list, const struct endpoint *endpoint)
{
    struct endpoint *items = grow(list->items, list->count, sizeof *items);
    if (!items)
        return -ENOMEM;
    list->items = items;
    items[list->count++] = *endpoint;
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
    else if (option->kind == KIND_UPSTREAM_LIST)
        error = endpoint_list_append(field, &value.endpoint);
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
    } else if (option->kind == KIND_UPSTREAM_LIST) {
        struct endpoint_list *list = field;
        free(list->items);
        *list = (struct endpoint_list){0};
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
