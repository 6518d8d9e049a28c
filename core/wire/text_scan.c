// SPDX-License-Identifier: MIT
#include "core/wire/text_scan.h"

#include "core/address.h"

#include <stdarg.h>
#include <stdio.h>

bool scan_fail(struct scan *s, const char *format, ...)
{
    if (s->failed)
        return false;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(s->why, TEXT_WHY_SIZE, format, arguments);
    va_end(arguments);
    s->failed = true;
    return false;
}

struct shown shown_of(struct word word)
{
    struct shown shown;
    size_t len = word.len < SHOWN_SIZE - 1 ? word.len : SHOWN_SIZE - 1;
    for (size_t i = 0; i < len; i++) {
        char c = word.text[i];
        shown.text[i] = c;
        if (c < ' ' || c > '~')
            shown.text[i] = '?';
    }
    for (size_t i = 0; len < word.len && i < 3; i++)
        shown.text[len - 3 + i] = '.';
    shown.text[len] = '\0';
    return shown;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '(' || c == ')';
}

struct word scan_word(struct scan *s)
{
    while (s->at < s->len && is_blank(s->text[s->at]))
        s->at++;
    size_t start = s->at;
    bool quoted = false;
    for (; s->at < s->len; s->at++) {
        char c = s->text[s->at];
        if (!quoted && (is_blank(c) || c == ';'))
            break;
        if (c == '"')
            quoted = !quoted;
        if (c == '\\' && s->at + 1 < s->len)
            s->at++;
    }
    struct word word = {s->text + start, s->at - start};
    if (quoted)
        scan_fail(s, "a quote that begins in %s has no end", shown_of(word).text);
    if (s->at < s->len && s->text[s->at] == ';')
        s->at = s->len;
    return word;
}

static char lower_of(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

bool word_is(struct word word, const char *text)
{
    size_t i = 0;
    while (i < word.len && text[i] != '\0' && lower_of(word.text[i]) == lower_of(text[i]))
        i++;
    return i == word.len && text[i] == '\0';
}

bool word_number(struct word word, uint64_t max, uint64_t *number)
{
    *number = 0;
    for (size_t i = 0; i < word.len; i++) {
        char c = word.text[i];
        if (c < '0' || c > '9')
            return false;
        *number = 10 * *number + (uint64_t)(c - '0');
        if (*number > max)
            return false;
    }
    return word.len > 0;
}

static uint64_t unit_of(char c)
{
    switch (lower_of(c)) {
    case 's':
        return 1;
    case 'm':
        return 60;
    case 'h':
        return 3600;
    case 'd':
        return 86400;
    case 'w':
        return 604800;
    default:
        return 0;
    }
}

bool word_duration(struct word word, uint32_t *seconds)
{
    uint64_t sum = 0, number = 0;
    bool digits = false;
    for (size_t i = 0; i < word.len; i++) {
        char c = word.text[i];
        if (c >= '0' && c <= '9') {
            number = 10 * number + (uint64_t)(c - '0');
            digits = true;
        } else {
            if (!digits || unit_of(c) == 0)
                return false;
            sum += number * unit_of(c);
            number = 0;
            digits = false;
        }
        if (sum > TEXT_TTL_MAX || number > TEXT_TTL_MAX)
            return false;
    }
    sum += number;
    *seconds = (uint32_t)sum;
    return word.len > 0 && sum <= TEXT_TTL_MAX;
}

static int decimal_escape(const char *text, size_t left)
{
    int value = 0;
    if (left < 3)
        return -1;
    for (size_t i = 0; i < 3; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        value = 10 * value + (text[i] - '0');
    }
    return value <= 255 ? value : -1;
}

int word_octets(struct word word, uint8_t *out, size_t size)
{
    size_t count = 0;
    for (size_t i = 0; i < word.len; i++) {
        int octet = (uint8_t)word.text[i];
        if (octet == '"')
            continue;
        if (octet == '\\' && ++i == word.len)
            return -1;
        if (octet == '\\' && word.text[i] >= '0' && word.text[i] <= '9') {
            octet = decimal_escape(word.text + i, word.len - i);
            i += 2;
        } else if (octet == '\\') {
            octet = (uint8_t)word.text[i];
        }
        if (octet < 0 || count == size)
            return -1;
        out[count++] = (uint8_t)octet;
    }
    return (int)count;
}

bool scan_number(struct scan *s, unsigned octets, const char *what)
{
    uint64_t max = ((uint64_t)1 << 8 * octets) - 1, number;
    struct word word = scan_word(s);
    if (word.len == 0)
        return scan_fail(s, "the %s is missing", what);
    if (!word_number(word, max, &number))
        return scan_fail(s, "the %s is a number from 0 to %llu, not %s", what,
                         (unsigned long long)max, shown_of(word).text);
    for (unsigned i = octets; i-- > 0;)
        write_u8(&s->data, (uint8_t)(number >> 8 * i));
    return true;
}

bool scan_name(struct scan *s, const char *what)
{
    struct word word = scan_word(s);
    struct name name;
    if (word.len == 0)
        return scan_fail(s, "the %s is missing", what);
    if (!name_parse(&name, word.text, word.len) || word_is(word, "@"))
        return scan_fail(s, "the %s is a domain name, which %s is not", what, shown_of(word).text);
    write_bytes(&s->data, name.bytes, name.len);
    return true;
}

bool scan_string(struct scan *s, const char *what)
{
    struct word word = scan_word(s);
    uint8_t octets[255];
    if (word.len == 0)
        return scan_fail(s, "the %s is missing", what);
    int len = word_octets(word, octets, sizeof octets);
    if (len < 0)
        return scan_fail(s, "the %s %s is longer than 255 octets, or has a bad escape", what,
                         shown_of(word).text);
    write_u8(&s->data, (uint8_t)len);
    write_bytes(&s->data, octets, (size_t)len);
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = lower_of(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool scan_hex(struct scan *s, size_t least, const char *what)
{
    size_t digits = 0;
    unsigned octet = 0;
    for (struct word word = scan_word(s); word.len > 0; word = scan_word(s)) {
        for (size_t i = 0; i < word.len; i++) {
            int digit = hex_digit(word.text[i]);
            if (digit < 0)
                return scan_fail(s, "the %s is hexadecimal, which %s is not", what,
                                 shown_of(word).text);
            octet = octet << 4 | (unsigned)digit;
            if (++digits % 2 == 0)
                write_u8(&s->data, (uint8_t)octet);
        }
    }
    if (digits % 2 != 0)
        return scan_fail(s, "the %s has an odd number of hexadecimal digits", what);
    if (digits / 2 < least)
        return scan_fail(s, "the %s is missing", what);
    return true;
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int base64_read(struct word word, uint8_t *out, size_t size)
{
    size_t padding = 0, count = 0;
    uint32_t bits = 0;
    while (padding < 2 && padding < word.len && word.text[word.len - 1 - padding] == '=')
        padding++;
    if (word.len == 0 || word.len % 4 != 0)
        return -1;
    for (size_t i = 0; i < word.len - padding; i++) {
        int digit = base64_digit(word.text[i]);
        if (digit < 0)
            return -1;
        bits = bits << 6 | (uint32_t)digit;
        if (i % 4 == 0)
            continue;
        if (count == size)
            return -1;
        out[count++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
    }
    return (int)count;
}

static bool ip_read(struct word word, uint8_t *out, uint8_t family, size_t len)
{
    struct prefix prefix;
    if (word.len == 0 || memchr(word.text, '/', word.len) ||
        !prefix_parse(&prefix, word.text, word.len) || prefix.family != family)
        return false;
    memcpy(out, prefix.ip, len);
    return true;
}

bool ipv4_read(struct word word, uint8_t *out)
{
    return ip_read(word, out, ADDRESS_IPV4, 4);
}

bool ipv6_read(struct word word, uint8_t *out)
{
    return ip_read(word, out, ADDRESS_IPV6, 16);
}
