// SPDX-License-Identifier: MIT
#include "core/address.h"

#include <stdio.h>

// Text is read by position and length, never past `len`, and nothing is guessed: a leading zero
// in a decimal number is refused because other programs read it as octal. The IPv6 forms are
// those of RFC 4291 2.2; what is written follows RFC 5952.

#define GAP_NONE SIZE_MAX

static bool parse_decimal(uint32_t *value, const char *text, size_t len, uint32_t max)
{
    uint64_t sum = 0;
    if (len == 0 || len > 10 || (text[0] == '0' && len > 1))
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        sum = sum * 10 + (uint64_t)(text[i] - '0');
    }
    *value = (uint32_t)sum;
    return sum <= max;
}

static bool parse_port(uint16_t *port, const char *text, size_t len)
{
    uint32_t value;
    if (!parse_decimal(&value, text, len, UINT16_MAX) || value == 0)
        return false;
    *port = (uint16_t)value;
    return true;
}

static bool parse_ipv4(uint8_t ip[static 4], const char *text, size_t len)
{
    for (size_t octet = 0; octet < 4; octet++) {
        const char *dot = octet < 3 ? memchr(text, '.', len) : text + len;
        uint32_t value;
        if (!dot || !parse_decimal(&value, text, (size_t)(dot - text), UINT8_MAX))
            return false;
        ip[octet] = (uint8_t)value;
        if (octet < 3) {
            len -= (size_t)(dot - text) + 1;
            text = dot + 1;
        }
    }
    return true;
}

static bool parse_group(uint8_t ip[static 2], const char *text, size_t len)
{
    uint32_t sum = 0;
    if (len == 0 || len > 4)
        return false;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = (uint8_t)text[i];
        uint8_t letter = c | 0x20;
        if (c >= '0' && c <= '9')
            sum = sum << 4 | (uint32_t)(c - '0');
        else if (letter >= 'a' && letter <= 'f')
            sum = sum << 4 | (uint32_t)(letter - 'a' + 10);
        else
            return false;
    }
    ip[0] = (uint8_t)(sum >> 8);
    ip[1] = (uint8_t)sum;
    return true;
}

// Moves what was read after "::" to the end and fills the gap with zeros.
static bool close_gap(uint8_t ip[static 16], size_t at, size_t gap)
{
    if (gap == GAP_NONE)
        return at == 16;
    if (at > 14) // "::" stands for one group or more
        return false;
    memmove(ip + 16 - (at - gap), ip + gap, at - gap);
    memset(ip + gap, 0, 16 - at);
    return true;
}

static bool parse_ipv6(uint8_t ip[static 16], const char *text, size_t len)
{
    size_t at = 0;         // octets read into ip
    size_t gap = GAP_NONE; // where "::" stood, in octets
    size_t i = 0;          // always the start of a group
    if (len >= 2 && text[0] == ':' && text[1] == ':') {
        gap = 0;
        i = 2;
    }
    while (i < len) {
        const char *colon = memchr(text + i, ':', len - i);
        size_t end = colon ? (size_t)(colon - text) : len;
        if (!colon && memchr(text + i, '.', len - i)) {
            if (at > 12 || !parse_ipv4(ip + at, text + i, len - i))
                return false;
            at += 4;
            break;
        }
        if (at > 14 || !parse_group(ip + at, text + i, end - i))
            return false;
        at += 2;
        if (!colon)
            break;
        i = end + 1;
        if (i == len) // one colon at the end
            return false;
        if (text[i] == ':') {
            if (gap != GAP_NONE)
                return false;
            gap = at;
            i++;
        }
    }
    return close_gap(ip, at, gap);
}

static bool is_link_local(const uint8_t ip[static 16])
{
    return ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80;
}

// An IPv6 address with an optional %scope.
static bool parse_scoped(struct address *address, const char *text, size_t len)
{
    const char *percent = memchr(text, '%', len);
    size_t ip_len = percent ? (size_t)(percent - text) : len;
    address->family = ADDRESS_IPV6;
    if (!parse_ipv6(address->ip, text, ip_len))
        return false;
    if (!percent)
        return true;
    // A scope only has a meaning on a link, and interface 0 does not exist.
    return is_link_local(address->ip) &&
           parse_decimal(&address->scope, percent + 1, len - ip_len - 1, UINT32_MAX) &&
           address->scope != 0;
}

static bool parse_bracketed(struct address *address, const char *text, size_t len)
{
    const char *close = memchr(text, ']', len);
    if (!close)
        return false;
    size_t inside = (size_t)(close - text) - 1;
    if (!parse_scoped(address, text + 1, inside))
        return false;
    size_t rest = len - inside - 2;
    if (rest == 0)
        return true;
    return close[1] == ':' && parse_port(&address->port, close + 2, rest - 1);
}

static bool parse_bare(struct address *address, const char *text, size_t len)
{
    const char *at_sign = memchr(text, '@', len);
    size_t ip_len = at_sign ? (size_t)(at_sign - text) : len;
    const char *colon = memchr(text, ':', ip_len);
    bool second = colon && memchr(colon + 1, ':', ip_len - (size_t)(colon - text) - 1);
    if (at_sign && !parse_port(&address->port, at_sign + 1, len - ip_len - 1))
        return false;
    if (second)
        return parse_scoped(address, text, ip_len);
    if (colon) {
        size_t port_len = ip_len - (size_t)(colon - text) - 1;
        ip_len = (size_t)(colon - text);
        if (at_sign || !parse_port(&address->port, colon + 1, port_len))
            return false;
    }
    address->family = ADDRESS_IPV4;
    return parse_ipv4(address->ip, text, ip_len);
}

bool address_parse(struct address *address, const char *text, size_t len, uint16_t port_default)
{
    struct address a = {.port = port_default};
    if (len == 0 || len >= ADDRESS_TEXT_MAX)
        return false;
    if (!(text[0] == '[' ? parse_bracketed(&a, text, len) : parse_bare(&a, text, len)))
        return false;
    *address = a;
    return true;
}

static size_t format_ipv4(char *text, size_t size, const char *lead, const uint8_t *ip)
{
    return (size_t)snprintf(text, size, "%s%u.%u.%u.%u", lead, ip[0], ip[1], ip[2], ip[3]);
}

static uint16_t group_at(const uint8_t *ip, size_t group)
{
    return (uint16_t)(ip[2 * group] << 8 | ip[2 * group + 1]);
}

// Finds the longest run of zero groups, the first of equal ones (RFC 5952 4.2.3). A single zero
// group is written out (4.2.2), so a run has two at least or count 0.
static size_t longest_zeros(const uint8_t *ip, size_t *count)
{
    size_t best = 0;
    size_t run = 0;
    *count = 0;
    for (size_t group = 0; group < 8; group++) {
        run = group_at(ip, group) == 0 ? run + 1 : 0;
        if (run > *count && run > 1) {
            *count = run;
            best = group + 1 - run;
        }
    }
    return best;
}

static size_t format_ipv6(char *text, size_t size, const uint8_t *ip)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    size_t len = 0;
    if (memcmp(ip, mapped, sizeof mapped) == 0) // RFC 5952 5
        return format_ipv4(text, size, "::ffff:", ip + 12);
    size_t zeros;
    size_t gap = longest_zeros(ip, &zeros);
    for (size_t group = 0; group < 8; group++) {
        if (zeros && group == gap) {
            text[len++] = ':';
            text[len++] = ':';
            group += zeros - 1;
            continue;
        }
        const char *colon = group > 0 && !(zeros && group == gap + zeros) ? ":" : "";
        len += (size_t)snprintf(text + len, size - len, "%s%x", colon, group_at(ip, group));
    }
    return len;
}

size_t address_format(const struct address *address, char text[static ADDRESS_TEXT_MAX])
{
    size_t size = ADDRESS_TEXT_MAX;
    size_t len = 0;
    bool brackets = address->family == ADDRESS_IPV6 && address->port != 0;
    text[0] = '\0';
    if (address->family == ADDRESS_NONE)
        return 0;
    if (brackets)
        text[len++] = '[';
    if (address->family == ADDRESS_IPV4)
        len += format_ipv4(text + len, size - len, "", address->ip);
    else
        len += format_ipv6(text + len, size - len, address->ip);
    if (address->scope != 0)
        len += (size_t)snprintf(text + len, size - len, "%%%u", address->scope);
    if (brackets)
        text[len++] = ']';
    if (address->port != 0)
        len += (size_t)snprintf(text + len, size - len, ":%u", address->port);
    text[len] = '\0';
    return len;
}

static bool has_host_bits(const uint8_t *ip, size_t ip_size, uint32_t length)
{
    for (size_t octet = length / 8; octet < ip_size; octet++) {
        unsigned kept = octet == length / 8 ? length % 8 : 0;
        if (ip[octet] & (0xff >> kept))
            return true;
    }
    return false;
}

bool prefix_parse(struct prefix *prefix, const char *text, size_t len)
{
    struct prefix p = {.family = ADDRESS_IPV4};
    const char *slash = memchr(text, '/', len);
    size_t ip_len = slash ? (size_t)(slash - text) : len;
    bool colon = memchr(text, ':', ip_len);
    if (colon)
        p.family = ADDRESS_IPV6;
    if (!(colon ? parse_ipv6(p.ip, text, ip_len) : parse_ipv4(p.ip, text, ip_len)))
        return false;
    size_t ip_size = colon ? 16 : 4;
    uint32_t length = (uint32_t)ip_size * 8;
    if (slash && !parse_decimal(&length, slash + 1, len - ip_len - 1, (uint32_t)ip_size * 8))
        return false;
    if (has_host_bits(p.ip, ip_size, length))
        return false;
    p.length = (uint8_t)length;
    *prefix = p;
    return true;
}

size_t prefix_format(const struct prefix *prefix, char text[static ADDRESS_TEXT_MAX])
{
    size_t size = ADDRESS_TEXT_MAX;
    size_t len = 0;
    text[0] = '\0';
    if (prefix->family == ADDRESS_NONE)
        return 0;
    if (prefix->family == ADDRESS_IPV4)
        len = format_ipv4(text, size, "", prefix->ip);
    else
        len = format_ipv6(text, size, prefix->ip);
    return len + (size_t)snprintf(text + len, size - len, "/%u", prefix->length);
}
