// SPDX-License-Identifier: MIT
#include "core/policy/rebind.h"

#include "core/policy/nat64.h"
#include "core/wire/rebuild.h"

#include <assert.h>

enum { KEY_IPV4HINT = 4, KEY_IPV6HINT = 6 };

struct range {
    uint8_t first[2];
    uint8_t bits;
};

static const struct range ipv4_ranges[] = {
    {{0, 0}, 8},      {{10, 0}, 8},    {{100, 64}, 10},  {{127, 0}, 8},
    {{169, 254}, 16}, {{172, 16}, 12}, {{192, 168}, 16},
};

// fc00::/7, fe80::/10 and fec0::/10, which was site-local (RFC 3879).
static const struct range ipv6_ranges[] = {{{0xfc, 0}, 7}, {{0xfe, 0x80}, 10}, {{0xfe, 0xc0}, 10}};

static bool within(const uint8_t *ip, const struct range *ranges, size_t count)
{
    unsigned is = load_be16(ip);
    for (size_t i = 0; i < count; i++) {
        unsigned first = load_be16(ranges[i].first), shift = 16u - ranges[i].bits;
        if (is >> shift == first >> shift)
            return true;
    }
    return false;
}

// Prefixes that hold IPv4 addresses, and where these begin.
static const struct holder {
    uint8_t prefix[12];
    uint8_t prefix_len;
    uint8_t at;
} holders[] = {
    {{0}, 12, 12},                   // ::/96
    {{[10] = 0xff, 0xff}, 12, 12},   // ::ffff:0:0/96
    {{[8] = 0xff, 0xff}, 12, 12},    // ::ffff:0:0:0/96
    {{0, 0x64, 0xff, 0x9b}, 12, 12}, // 64:ff9b::/96
    {{0x20, 0x02}, 2, 2},            // 2002::/16
};

static bool ipv4_inside(const uint8_t *ip)
{
    return within(ip, ipv4_ranges, sizeof ipv4_ranges / sizeof *ipv4_ranges);
}

static bool ipv6_inside(const uint8_t *ip)
{
    static const uint8_t local_translation[6] = {0, 0x64, 0xff, 0x9b, 0, 1}; // 64:ff9b:1::/48
    for (size_t i = 0; i < sizeof holders / sizeof *holders; i++) {
        if (memcmp(ip, holders[i].prefix, holders[i].prefix_len) == 0)
            return ipv4_inside(ip + holders[i].at);
    }
    return memcmp(ip, local_translation, sizeof local_translation) == 0 ||
           within(ip, ipv6_ranges, sizeof ipv6_ranges / sizeof *ipv6_ranges);
}

bool rebind_is_inside(const struct prefix *nat64, const uint8_t *ip, size_t len)
{
    uint8_t ipv4[4];
    if (len == 4)
        return ipv4_inside(ip);
    return nat64_extract(nat64, ip, ipv4) ? ipv4_inside(ipv4) : ipv6_inside(ip);
}

bool rebind_allowed(const struct settings *settings, const uint8_t *bytes, size_t len)
{
    const struct text_list *list = &settings->filter_rebind_allow;
    struct name name = {.len = (uint8_t)len};
    memcpy(name.bytes, bytes, len);
    for (size_t i = 0; i < list->count; i++) {
        struct name zone;
        size_t text_len = 0;
        while (text_len < NAME_TEXT_SIZE && list->items[i].text[text_len] != '\0')
            text_len++;
        if (name_parse(&zone, list->items[i].text, text_len) && name_within(&name, &zone))
            return true;
    }
    return false;
}

static bool any_inside(const struct prefix *nat64, const uint8_t *addresses, size_t len,
                       size_t size)
{
    for (; len >= size; addresses += size, len -= size) {
        if (rebind_is_inside(nat64, addresses, size))
            return true;
    }
    return false;
}

// Behind the priority and the target stand parameters (RFC 9460 2.2).
static bool hints_inside(const struct prefix *nat64, const uint8_t *data, size_t len)
{
    struct reader r = reader_over(data, len);
    read_u16(&r);
    read_bytes(&r, name_length(data + r.at, len - r.at));
    while (!r.failed && r.at < r.len) {
        uint16_t key = read_u16(&r), value_len = read_u16(&r);
        const uint8_t *value = read_bytes(&r, value_len);
        if (value && ((key == KEY_IPV4HINT && any_inside(nat64, value, value_len, 4)) ||
                      (key == KEY_IPV6HINT && any_inside(nat64, value, value_len, 16))))
            return true;
    }
    return false;
}

static bool record_inside(const struct prefix *nat64, const struct record *record,
                          const uint8_t *data)
{
    switch (record->type) {
    case TYPE_A:
        return rebind_is_inside(nat64, data, 4);
    case TYPE_AAAA:
        return rebind_is_inside(nat64, data, 16);
    case TYPE_SVCB:
    case TYPE_HTTPS:
        return hints_inside(nat64, data, record->data_len);
    default:
        return false;
    }
}

enum rebind_place rebind_finds(const struct settings *settings, const struct answer *answer)
{
    struct reader r = answer_reader(answer);
    for (unsigned section = 0; section < 3; section++) {
        unsigned count = load_be16(answer->value + 6 + 2 * section);
        struct record record;
        for (unsigned i = 0; i < count; i++) {
            bool read = record_read(&r, &record);
            assert(read); // we have written it
            if (record_inside(&settings->dns64_prefix, &record, answer->value + record.data_at))
                return section == 0 ? REBIND_ANSWER : REBIND_ADDITIONAL;
        }
    }
    return REBIND_NOWHERE;
}
