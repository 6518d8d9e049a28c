// SPDX-License-Identifier: MIT
#include "core/settings/format.h"

#include "core/settings/units.h"
#include "core/settings/words.h"

#include <assert.h>
#include <stdio.h>

// Text from outside is never printed as it came: settings_quote makes it harmless first.

const char *settings_next_word(const char **at, size_t *len)
{
    const char *start = *at;
    while (*start == ' ')
        start++;
    const char *end = start;
    while (*end != '\0' && *end != ' ')
        end++;
    *at = end;
    *len = (size_t)(end - start);
    return *len ? start : NULL;
}

void settings_quote(char quoted[static SETTINGS_QUOTE_SIZE], const char *text, size_t len)
{
    static const char hex[] = "0123456789abcdef";
    size_t room = SETTINGS_QUOTE_SIZE - 8; // what follows the text at most: \xNN..."
    size_t at = 0;
    size_t i = 0;
    quoted[at++] = '"';
    for (; i < len && at < room; i++) {
        uint8_t c = (uint8_t)text[i];
        if (c >= ' ' && c != 0x7f) {
            quoted[at++] = (char)c;
            continue;
        }
        quoted[at++] = '\\';
        quoted[at++] = 'x';
        quoted[at++] = hex[c >> 4];
        quoted[at++] = hex[c & 15];
    }
    if (i < len) {
        while (((uint8_t)text[i] & 0xc0) == 0x80 && at > 1 && i > 0) { // no half of a character
            i--;
            at--;
        }
        for (int dots = 0; dots < 3; dots++)
            quoted[at++] = '.';
    }
    quoted[at++] = '"';
    quoted[at] = '\0';
}

// In the largest unit that leaves no rest; the last unit is 1.
static void format_scaled(char text[static 32], uint64_t value, const struct unit *unit)
{
    while (value % unit->factor != 0)
        unit++;
    snprintf(text, 32, "%llu%s", (unsigned long long)(value / unit->factor), unit->suffix);
}

static void format_number(enum settings_kind kind, uint64_t value, char text[static 32])
{
    if (kind == KIND_COUNT_OR_AUTO && value == 0)
        put_text(text, "auto");
    else if (kind == KIND_DURATION && value == 0)
        put_text(text, "0s");
    else if (kind == KIND_DURATION)
        format_scaled(text, value, duration_units);
    else if (kind == KIND_SIZE && value != 0)
        format_scaled(text, value, size_units);
    else
        snprintf(text, 32, "%llu", (unsigned long long)value);
}

static size_t expected_word(const char *words, char text[static SETTINGS_TEXT_SIZE])
{
    size_t len = 0;
    const char *separator = "one of ";
    const char *word;
    size_t word_len;
    while ((word = settings_next_word(&words, &word_len)) && len < SETTINGS_TEXT_SIZE) {
        len += (size_t)snprintf(text + len, SETTINGS_TEXT_SIZE - len, "%s%.*s", separator,
                                (int)word_len, word);
        separator = ", ";
    }
    assert(len < SETTINGS_TEXT_SIZE);
    return len;
}

size_t settings_expected(const struct settings_option *option, char text[static SETTINGS_TEXT_SIZE])
{
    static const char *const forms[] = {
        [KIND_BOOLEAN] = "true or false",
        [KIND_COUNT] = "a whole number from %s to %s",
        [KIND_COUNT_OR_AUTO] = "auto or a whole number from %s to %s",
        [KIND_SIZE] = "a size from %s to %s (K, M and G are powers of 1024)",
        [KIND_DURATION] = "a duration from %s to %s with its unit (ms, s, m, h or d)",
        [KIND_NAME] = "a domain name such as corp.example, or . for all names",
        [KIND_ADDRESS] = "an address such as 192.0.2.1, 192.0.2.1:%s or [2001:db8::1]:%s, or off",
        [KIND_ADDRESS_LIST] = "an address such as 192.0.2.1, 192.0.2.1:%s or [2001:db8::1]:%s",
        [KIND_UPSTREAM_LIST] =
            "a server's address such as 192.0.2.53, 192.0.2.53:%s or [2001:db8::53]:%s",
        [KIND_PREFIX_LIST] = "a prefix such as 192.0.2.0/24 or 2001:db8::/32",
        [KIND_PATH] = "a file's path of up to 255 octets, or off",
        [KIND_PATH_LIST] = "a file's path of up to 255 octets",
        [KIND_NAME_LIST] = "a domain name such as corp.example",
        [KIND_INTERFACE_LIST] = "a network interface such as eth0, eth0/driver or eth0/generic",
        [KIND_PREFIX] = "a prefix such as 2001:db8::/32",
        [KIND_TEXT] = "up to 63 printable ASCII characters, or off",
        [KIND_RECORD_LIST] = "a record such as printer.lan. 3600 IN A 192.0.2.9",
    };
    char min[32];
    char max[32];
    if (option->kind == KIND_WORD)
        return expected_word(option->detail, text);
    format_number(option->kind, option->min, min);
    format_number(option->kind, option->max, max);
    bool port = option->kind == KIND_ADDRESS || option->kind == KIND_ADDRESS_LIST ||
                option->kind == KIND_UPSTREAM_LIST;
    // Forms without a place for the bounds leave them unused.
    return (size_t)snprintf(text, SETTINGS_TEXT_SIZE, forms[option->kind],
                            port ? option->detail : min, port ? option->detail : max);
}

static size_t format_word(const char *words, uint32_t index, char *text)
{
    const char *word;
    size_t len;
    do
        word = settings_next_word(&words, &len);
    while (word && index-- > 0);
    assert(word);
    return (size_t)snprintf(text, SETTINGS_TEXT_SIZE, "%.*s", (int)len, word);
}

static size_t format_address(const struct address *address, char *text)
{
    if (address->family == ADDRESS_NONE)
        return put_text(text, "off");
    return address_format(address, text);
}

size_t settings_format(const struct settings_option *option, const void *base, size_t index,
                       char text[static SETTINGS_TEXT_SIZE])
{
    const void *field = settings_field(option, base);
    assert(index < settings_count(option, base));
    switch ((enum settings_kind)option->kind) {
    case KIND_BOOLEAN:
        return put_text(text, *(const bool *)field ? "true" : "false");
    case KIND_WORD:
        return format_word(option->detail, *(const uint32_t *)field, text);
    case KIND_NAME:
        return name_format(field, text);
    case KIND_ADDRESS:
        return format_address(field, text);
    case KIND_PATH:
        return put_text(text, *(const char *)field ? field : "off");
    case KIND_TEXT: {
        const struct short_text *value = field;
        return put_text(text, value->len > 0 ? value->text : "off");
    }
    case KIND_ADDRESS_LIST:
        return address_format(&((const struct address_list *)field)->items[index], text);
    case KIND_UPSTREAM_LIST:
        return endpoint_format(&((const struct endpoint_list *)field)->items[index], false, text);
    case KIND_PREFIX_LIST:
        return prefix_format(&((const struct prefix_list *)field)->items[index], text);
    case KIND_PREFIX:
        return prefix_format(field, text);
    case KIND_PATH_LIST:
    case KIND_RECORD_LIST:
    case KIND_NAME_LIST:
    case KIND_INTERFACE_LIST:
        return put_text(text, ((const struct text_list *)field)->items[index].text);
    default:
        format_number(option->kind, *(const uint64_t *)field, text);
        return text_len(text);
    }
}
