// SPDX-License-Identifier: MIT
#include "core/settings/settings.h"

#include "core/wire/text.h"

#include <assert.h>
#include <stdio.h>

// What holds here:
// - A row's field has the type that KIND_TYPE_... gives its kind, so a base, an offset and the kind
//   are enough to reach it.
// - A default is text that settings_parse accepts; a unit test proves it for every row.
// - Text from outside is never printed as it came: settings_quote makes it harmless first.

#define KIB(n)          ((uint64_t)(n) << 10)
#define MIB(n)          ((uint64_t)(n) << 20)
#define GIB(n)          ((uint64_t)(n) << 30)
#define SECONDS(n)      ((uint64_t)(n)*1000)
#define MILLISECONDS(n) ((uint64_t)(n))
#define HOURS(n)        ((uint64_t)(n)*3600 * 1000)
#define DAYS(n)         ((uint64_t)(n)*24 * 3600 * 1000)

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

enum verdict {
    VERDICT_FINE,
    VERDICT_INVALID,
    VERDICT_SMALL,
    VERDICT_LARGE,
    VERDICT_TOLD, // `why` is written already
};

struct unit {
    const char *suffix;
    uint64_t factor;
};

// The largest first, as formatting wants it. The last one is what a bare number counts.
static const struct unit size_units[] = {
    {"G", GIB(1)},
    {"M", MIB(1)},
    {"K", KIB(1)},
    {"", 1},
};
static const struct unit duration_units[] = {
    {"d", DAYS(1)}, {"h", HOURS(1)}, {"m", SECONDS(60)}, {"s", SECONDS(1)}, {"ms", 1},
};

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])
#define TEXT_MAX        4096 // no text of the tables is longer

// The bound keeps compilers from making this a call of strlen, which core does without.
static size_t text_len(const char *text)
{
    size_t len = 0;
    while (len < TEXT_MAX && text[len] != '\0')
        len++;
    return len;
}

// Of a snprintf that formats nothing compilers would make a call of strcpy.
static size_t put_text(char *text, const char *word)
{
    size_t len = text_len(word);
    memcpy(text, word, len + 1);
    return len;
}

static bool text_is(const char *text, size_t len, const char *word)
{
    return text_len(word) == len && memcmp(text, word, len) == 0;
}

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

#define NEAR_LEN_MAX 63

// How many octets must be put in, left out, changed or swapped with their neighbour to get from
// one word to the other (the "optimal string alignment" distance). Only three rows are kept.
static size_t word_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    uint8_t rows[3][NEAR_LEN_MAX + 1];
    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = (uint8_t)j;
    for (size_t i = 1; i <= a_len; i++) {
        uint8_t *row = rows[i % 3];
        const uint8_t *above = rows[(i + 2) % 3];
        const uint8_t *above2 = rows[(i + 1) % 3];
        row[0] = (uint8_t)i;
        for (size_t j = 1; j <= b_len; j++) {
            unsigned best = above[j - 1] + (a[i - 1] != b[j - 1]);
            if (above[j] + 1u < best)
                best = above[j] + 1u;
            if (row[j - 1] + 1u < best)
                best = row[j - 1] + 1u;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                above2[j - 2] + 1u < best)
                best = above2[j - 2] + 1u;
            row[j] = (uint8_t)best;
        }
    }
    return rows[a_len % 3][b_len];
}

struct nearest nearest_to(const char *text, size_t len)
{
    // One slip in four letters; two words that share less are two words.
    return (struct nearest){.text = text, .len = len, .distance = len / 4 + 2};
}

void nearest_offer(struct nearest *nearest, const char *candidate)
{
    size_t len = text_len(candidate);
    if (nearest->len == 0 || nearest->len > NEAR_LEN_MAX || len > NEAR_LEN_MAX)
        return;
    size_t distance = word_distance(nearest->text, nearest->len, candidate, len);
    if (distance < nearest->distance && distance < len) {
        nearest->distance = distance;
        nearest->best = candidate;
    }
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

static bool starts_with(const char *text, size_t len, const char *start)
{
    size_t start_len = text_len(start);
    return len >= start_len && memcmp(text, start, start_len) == 0;
}

static enum verdict parse_upstream(const struct settings_option *option, const char *text,
                                   size_t len, struct address *address,
                                   char why[static SETTINGS_WHY_SIZE])
{
    static const char *const later[] = {"tcp://", "tls://"};
    char quoted[SETTINGS_QUOTE_SIZE];
    settings_quote(quoted, text, len);
    for (size_t i = 0; i < COUNT_OF(later); i++) {
        if (!starts_with(text, len, later[i]))
            continue;
        snprintf(why, SETTINGS_WHY_SIZE,
                 "%s asks for %s: this version forwards over UDP only; leave out %s", quoted,
                 i == 0 ? "TCP" : "TLS", later[i]);
        return VERDICT_TOLD;
    }
    if (starts_with(text, len, "udp://")) {
        text += 6;
        len -= 6;
    }
    if (len > 0 && memchr(text, '#', len)) {
        snprintf(why, SETTINGS_WHY_SIZE,
                 "%s names a server for TLS: this version forwards over UDP only; leave out # and "
                 "the name",
                 quoted);
        return VERDICT_TOLD;
    }
    enum verdict verdict = parse_address(option, text, len, address);
    if (verdict != VERDICT_FINE || !is_nobodys(address))
        return verdict;
    snprintf(why, SETTINGS_WHY_SIZE, "%s is no server's address: give the one it answers on",
             quoted);
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
        return parse_upstream(option, text, len, &value->address, why);
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

static void *field_of(const struct settings_option *option, void *base)
{
    return (uint8_t *)base + option->offset;
}

static const void *const_field_of(const struct settings_option *option, const void *base)
{
    return (const uint8_t *)base + option->offset;
}

bool settings_is_list(const struct settings_option *option)
{
    return option->kind == KIND_ADDRESS_LIST || option->kind == KIND_UPSTREAM_LIST ||
           option->kind == KIND_PREFIX_LIST || settings_is_texts(option);
}

bool settings_is_texts(const struct settings_option *option)
{
    return option->kind == KIND_PATH_LIST || option->kind == KIND_RECORD_LIST ||
           option->kind == KIND_NAME_LIST;
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
    const void *field = const_field_of(option, base);
    if (option->kind == KIND_PREFIX_LIST)
        return ((const struct prefix_list *)field)->count;
    if (settings_is_texts(option))
        return ((const struct text_list *)field)->count;
    return settings_is_list(option) ? ((const struct address_list *)field)->count : 1;
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
    const void *field = const_field_of(option, base);
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
    case KIND_UPSTREAM_LIST:
        return address_format(&((const struct address_list *)field)->items[index], text);
    case KIND_PREFIX_LIST:
        return prefix_format(&((const struct prefix_list *)field)->items[index], text);
    case KIND_PREFIX:
        return prefix_format(field, text);
    case KIND_PATH_LIST:
    case KIND_RECORD_LIST:
    case KIND_NAME_LIST:
        return put_text(text, ((const struct text_list *)field)->items[index].text);
    default:
        format_number(option->kind, *(const uint64_t *)field, text);
        return text_len(text);
    }
}

static bool texts_hold(const struct text_list *list, const union settings_value *value)
{
    for (size_t i = 0; i < list->count; i++)
        if (text_is(value->text.bytes, value->text.len, list->items[i].text))
            return true;
    return false;
}

// True if the list of this row holds the item. A record that stands twice is one.
static bool list_holds(const struct settings_option *option, const void *base,
                       const union settings_value *value)
{
    if (settings_is_texts(option))
        return option->kind != KIND_RECORD_LIST && texts_hold(const_field_of(option, base), value);
    if (option->kind == KIND_PREFIX_LIST) {
        const struct prefix_list *list = const_field_of(option, base);
        for (size_t i = 0; i < list->count; i++)
            if (memcmp(&list->items[i], &value->prefix, sizeof value->prefix) == 0)
                return true;
        return false;
    }
    const struct address_list *list = const_field_of(option, base);
    for (size_t i = 0; i < list->count; i++)
        if (address_equal(&list->items[i], &value->address))
            return true;
    return false;
}

bool settings_accepts(const struct settings_option *option, const void *base,
                      const union settings_value *value, char why[static SETTINGS_WHY_SIZE])
{
    char text[SETTINGS_QUOTE_SIZE];
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
    else
        address_format(&value->address, text);
    snprintf(why, SETTINGS_WHY_SIZE, "%s is in the list twice: give it once", text);
    return false;
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
