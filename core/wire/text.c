// SPDX-License-Identifier: MIT
#include "core/wire/text.h"

#include "core/wire/text_scan.h"

#include <stdio.h>

// A type is a name, a number and the form of its data: a letter for each field, with the fields'
// names next to it. The same letters read text (field_read) and check octets (data_whole), so that
// what comes in as \# is no less right.
//
//   a A   an IPv4, IPv6 address          s   a character string
//   n     a name                         S   one character string or more, to the end
//   1 2 4 so many octets of a number     t   seconds, with units or without
//   h     hexadecimal, to the end        g   a tag of letters and digits (CAA)
//   q     the octets of one string, to the end
//   v     parameters of SVCB, to the end

struct text_type {
    const char *name;
    const char *form;
    const char *fields; // each with a '/' behind it
    uint16_t number;
};

static const struct text_type types[] = {
    {"A", "a", "IPv4 address/", 1},
    {"NS", "n", "server/", 2},
    {"CNAME", "n", "target/", 5},
    {"SOA", "nn4tttt", "primary server/mailbox/serial/refresh/retry/expire/minimum/", 6},
    {"PTR", "n", "target/", 12},
    {"HINFO", "ss", "machine/system/", 13},
    {"MX", "2n", "preference/exchange/", 15},
    {"TXT", "S", "text/", 16},
    {"AAAA", "A", "IPv6 address/", 28},
    {"SRV", "222n", "priority/weight/port/target/", 33},
    {"NAPTR", "22sssn", "order/preference/flags/service/expression/replacement/", 35},
    {"DS", "211h", "key tag/algorithm/digest type/digest/", 43},
    {"SSHFP", "11h", "algorithm/fingerprint type/fingerprint/", 44},
    {"TLSA", "111h", "usage/selector/matching type/data/", 52},
    {"SVCB", "2nv", "priority/target/parameters/", 64},
    {"HTTPS", "2nv", "priority/target/parameters/", 65},
    {"CAA", "1gq", "flags/tag/value/", 257},
};

static const struct text_type *type_of(uint16_t number)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (types[i].number == number)
            return &types[i];
    }
    return NULL;
}

// Types that exist in questions or messages alone (RFC 6895 3.1).
static bool is_data_type(uint64_t type)
{
    return type > 0 && type <= UINT16_MAX && type != TYPE_OPT && (type < 128 || type > 255);
}

uint16_t text_type_read(const char *text, size_t len)
{
    struct word word = {text, len};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (word_is(word, types[i].name))
            return types[i].number;
    }
    uint64_t number;
    if (len <= 4 || !word_is((struct word){text, 4}, "TYPE") ||
        !word_number((struct word){text + 4, len - 4}, UINT16_MAX, &number) ||
        !is_data_type(number))
        return 0;
    return (uint16_t)number;
}

size_t text_type_write(uint16_t type, char text[static TEXT_TYPE_SIZE])
{
    const struct text_type *known = type_of(type);
    if (known)
        return (size_t)snprintf(text, TEXT_TYPE_SIZE, "%s", known->name);
    return (size_t)snprintf(text, TEXT_TYPE_SIZE, "TYPE%u", type);
}

const char *text_rcode(uint16_t rcode)
{
    static const char *const texts[] = {
        "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP",  "REFUSED", "YXDOMAIN", "YXRRSET",
        "NXRRSET", "NOTAUTH", "NOTZONE",  "RCODE11",  "RCODE12", "RCODE13", "RCODE14",  "RCODE15",
        "BADVERS", "RCODE17", "RCODE18",  "RCODE19",  "RCODE20", "RCODE21", "RCODE22",  "BADCOOKIE",
    };
    return rcode < sizeof texts / sizeof *texts ? texts[rcode] : "another RCODE";
}

static bool scan_address(struct scan *s, bool ipv6)
{
    struct word word = scan_word(s);
    uint8_t ip[16];
    if (word.len == 0)
        return scan_fail(s, "the IPv%c address is missing", ipv6 ? '6' : '4');
    if (!(ipv6 ? ipv6_read(word, ip) : ipv4_read(word, ip)))
        return scan_fail(s, "%s is no IPv%c address", shown_of(word).text, ipv6 ? '6' : '4');
    write_bytes(&s->data, ip, ipv6 ? 16 : 4);
    return true;
}

static bool scan_seconds(struct scan *s, const char *what)
{
    struct word word = scan_word(s);
    uint32_t seconds;
    if (word.len == 0)
        return scan_fail(s, "the %s is missing", what);
    if (!word_duration(word, &seconds))
        return scan_fail(s, "the %s is a number of seconds, not %s", what, shown_of(word).text);
    write_u32(&s->data, seconds);
    return true;
}

static bool is_tag(const uint8_t *octets, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        uint8_t c = octets[i];
        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')))
            return false;
    }
    return len > 0;
}

static bool scan_tag(struct scan *s, const char *what)
{
    size_t at = s->data.at;
    if (!scan_string(s, what) || s->data.failed)
        return false;
    if (is_tag(s->data.bytes + at + 1, s->data.bytes[at]))
        return true;
    return scan_fail(s, "the %s has letters and digits only", what); // RFC 8659 4.1
}

static bool scan_strings(struct scan *s, const char *what)
{
    size_t at;
    scan_string(s, what);
    do {
        at = s->at;
        if (scan_word(s).len == 0)
            return !s->failed;
        s->at = at;
    } while (!s->failed && scan_string(s, what));
    return false;
}

static bool scan_octets(struct scan *s, const char *what)
{
    struct word word = scan_word(s);
    uint8_t octets[TEXT_DATA_MAX];
    if (word.len == 0)
        return scan_fail(s, "the %s is missing", what);
    int len = word_octets(word, octets, sizeof octets);
    if (len < 0)
        return scan_fail(s, "the %s %s is too long or has a bad escape", what, shown_of(word).text);
    write_bytes(&s->data, octets, (size_t)len);
    return true;
}

static bool field_read(struct scan *s, char letter, const char *what)
{
    switch (letter) {
    case 'a':
    case 'A':
        return scan_address(s, letter == 'A');
    case 'n':
        return scan_name(s, what);
    case 't':
        return scan_seconds(s, what);
    case 's':
        return scan_string(s, what);
    case 'S':
        return scan_strings(s, what);
    case 'g':
        return scan_tag(s, what);
    case 'q':
        return scan_octets(s, what);
    case 'h':
        return scan_hex(s, 1, what);
    case 'v':
        return scan_parameters(s, load_be16(s->data.bytes) == 0);
    default:
        return scan_number(s, (unsigned)(letter - '0'), what);
    }
}

static bool fields_read(struct scan *s, const struct text_type *type)
{
    const char *fields = type->fields;
    for (const char *letter = type->form; *letter != '\0'; letter++) {
        char what[32];
        size_t len = 0;
        while (fields[len] != '/' && len < sizeof what - 1)
            len++;
        memcpy(what, fields, len);
        what[len] = '\0';
        fields += len + 1;
        if (!field_read(s, *letter, what))
            return false;
    }
    struct word more = scan_word(s);
    if (more.len > 0)
        return scan_fail(s, "%s has nothing to say behind the data of %s", shown_of(more).text,
                         type->name);
    return !s->failed;
}

// Is one field of these octets whole? Steps over it.
static bool field_whole(struct reader *r, char letter)
{
    size_t len;
    switch (letter) {
    case 'a':
        return read_bytes(r, 4);
    case 'A':
        return read_bytes(r, 16);
    case 'n':
        len = name_length(r->bytes + r->at, r->len - r->at);
        return len > 0 && read_bytes(r, len);
    case 't':
        return read_bytes(r, 4);
    case 's':
    case 'g':
        len = read_u8(r);
        return read_bytes(r, len);
    case 'S':
        do {
            len = read_u8(r);
            read_bytes(r, len);
        } while (!r->failed && r->at < r->len);
        return !r->failed;
    case 'h':
    case 'q':
    case 'v':
        return read_bytes(r, r->len - r->at);
    default:
        return read_bytes(r, (size_t)(letter - '0'));
    }
}

static bool data_whole(const struct text_type *type, const uint8_t *data, size_t len)
{
    struct reader r = reader_over(data, len);
    for (const char *letter = type->form; *letter != '\0'; letter++) {
        if (!field_whole(&r, *letter))
            return false;
    }
    return r.at == r.len;
}

// \# length hexadecimal (RFC 3597 5).
static bool generic_read(struct scan *s, const struct text_type *type)
{
    struct word word = scan_word(s);
    uint64_t len;
    if (!word_number(word, UINT16_MAX, &len))
        return scan_fail(s, "behind \\# stands the number of octets, not %s",
                         word.len ? shown_of(word).text : "nothing");
    if (!scan_hex(s, 0, "data"))
        return false;
    if (!s->data.failed && s->data.at != len)
        return scan_fail(s, "the data has %zu octets, not %llu as it says", s->data.at,
                         (unsigned long long)len);
    if (type && !s->data.failed && !data_whole(type, s->data.bytes, s->data.at))
        return scan_fail(s, "these octets are no data of type %s", type->name);
    return true;
}

static bool data_read(struct scan *s, uint16_t number)
{
    const struct text_type *type = type_of(number);
    size_t at = s->at;
    if (word_is(scan_word(s), "\\#"))
        return generic_read(s, type);
    s->at = at;
    if (!type)
        return scan_fail(s, "the data of TYPE%u is written as \\# LENGTH HEXADECIMAL", number);
    return fields_read(s, type);
}

// Owner, TTL and class; ends before the type.
static bool head_read(struct scan *s, struct text_record *record)
{
    struct word word = scan_word(s);
    if (word.len == 0)
        return scan_fail(s, "there is no record: give \"owner TTL type data\"");
    if (word_is(word, "@") || word.text[0] == '$')
        return scan_fail(s, "%s is for zone files only: write the name out", shown_of(word).text);
    if (word.text[0] == '*' && (word.len == 1 || word.text[1] == '.'))
        return scan_fail(s, "%s is a wildcard, which local records cannot be: name each name",
                         shown_of(word).text);
    if (!name_parse(&record->owner, word.text, word.len))
        return scan_fail(s, "the owner %s is no domain name", shown_of(word).text);
    bool ttl = false, class = false;
    for (;;) {
        size_t at = s->at;
        word = scan_word(s);
        bool digit = word.len > 0 && word.text[0] >= '0' && word.text[0] <= '9';
        if (digit && !word_duration(word, &record->ttl))
            return scan_fail(s, "the TTL is a number of seconds up to %d, not %s", TEXT_TTL_MAX,
                             shown_of(word).text);
        bool is_class = word_is(word, "IN") || word_is(word, "CLASS1");
        if (word_is(word, "CH") || word_is(word, "HS") || word_is(word, "CLASS3") ||
            word_is(word, "CLASS4"))
            return scan_fail(s, "only records of class IN are served, not %s", shown_of(word).text);
        if ((digit && ttl) || (is_class && class))
            return scan_fail(s, "a second %s, %s, stands before the type", digit ? "TTL" : "class",
                             shown_of(word).text);
        if (!digit && !is_class) {
            s->at = at;
            return !s->failed;
        }
        ttl |= digit;
        class |= is_class;
    }
}

bool text_record_read(struct text_record *record, const char *text, size_t len,
                      char why[static TEXT_WHY_SIZE])
{
    struct scan s = {
        .text = text,
        .len = len,
        .why = why,
        .data = writer_over(record->data, sizeof record->data),
    };
    record->ttl = TEXT_TTL;
    if (!head_read(&s, record))
        return false;
    struct word word = scan_word(&s);
    if (word.len == 0)
        return scan_fail(&s, "the type is missing");
    record->type = text_type_read(word.text, word.len);
    if (record->type == 0)
        return scan_fail(&s, "%s is no type that is known here: write it as TYPE and its number",
                         shown_of(word).text);
    if (!data_read(&s, record->type))
        return false;
    if (s.data.failed)
        return scan_fail(&s, "the data is longer than %d octets", TEXT_DATA_MAX);
    record->data_len = (uint16_t)s.data.at;
    return !s.failed;
}
