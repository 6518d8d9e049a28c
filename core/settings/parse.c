// SPDX-License-Identifier: MIT
#include "core/settings/parse.h"

#include "core/settings/format.h"
#include "core/settings/suggest.h"
#include "core/settings/units.h"
#include "core/settings/words.h"
#include "core/wire/text.h"

#include <assert.h>
#include <stdio.h>

// A default is text that settings_parse accepts; a unit test proves it for every row.

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

enum verdict {
    VERDICT_FINE,
    VERDICT_INVALID,
    VERDICT_SMALL,
    VERDICT_LARGE,
    VERDICT_TOLD, // `why` is written already
};

// Reads digits from the front. A leading zero is refused: YAML and others read it as octal.
static enum verdict parse_digits(const char *text, size_t len, uint64_t *value, size_t *used)
{
    size_t i = 0;
    bool large = false;
    *value = 0;
    for (; i < len && text[i] >= '0' && text[i] <= '9'; i++)
        large |= __builtin_mul_overflow(*value, (uint64_t)10, value) ||
                 __builtin_add_overflow(*value, (uint64_t)(text[i] - '0'), value);
    *used = i;
    if (i == 0 || (i > 1 && text[0] == '0'))
        return VERDICT_INVALID;
    return large ? VERDICT_LARGE : VERDICT_FINE;
}

static enum verdict parse_scaled(const char *text, size_t len, const struct unit *units,
                                 size_t unit_count, uint64_t *value)
{
    size_t used;
    enum verdict verdict = parse_digits(text, len, value, &used);
    if (verdict == VERDICT_INVALID)
        return verdict;
    if (verdict == VERDICT_FINE && *value == 0 && used == len) // nothing needs no unit
        return verdict;
    for (size_t i = 0; i < unit_count; i++) {
        if (!text_is(text + used, len - used, units[i].suffix))
            continue;
        if (__builtin_mul_overflow(*value, units[i].factor, value))
            return VERDICT_LARGE;
        return verdict;
    }
    return VERDICT_INVALID;
}

static enum verdict parse_number(const struct settings_option *option, const char *text, size_t len,
                                 uint64_t *value)
{
    size_t used;
    enum verdict verdict;
    if (option->kind == KIND_COUNT_OR_AUTO && text_is(text, len, "auto")) {
        *value = 0;
        return VERDICT_FINE;
    }
    if (option->kind == KIND_SIZE)
        verdict = parse_scaled(text, len, size_units, COUNT_OF(size_units), value);
    else if (option->kind == KIND_DURATION)
        verdict = parse_scaled(text, len, duration_units, COUNT_OF(duration_units), value);
    else {
        verdict = parse_digits(text, len, value, &used);
        if (used != len)
            verdict = VERDICT_INVALID;
    }
    if (verdict != VERDICT_FINE)
        return verdict;
    if (*value < option->min)
        return VERDICT_SMALL;
    return *value > option->max ? VERDICT_LARGE : VERDICT_FINE;
}

static enum verdict parse_boolean(const char *text, size_t len, bool *value)
{
    *value = text_is(text, len, "true");
    return *value || text_is(text, len, "false") ? VERDICT_FINE : VERDICT_INVALID;
}

static enum verdict parse_word(const struct settings_option *option, const char *text, size_t len,
                               uint32_t *value, char why[static SETTINGS_WHY_SIZE])
{
    const char *at = option->detail;
    const char *word;
    size_t word_len;
    char words[16][32]; // with a NUL each, for nearest_offer
    uint32_t count = 0;
    struct nearest nearest = nearest_to(text, len);
    for (; (word = settings_next_word(&at, &word_len)); count++) {
        assert(count < COUNT_OF(words) && word_len < sizeof words[0]);
        if (word_len == len && memcmp(word, text, len) == 0) {
            *value = count;
            return VERDICT_FINE;
        }
        snprintf(words[count], sizeof words[0], "%.*s", (int)word_len, word);
        nearest_offer(&nearest, words[count]);
    }
    if (!nearest.best)
        return VERDICT_INVALID;
    char quoted[SETTINGS_QUOTE_SIZE];
    char expected[SETTINGS_TEXT_SIZE];
    settings_quote(quoted, text, len);
    settings_expected(option, expected);
    snprintf(why, SETTINGS_WHY_SIZE, "%s is not valid: did you mean %s? Give %.400s", quoted,
             nearest.best, expected);
    return VERDICT_TOLD;
}

static uint16_t default_port(const struct settings_option *option)
{
    uint64_t port;
    size_t used;
    return parse_digits(option->detail, text_len(option->detail), &port, &used) == VERDICT_FINE
               ? (uint16_t)port
               : 0;
}

static enum verdict parse_address(const struct settings_option *option, const char *text,
                                  size_t len, struct address *address)
{
    if (option->kind == KIND_ADDRESS && text_is(text, len, "off")) {
        *address = (struct address){.family = ADDRESS_NONE};
        return VERDICT_FINE;
    }
    return address_parse(address, text, len, default_port(option)) ? VERDICT_FINE : VERDICT_INVALID;
}

// An address that no server can have: the unspecified one and multicast.
static bool is_nobodys(const struct address *address)
{
    static const uint8_t zero[16];
    if (memcmp(address->ip, zero, sizeof zero) == 0)
        return true;
    return address->family == ADDRESS_IPV4 ? address->ip[0] >= 224 : address->ip[0] == 0xff;
}

static enum verdict parse_upstream(const char *text, size_t len, struct endpoint *endpoint,
                                   char why[static SETTINGS_WHY_SIZE])
{
    char quoted[SETTINGS_QUOTE_SIZE];
    enum endpoint_verdict fault = endpoint_parse(endpoint, text, len);
    if (fault == ENDPOINT_NO_ADDRESS)
        return VERDICT_INVALID;
    settings_quote(quoted, text, len);
    if (fault != ENDPOINT_GOOD)
        snprintf(why, SETTINGS_WHY_SIZE, "%s %s", quoted, endpoint_fault(fault));
    else if (endpoint->transport != TRANSPORT_UDP)
        snprintf(
            why, SETTINGS_WHY_SIZE,
            "%s asks for %s: this version asks upstreams over UDP, and over TCP for what is too "
            "long; leave out %s and all that stands behind the address",
            quoted, transport_traits[endpoint->transport].title,
            transport_traits[endpoint->transport].scheme);
    else if (is_nobodys(&endpoint->address))
        snprintf(why, SETTINGS_WHY_SIZE, "%s is no server's address: give the one it answers on",
                 quoted);
    else
        return VERDICT_FINE;
    return VERDICT_TOLD;
}

// If only host bits are wrong, writes what was probably meant.
static bool suggest_prefix(const char *text, size_t len, char why[static SETTINGS_WHY_SIZE])
{
    const char *slash = len ? memchr(text, '/', len) : NULL;
    struct prefix prefix;
    uint64_t length;
    size_t used;
    if (!slash || !prefix_parse(&prefix, text, (size_t)(slash - text)))
        return false;
    size_t length_len = len - (size_t)(slash - text) - 1;
    if (parse_digits(slash + 1, length_len, &length, &used) != VERDICT_FINE || used != length_len ||
        length > prefix.length)
        return false;
    for (size_t octet = 0; octet < sizeof prefix.ip; octet++) {
        size_t kept = length > octet * 8 ? (size_t)length - octet * 8 : 0;
        if (kept < 8)
            prefix.ip[octet] &= (uint8_t)(0xff00 >> kept);
    }
    prefix.length = (uint8_t)length;
    char quoted[SETTINGS_QUOTE_SIZE];
    char meant[ADDRESS_TEXT_MAX];
    settings_quote(quoted, text, len);
    prefix_format(&prefix, meant);
    snprintf(why, SETTINGS_WHY_SIZE, "%s has bits set after its first %u: give %s", quoted,
             (unsigned)length, meant);
    return true;
}

static enum verdict parse_prefix(const char *text, size_t len, struct prefix *prefix,
                                 char why[static SETTINGS_WHY_SIZE])
{
    if (len > 0 && prefix_parse(prefix, text, len))
        return VERDICT_FINE;
    return suggest_prefix(text, len, why) ? VERDICT_TOLD : VERDICT_INVALID;
}

static enum verdict check_path(const char *text, size_t len)
{
    if (len == 0 || len >= sizeof(struct path))
        return VERDICT_INVALID;
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return VERDICT_INVALID;
    }
    return VERDICT_FINE;
}

static enum verdict parse_path(const char *text, size_t len, struct path *path)
{
    memset(path, 0, sizeof *path);
    if (text_is(text, len, "off"))
        return VERDICT_FINE;
    enum verdict verdict = check_path(text, len);
    if (verdict == VERDICT_FINE)
        memcpy(path->text, text, len);
    return verdict;
}

static enum verdict parse_text(const char *text, size_t len, struct short_text *value)
{
    memset(value, 0, sizeof *value);
    if (text_is(text, len, "off"))
        return VERDICT_FINE;
    if (len == 0 || len >= sizeof value->text)
        return VERDICT_INVALID;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < 0x20 || text[i] > 0x7e)
            return VERDICT_INVALID;
    }
    value->len = (uint8_t)len;
    memcpy(value->text, text, len);
    return VERDICT_FINE;
}

static enum verdict check_name(const char *text, size_t len)
{
    struct name name;
    bool good = len > 0 && len < SETTINGS_TEXT_SIZE && name_parse(&name, text, len);
    return good && !memchr(text, '\0', len) ? VERDICT_FINE : VERDICT_INVALID;
}

// Names are as the kernel has them (dev_valid_name): up to 15 octets, without spaces, slashes and
// colons. A mode may follow.
static enum verdict check_interface(const char *text, size_t len)
{
    const char *slash = memchr(text, '/', len);
    size_t mode_at = slash ? (size_t)(slash - text) : len, mode_len = len - mode_at;
    if (slash && !text_is(slash, mode_len, "/driver") && !text_is(slash, mode_len, "/generic"))
        return VERDICT_INVALID;
    len = mode_at;
    bool dots = text_is(text, len, ".") || text_is(text, len, "..");
    if (len == 0 || len > 15 || dots)
        return VERDICT_INVALID;
    for (size_t i = 0; i < len; i++) {
        if (text[i] <= ' ' || text[i] > 0x7e || text[i] == ':')
            return VERDICT_INVALID;
    }
    return VERDICT_FINE;
}

// The text itself is the value; it must be one that settings_format can give back.
static enum verdict parse_record(const char *text, size_t len, char why[static SETTINGS_WHY_SIZE])
{
    struct text_record record;
    char fault[TEXT_WHY_SIZE];
    char quoted[SETTINGS_QUOTE_SIZE];
    settings_quote(quoted, text, len);
    if (len >= SETTINGS_TEXT_SIZE)
        snprintf(why, SETTINGS_WHY_SIZE, "%s is too long: a record has up to %d octets", quoted,
                 SETTINGS_TEXT_SIZE - 1);
    else if (len > 0 && memchr(text, '\0', len))
        snprintf(why, SETTINGS_WHY_SIZE, "%s has a NUL in it: leave it out", quoted);
    else if (!text_record_read(&record, text, len, fault))
        snprintf(why, SETTINGS_WHY_SIZE, "%s is not valid: %s", quoted, fault);
    else
        return VERDICT_FINE;
    return VERDICT_TOLD;
}

static enum verdict parse_kind(const struct settings_option *option, const char *text, size_t len,
                               union settings_value *value, char why[static SETTINGS_WHY_SIZE])
{
    switch ((enum settings_kind)option->kind) {
    case KIND_BOOLEAN:
        return parse_boolean(text, len, &value->boolean);
    case KIND_COUNT:
    case KIND_COUNT_OR_AUTO:
    case KIND_SIZE:
    case KIND_DURATION:
        return parse_number(option, text, len, &value->number);
    case KIND_WORD:
        return parse_word(option, text, len, &value->word, why);
    case KIND_NAME:
        return len > 0 && name_parse(&value->name, text, len) ? VERDICT_FINE : VERDICT_INVALID;
    case KIND_ADDRESS:
    case KIND_ADDRESS_LIST:
        return parse_address(option, text, len, &value->address);
    case KIND_UPSTREAM_LIST:
        return parse_upstream(text, len, &value->endpoint, why);
    case KIND_PREFIX_LIST:
        return parse_prefix(text, len, &value->prefix, why);
    case KIND_PATH:
        return parse_path(text, len, &value->path);
    case KIND_PATH_LIST:
        value->text.bytes = text;
        value->text.len = len;
        return check_path(text, len);
    case KIND_RECORD_LIST:
        value->text.bytes = text;
        value->text.len = len;
        return parse_record(text, len, why);
    case KIND_NAME_LIST:
        value->text.bytes = text;
        value->text.len = len;
        return check_name(text, len);
    case KIND_INTERFACE_LIST:
        value->text.bytes = text;
        value->text.len = len;
        return check_interface(text, len);
    case KIND_PREFIX:
        return parse_prefix(text, len, &value->prefix, why);
    case KIND_TEXT:
        return parse_text(text, len, &value->short_text);
    }
    return VERDICT_INVALID;
}

bool settings_parse(const struct settings_option *option, const char *text, size_t len,
                    union settings_value *value, char why[static SETTINGS_WHY_SIZE])
{
    static const char *const problems[] = {
        [VERDICT_INVALID] = "is not valid",
        [VERDICT_SMALL] = "is too small",
        [VERDICT_LARGE] = "is too large",
    };
    char quoted[SETTINGS_QUOTE_SIZE];
    char expected[SETTINGS_TEXT_SIZE];
    enum verdict verdict = parse_kind(option, text, len, value, why);
    if (verdict == VERDICT_FINE || verdict == VERDICT_TOLD)
        return verdict == VERDICT_FINE;
    settings_quote(quoted, text, len);
    settings_expected(option, expected);
    snprintf(why, SETTINGS_WHY_SIZE, "%s %s: give %.400s", quoted, problems[verdict], expected);
    return false;
}

static bool texts_hold(const struct text_list *list, const union settings_value *value)
{
    for (size_t i = 0; i < list->count; i++)
        if (text_is(value->text.bytes, value->text.len, list->items[i].text))
            return true;
    return false;
}

static size_t interface_name_len(const char *text, size_t len)
{
    const char *slash = memchr(text, '/', len);
    return slash ? (size_t)(slash - text) : len;
}

// The same interface, in whatever mode: it has one program.
static bool interfaces_hold(const struct text_list *list, const union settings_value *value)
{
    size_t len = interface_name_len(value->text.bytes, value->text.len);
    for (size_t i = 0; i < list->count; i++) {
        const char *text = list->items[i].text;
        if (interface_name_len(text, text_len(text)) == len &&
            memcmp(text, value->text.bytes, len) == 0)
            return true;
    }
    return false;
}

// True if the list of this row holds the item. A record that stands twice is one.
static bool list_holds(const struct settings_option *option, const void *base,
                       const union settings_value *value)
{
    if (option->kind == KIND_INTERFACE_LIST)
        return interfaces_hold(settings_field(option, base), value);
    if (settings_is_texts(option))
        return option->kind != KIND_RECORD_LIST && texts_hold(settings_field(option, base), value);
    if (option->kind == KIND_PREFIX_LIST) {
        const struct prefix_list *list = settings_field(option, base);
        for (size_t i = 0; i < list->count; i++)
            if (memcmp(&list->items[i], &value->prefix, sizeof value->prefix) == 0)
                return true;
        return false;
    }
    if (option->kind == KIND_UPSTREAM_LIST) {
        const struct endpoint_list *list = settings_field(option, base);
        for (size_t i = 0; i < list->count; i++)
            if (endpoint_equal(&list->items[i], &value->endpoint))
                return true;
        return false;
    }
    const struct address_list *list = settings_field(option, base);
    for (size_t i = 0; i < list->count; i++)
        if (address_equal(&list->items[i], &value->address))
            return true;
    return false;
}

bool settings_accepts(const struct settings_option *option, const void *base,
                      const union settings_value *value, char why[static SETTINGS_WHY_SIZE])
{
    char text[ENDPOINT_TEXT_MAX];
    if (settings_count(option, base) >= option->max) {
        snprintf(why, SETTINGS_WHY_SIZE, "the list is too long: give %llu at most",
                 (unsigned long long)option->max);
        return false;
    }
    if (!list_holds(option, base, value))
        return true;
    if (option->kind == KIND_PREFIX_LIST)
        prefix_format(&value->prefix, text);
    else if (settings_is_texts(option))
        settings_quote(text, value->text.bytes, value->text.len);
    else if (option->kind == KIND_UPSTREAM_LIST)
        endpoint_format(&value->endpoint, false, text);
    else
        address_format(&value->address, text);
    snprintf(why, SETTINGS_WHY_SIZE, "%s is in the list twice: give it once", text);
    return false;
}

static void init_rows(void *base, bool in_zone)
{
    for (size_t i = 0; i < SETTINGS_ROWS; i++) {
        const struct settings_option *option = &settings_options[i];
        union settings_value value;
        char why[SETTINGS_WHY_SIZE];
        if (option->in_zone != in_zone || settings_is_list(option))
            continue;
        size_t len = text_len(option->fallback);
        bool valid = settings_parse(option, option->fallback, len, &value, why);
        assert(valid); // or options.def has a default that is against its own bounds
        settings_store(option, base, &value);
    }
}

void settings_init(struct settings *settings)
{
    memset(settings, 0, sizeof *settings);
    init_rows(settings, false);
}

void forward_zone_init(struct forward_zone *zone)
{
    memset(zone, 0, sizeof *zone);
    init_rows(zone, true);
}
