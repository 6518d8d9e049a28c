// SPDX-License-Identifier: MIT
#include "core/wire/name.h"

#include "core/wire/lower.h"
#include "core/wire/message.h"

enum { POINTER_MARK = 0xc0 };

// Follows the pointer whose first octet was just read. Returns where it leads, or SIZE_MAX.
static size_t pointer_read(struct reader *at, uint8_t first, size_t lowest)
{
    size_t target = (size_t)(first & ~POINTER_MARK) << 8 | read_u8(at);
    bool good = !at->failed && target >= MESSAGE_HEADER_LEN && target < lowest;
    return good ? target : SIZE_MAX;
}

bool name_read(struct reader *r, struct name *name)
{
    struct reader at = *r; // where we read; `r` itself only passes the name's first piece
    size_t lowest = r->at; // every pointer must lead below this
    bool jumped = false;

    name->len = 0;
    for (;;) {
        uint8_t len = read_u8(&at);
        if (at.failed)
            break;
        if (len >= POINTER_MARK) {
            size_t target = pointer_read(&at, len, lowest);
            if (target == SIZE_MAX || r->hops_left == 0)
                break;
            if (!jumped)
                r->at = at.at;
            jumped = true;
            lowest = target;
            at.at = target;
            r->hops_left--;
            continue;
        }
        const uint8_t *label = len <= LABEL_MAX_LEN ? read_bytes(&at, len) : NULL;
        if (!label || name->len + 1u + len > NAME_MAX_LEN)
            break;
        name->bytes[name->len] = len;
        memcpy(name->bytes + name->len + 1, label, len);
        name->len = (uint8_t)(name->len + 1 + len);
        if (len == 0) {
            if (!jumped)
                r->at = at.at;
            return true;
        }
    }
    r->failed = true;
    return false;
}

bool name_skip(struct reader *r)
{
    size_t start = r->at;
    for (;;) {
        uint8_t len = read_u8(r);
        if (len == 0)
            return !r->failed;
        if (len >= POINTER_MARK) {
            r->failed |= pointer_read(r, len, start) == SIZE_MAX;
            return !r->failed;
        }
        if (len > LABEL_MAX_LEN || !read_bytes(r, len)) {
            r->failed = true;
            return false;
        }
    }
}

size_t name_length(const uint8_t *bytes, size_t len)
{
    size_t at = 0, end = len < NAME_MAX_LEN ? len : NAME_MAX_LEN;
    while (at < end) {
        uint8_t label = bytes[at++];
        // One comparison for both: the root has no octets, and more than 63 is no label.
        if (label - 1u >= LABEL_MAX_LEN)
            return label == 0 ? at : 0;
        at += label;
    }
    return 0;
}

void name_lower(uint8_t *to, const uint8_t *from, size_t len)
{
    lower_octets(to, from, len);
}

// An odd factor (2^64 over the golden ratio) keeps all bits and carries them up; the shift brings
// them down again.
static uint64_t mixed(uint64_t word)
{
    word *= 0x9e3779b97f4a7c15u;
    return word ^ word >> 32;
}

uint32_t name_hash(const uint8_t *bytes, size_t len)
{
    // The bit that tells upper from lower case is set in all octets, be they letters or not.
    const uint64_t caseless = 0x2020202020202020u;
    uint64_t hash = len;
    for (; len >= 8; len -= 8, bytes += 8)
        hash = mixed(hash ^ (load_word(bytes) | caseless));
    return (uint32_t)mixed(hash ^ (load_part(bytes, len) | caseless));
}

bool name_equal(const struct name *a, const struct name *b)
{
    return a->len == b->len && lower_equal(a->bytes, b->bytes, a->len);
}

bool name_within(const struct name *name, const struct name *zone)
{
    size_t at = 0;
    while (name->len - at > zone->len)
        at += 1u + name->bytes[at];
    return name->len - at == zone->len && lower_equal(name->bytes + at, zone->bytes, zone->len);
}

size_t name_labels(const struct name *name)
{
    size_t count = 0;
    for (size_t at = 0; name->bytes[at] != 0; at += 1u + name->bytes[at])
        count++;
    return count;
}

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

// Reads one octet of a label, escaped or not, and steps over it. Returns -1 if it is malformed.
static int text_octet(const char *text, size_t len, size_t *at)
{
    char c = text[(*at)++];
    if (c != '\\')
        return (uint8_t)c;
    if (*at == len)
        return -1;
    if (!digit(text[*at]))
        return (uint8_t)text[(*at)++];
    if (len - *at < 3 || !digit(text[*at + 1]) || !digit(text[*at + 2]))
        return -1;
    int value = (text[*at] - '0') * 100 + (text[*at + 1] - '0') * 10 + (text[*at + 2] - '0');
    *at += 3;
    return value <= 255 ? value : -1;
}

// Ends the label that began at `start`; false if it is empty or too long.
static bool label_end(struct name *name, size_t start, size_t at)
{
    size_t len = at - start - 1;
    name->bytes[start] = (uint8_t)len;
    return len >= 1 && len <= LABEL_MAX_LEN;
}

bool name_parse(struct name *name, const char *text, size_t len)
{
    *name = (struct name){.len = 1};
    if (len == 1 && text[0] == '.')
        return true;
    size_t start = 0; // the length octet of the label being read
    size_t out = 1;
    for (size_t at = 0; at < len;) {
        if (text[at] == '.') {
            if (!label_end(name, start, out) || out >= NAME_MAX_LEN)
                return false;
            start = out++;
            at++;
            continue;
        }
        int octet = text_octet(text, len, &at);
        if (octet < 0 || out >= NAME_MAX_LEN)
            return false;
        name->bytes[out++] = (uint8_t)octet;
    }
    // A final dot has begun the root's label already.
    if (out - start > 1) {
        if (!label_end(name, start, out) || out >= NAME_MAX_LEN)
            return false;
        start = out++;
    }
    name->bytes[start] = 0;
    name->len = (uint8_t)out;
    return len > 0;
}

static bool plain(uint8_t c)
{
    return c > 0x20 && c < 0x7f && c != '.' && c != '\\' && c != '"' && c != ';' && c != '(' &&
           c != ')' && c != '@' && c != '$';
}

static size_t format_octet(char *text, uint8_t c)
{
    if (plain(c)) {
        text[0] = (char)c;
        return 1;
    }
    text[0] = '\\';
    text[1] = (char)('0' + c / 100);
    text[2] = (char)('0' + c / 10 % 10);
    text[3] = (char)('0' + c % 10);
    return 4;
}

size_t name_format(const struct name *name, char text[static NAME_TEXT_SIZE])
{
    size_t out = 0;
    for (size_t at = 0; name->bytes[at] != 0; at += 1u + name->bytes[at]) {
        for (size_t i = 1; i <= name->bytes[at]; i++)
            out += format_octet(text + out, name->bytes[at + i]);
        text[out++] = '.';
    }
    if (out == 0)
        text[out++] = '.';
    text[out] = '\0';
    return out;
}

// The top bits of eight octets, side by side: the factor moves each to a place of its own in the
// highest octet, and no two sums meet.
static uint8_t top_bits(uint64_t word)
{
    return (uint8_t)((word >> 7) * 0x0102040810204080u >> 56);
}

// The other way: each octet keeps its own bit of the eight, which then carries into its top bit.
static uint64_t bits_spread(uint8_t bits)
{
    const uint64_t ones = 0x0101010101010101u;
    return ((bits * ones & 0x8040201008040201u) + ones * 0x7f) & (ones * 0x80);
}

static uint64_t word_spelled(uint64_t lower, uint8_t bits)
{
    return lower & ~((letters_of(lower, 'a') & bits_spread(bits)) >> 2);
}

void name_case_read(struct name_case *spelling, const uint8_t *bytes, size_t len)
{
    uint8_t *bits = spelling->bits;
    memset(spelling, 0, sizeof *spelling);
    for (; len >= 8; len -= 8, bytes += 8)
        *bits++ = top_bits(letters_of(load_word(bytes), 'A'));
    if (len > 0)
        *bits = top_bits(letters_of(load_part(bytes, len), 'A'));
}

void name_case_apply(const struct name_case *spelling, uint8_t *lower, size_t len)
{
    const uint8_t *bits = spelling->bits;
    for (; len >= 8; len -= 8, lower += 8)
        store_word(lower, word_spelled(load_word(lower), *bits++));
    if (len > 0)
        store_part(lower, word_spelled(load_part(lower, len), *bits), len);
}
