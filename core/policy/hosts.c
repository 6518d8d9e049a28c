// SPDX-License-Identifier: MIT
#include "core/policy/hosts.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

// The next word; false: the line or its comment begins.
static bool word_next(struct hosts_reading *r, const char **word, size_t *len)
{
    while (r->at < r->len && is_blank(r->text[r->at]))
        r->at++;
    size_t start = r->at;
    while (r->at < r->len && !is_blank(r->text[r->at]) && r->text[r->at] != '#')
        r->at++;
    *word = r->text + start;
    *len = r->at - start;
    if (r->at < r->len && r->text[r->at] == '#')
        r->at = r->len;
    return *len > 0;
}

enum hosts_line hosts_line_read(struct hosts_reading *r, const char *line, size_t len)
{
    const char *word;
    size_t word_len;
    *r = (struct hosts_reading){.text = line, .len = len};
    if (len > HOSTS_LINE_MAX) {
        r->why = "the line is too long";
        return HOSTS_LINE_BAD;
    }
    if (!word_next(r, &word, &word_len))
        return HOSTS_LINE_EMPTY;
    if (memchr(word, '/', word_len) || !prefix_parse(&r->address, word, word_len)) {
        r->why = "not an IP address";
        return HOSTS_LINE_BAD;
    }
    size_t at = r->at;
    if (!word_next(r, &word, &word_len)) {
        r->why = "an address without a name";
        return HOSTS_LINE_BAD;
    }
    r->at = at;
    return HOSTS_LINE_TAKEN;
}

enum hosts_line hosts_name_next(struct hosts_reading *r, struct name *name)
{
    const char *word;
    size_t len;
    if (!word_next(r, &word, &len))
        return HOSTS_LINE_EMPTY;
    if (!name_parse(name, word, len) || name->len == 1) {
        r->why = "not a domain name";
        return HOSTS_LINE_BAD;
    }
    name_lower(name->bytes, name->bytes, name->len);
    return HOSTS_LINE_TAKEN;
}

static void label_add(struct name *name, const char *label, size_t len)
{
    name->bytes[name->len++] = (uint8_t)len;
    memcpy(name->bytes + name->len, label, len);
    name->len = (uint8_t)(name->len + len);
}

static void octet_add(struct name *name, uint8_t octet)
{
    char digits[3];
    size_t len = 0;
    if (octet >= 100)
        digits[len++] = (char)('0' + octet / 100);
    if (octet >= 10)
        digits[len++] = (char)('0' + octet / 10 % 10);
    digits[len++] = (char)('0' + octet % 10);
    label_add(name, digits, len);
}

void reverse_name(struct name *name, const struct prefix *address)
{
    static const char hex[] = "0123456789abcdef";
    bool ipv4 = address->family == ADDRESS_IPV4;
    name->len = 0;
    for (size_t i = ipv4 ? 4 : 16; i-- > 0;) {
        if (ipv4) {
            octet_add(name, address->ip[i]);
            continue;
        }
        label_add(name, &hex[address->ip[i] & 15], 1);
        label_add(name, &hex[address->ip[i] >> 4], 1);
    }
    label_add(name, ipv4 ? "in-addr" : "ip6", ipv4 ? 7 : 3);
    label_add(name, "arpa", 4);
    name->bytes[name->len++] = 0;
}
