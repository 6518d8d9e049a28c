// SPDX-License-Identifier: MIT
#include "core/wire/name.h"
#include "tests/fuzz/target.h"

// Names, each function against one that does the same in the plainest way.

// name_read as its header tells it; returns where the name ends as it stands, or 0.
static size_t plain_read(const uint8_t *bytes, size_t len, size_t at, struct name *name)
{
    size_t limit = at, end = 0, hops = 0;
    name->len = 0;
    while (at < len && bytes[at] != 0) {
        uint8_t c = bytes[at];
        if (c >= 0xc0) {
            if (at + 1 >= len)
                return 0;
            size_t to = (size_t)(c - 0xc0) * 256 + bytes[at + 1];
            if (to < 12 || to >= limit || hops++ == len)
                return 0;
            end = end ? end : at + 2;
            limit = at = to;
            continue;
        }
        if (c > 63 || at + 1 + c > len || name->len + 2u + c > 255)
            return 0;
        for (unsigned i = 0; i <= c; i++)
            name->bytes[name->len++] = bytes[at + i];
        at += 1u + c;
    }
    if (at >= len)
        return 0;
    name->bytes[name->len++] = 0;
    return end ? end : at + 1;
}

static uint8_t plain_lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

static void text_round(const struct name *name)
{
    char text[NAME_TEXT_SIZE];
    memset(text, 0x7f, sizeof text);
    size_t len = name_format(name, text);
    assert(len > 0 && len < sizeof text && text[len] == '\0' && strlen(text) == len);
    assert(text[len - 1] == '.');

    struct name again;
    assert(name_parse(&again, text, len));
    assert(again.len == name->len && memcmp(again.bytes, name->bytes, name->len) == 0);
    // Without its final dot it is the same, but for the root.
    if (len > 1) {
        assert(name_parse(&again, text, len - 1));
        assert(again.len == name->len && memcmp(again.bytes, name->bytes, name->len) == 0);
    }
}

static void case_round(const uint8_t *bytes, size_t len)
{
    uint8_t lower[NAME_MAX_LEN], upper[NAME_MAX_LEN];
    struct name_case name_case;
    name_lower(lower, bytes, len);
    for (size_t i = 0; i < len; i++) {
        assert(lower[i] == plain_lower(bytes[i]));
        upper[i] = lower[i] >= 'a' && lower[i] <= 'z' ? (uint8_t)(lower[i] - 32) : lower[i];
    }
    assert(name_hash(lower, len) == name_hash(upper, len));
    name_case_read(&name_case, bytes, len);
    name_case_apply(&name_case, lower, len);
    assert(memcmp(lower, bytes, len) == 0);
}

static void name_facts(const struct name *name)
{
    struct name other = *name;
    size_t labels = 0;
    assert(name->len >= 1 && name_length(name->bytes, name->len) == name->len);
    for (size_t i = 0; i < other.len; i++)
        other.bytes[i] = plain_lower(other.bytes[i]);
    assert(name_equal(name, &other));
    for (size_t at = 0; at < name->len; at += 1u + name->bytes[at]) {
        struct name zone = {.len = (uint8_t)(name->len - at)};
        memcpy(zone.bytes, other.bytes + at, zone.len);
        assert(name_within(name, &zone));
        assert(name_within(&zone, name) == (at == 0));
        labels += name->bytes[at] != 0;
    }
    assert(name_labels(name) == labels);
    text_round(name);
    case_round(name->bytes, name->len);
}

static void read_try(const uint8_t *bytes, size_t len, size_t at)
{
    struct reader r = reader_over(bytes, len);
    struct name name, plain;
    r.at = at;
    bool good = name_read(&r, &name);
    size_t end = plain_read(bytes, len, at, &plain);
    struct reader over = reader_over(bytes, len);
    over.at = at;
    bool skipped = name_skip(&over);
    assert(!good || (skipped && over.at == end));
    assert(good == (end != 0) && r.failed == !good);
    size_t alone = name_length(bytes + at, len - at);
    if (!good) {
        assert(alone == 0);
        return;
    }
    assert(r.at == end && name.len == plain.len);
    assert(memcmp(name.bytes, plain.bytes, name.len) == 0);
    // It stands uncompressed exactly if it takes up as much as it is long.
    assert(alone == (end - at == name.len ? name.len : 0));
    name_facts(&name);
}

// One octet of a label's text; -1 where it is no good.
static int plain_octet(const char *text, size_t len, size_t *at)
{
    if (text[*at] != '\\')
        return (uint8_t)text[(*at)++];
    if (len - *at < 2)
        return -1;
    const char *p = text + *at + 1;
    if (*p < '0' || *p > '9') {
        *at += 2;
        return (uint8_t)*p;
    }
    int value = 0;
    for (unsigned i = 0; i < 3; i++) {
        if (len - *at < i + 2 || p[i] < '0' || p[i] > '9')
            return -1;
        value = 10 * value + p[i] - '0';
    }
    *at += 4;
    return value < 256 ? value : -1;
}

// The text form of RFC 1035 5.1, label by label.
static bool plain_parse(const char *text, size_t len, uint8_t *out, size_t *used)
{
    *used = 0;
    for (size_t at = 0; at < len && !(len == 1 && text[0] == '.');) {
        uint8_t label[64];
        unsigned count = 0;
        while (at < len && text[at] != '.') {
            int octet = plain_octet(text, len, &at);
            if (octet < 0 || count == LABEL_MAX_LEN)
                return false;
            label[count++] = (uint8_t)octet;
        }
        at++; // the dot
        if (count == 0 || *used + 1 + count > NAME_MAX_LEN - 1)
            return false;
        out[*used] = (uint8_t)count;
        memcpy(out + *used + 1, label, count);
        *used += 1 + count;
    }
    out[(*used)++] = 0;
    return len > 0;
}

static void parse_try(const char *text, size_t len)
{
    struct name name;
    uint8_t plain[NAME_MAX_LEN];
    size_t used;
    bool good = name_parse(&name, text, len);
    assert(good == plain_parse(text, len, plain, &used));
    if (!good)
        return;
    assert(name.len == used && memcmp(name.bytes, plain, used) == 0);
    name_facts(&name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    size_t at = input_u8(&input), len = input.len;
    uint8_t *bytes = input_copy(&input, &len);
    parse_try((const char *)bytes, len);
    read_try(bytes, len, at < len ? at : len);
    if (len > 0)
        read_try(bytes, len, len - 1);
    case_round(bytes, len < NAME_MAX_LEN ? len : NAME_MAX_LEN);
    free(bytes);
    return 0;
}
