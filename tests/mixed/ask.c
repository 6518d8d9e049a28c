// SPDX-License-Identifier: MIT
#include "tests/mixed/ask.h"

#include "core/wire/bytes.h"
#include "tests/sim/dice.h"

#include <assert.h>
#include <string.h>

enum {
    HEADER = 12,
    CLASS_IN = 1,
    CLASS_CH = 3,
    TYPE_A = 1,
    TYPE_SOA = 6,
    TYPE_TXT = 16,
    TYPE_AXFR = 252,
    TYPE_ANY = 255,
    RD = 0x0100,
    CD = 0x0010,
    AD = 0x0020,
    QR = 0x8000,
    OPTION_COOKIE = 10,
    OPTION_PADDING = 12,
    OPTION_UNKNOWN = 65001,
    DO_BIT = 0x8000,
};

// How a good query may be put; each family is asked in each of them.
static const struct shape dresses[] = {
    {.what = "plain", .flags = RD},
    {.what = "CD", .flags = RD | CD},
    {.what = "AD", .flags = RD | AD},
    {.what = "EDNS", .flags = RD, .edns = true, .size = 1232},
    {.what = "EDNS 512", .flags = RD, .edns = true, .size = 512},
    {.what = "EDNS 4096", .flags = RD, .edns = true, .size = 4096},
    {.what = "DO", .flags = RD, .edns = true, .size = 1232, .dnssec_ok = true},
    {.what = "DO CD", .flags = RD | CD, .edns = true, .size = 1232, .dnssec_ok = true},
    {.what = "new cookie", .flags = RD, .edns = true, .size = 1232, .cookie = ASK_COOKIE_NEW},
    {.what = "cookie", .flags = RD, .edns = true, .size = 1232, .cookie = ASK_COOKIE_VALID},
    {.what = "forged cookie",
     .flags = RD,
     .edns = true,
     .size = 1232,
     .cookie = ASK_COOKIE_INVALID},
    {.what = "unknown option", .flags = RD, .edns = true, .size = 1232, .unknown_option = true},
    {.what = "padding", .flags = RD, .edns = true, .size = 1232, .padding = 340},
    {.what = "trailing octets", .flags = RD, .spoil = SPOIL_TRAILING},
};

// What gets no answer of a name, if any at all. The family is given by shapes_make.
static const struct shape oddities[] = {
    {.what = "NOTIFY", .flags = 0x2000, .type = TYPE_SOA},
    {.what = "UPDATE", .flags = 0x2800, .type = TYPE_SOA},
    {.what = "STATUS", .flags = 0x1000},
    {.what = "opcode 6", .flags = 0x3000},
    {.what = "NOTIFY with a cookie",
     .flags = 0x2000,
     .type = TYPE_SOA,
     .edns = true,
     .size = 1232,
     .cookie = ASK_COOKIE_NEW},
    {.what = "BADVERS", .flags = RD, .edns = true, .version = 1, .size = 1232},
    {.what = "BADVERS with a cookie",
     .flags = RD,
     .edns = true,
     .version = 9,
     .size = 1232,
     .cookie = ASK_COOKIE_NEW},
    {.what = "ANY", .flags = RD, .type = TYPE_ANY},
    {.what = "ANY with EDNS", .flags = RD, .type = TYPE_ANY, .edns = true, .size = 1232},
    {.what = "AXFR", .flags = RD, .type = TYPE_AXFR},
    {.what = "class CH", .flags = RD, .type = TYPE_TXT, .class = CLASS_CH},
    {.what = "class 254", .flags = RD, .class = 254},
    {.what = "a reply", .flags = QR | RD},
    {.what = "broken cookie", .flags = RD, .edns = true, .size = 1232, .cookie = ASK_COOKIE_BROKEN},
    {.what = "short header", .flags = RD, .spoil = SPOIL_SHORT_HEADER},
    {.what = "no question", .flags = RD, .spoil = SPOIL_NO_QUESTION},
    {.what = "count of 0", .flags = RD, .spoil = SPOIL_COUNT_ZERO},
    {.what = "two questions", .flags = RD, .spoil = SPOIL_TWO_QUESTIONS},
    {.what = "cut name", .flags = RD, .spoil = SPOIL_CUT_NAME},
    {.what = "cut type", .flags = RD, .spoil = SPOIL_CUT_TYPE},
    {.what = "pointer loop", .flags = RD, .spoil = SPOIL_POINTER_LOOP},
    {.what = "long label", .flags = RD, .spoil = SPOIL_LONG_LABEL},
    {.what = "two OPTs", .flags = RD, .edns = true, .size = 1232, .spoil = SPOIL_TWO_OPTS},
    {.what = "cut OPT", .flags = RD, .edns = true, .size = 1232, .spoil = SPOIL_CUT_OPT},
    {.what = "OPT with a name", .flags = RD, .edns = true, .size = 1232, .spoil = SPOIL_OPT_NAMED},
    {.what = "a record", .flags = RD, .spoil = SPOIL_RECORD},
};

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

static void shape_add(struct shapes *shapes, const struct shape *shape, size_t family, bool odd)
{
    assert(shapes->count < COUNT_OF(shapes->items));
    struct shape *added = &shapes->items[shapes->count++];
    *added = *shape;
    added->family = (uint8_t)family;
    added->odd = odd;
    if (!added->type)
        added->type = families[family].type;
    if (!added->class)
        added->class = CLASS_IN;
}

void shapes_make(struct shapes *shapes)
{
    *shapes = (struct shapes){0};
    size_t unasked = family_count - 1;
    for (size_t family = 0; family < unasked; family++)
        for (size_t i = 0; i < COUNT_OF(dresses); i++)
            shape_add(shapes, &dresses[i], family, false);
    shapes->good = shapes->count;
    for (size_t i = 0; i < COUNT_OF(oddities); i++)
        shape_add(shapes, &oddities[i], unasked, true);
}

static void spelled(uint8_t *name, size_t len, uint32_t letters)
{
    struct dice dice = dice_for(letters, 0);
    uint64_t bits = dice_u64(&dice);
    for (size_t i = 0; i < len; i++)
        if (name[i] >= 'a' && name[i] <= 'z' && bits >> i % 64 & 1)
            name[i] &= (uint8_t)~32u;
}

static size_t cookie_write(const struct shape *shape, const struct ask *ask,
                           const struct cookie *cookie, uint8_t *out)
{
    size_t server = ASK_COOKIE_SERVER;
    if (shape->cookie == ASK_COOKIE_NEW || (shape->cookie == ASK_COOKIE_VALID && !cookie->known))
        server = 0;
    if (shape->cookie == ASK_COOKIE_BROKEN)
        server = 3;
    store_be16(out, OPTION_COOKIE);
    store_be16(out + 2, (uint16_t)(ASK_COOKIE_CLIENT + server));
    memcpy(out + 4, cookie->client, ASK_COOKIE_CLIENT);
    uint8_t *part = out + 4 + ASK_COOKIE_CLIENT;
    memcpy(part, cookie->server, server);
    if (shape->cookie == ASK_COOKIE_INVALID)
        store_be32(part + 8, ask->letters | 1);
    return 4 + ASK_COOKIE_CLIENT + server;
}

static size_t opt_write(const struct shape *shape, const struct ask *ask,
                        const struct cookie *cookie, uint8_t *out)
{
    static const uint8_t empty[11] = {0, 0, 41};
    size_t at = 0;
    if (shape->spoil == SPOIL_OPT_NAMED) {
        out[at++] = 1;
        out[at++] = 'x';
    }
    uint8_t *opt = out + at;
    memcpy(opt, empty, sizeof empty);
    store_be16(opt + 3, shape->size);
    opt[6] = shape->version;
    store_be16(opt + 7, shape->dnssec_ok ? DO_BIT : 0);
    size_t len = 0;
    if (shape->cookie)
        len += cookie_write(shape, ask, cookie, opt + sizeof empty);
    if (shape->unknown_option) {
        store_be16(opt + sizeof empty + len, OPTION_UNKNOWN);
        store_be16(opt + sizeof empty + len + 2, 4);
        store_be32(opt + sizeof empty + len + 4, ask->letters);
        len += 8;
    }
    if (shape->padding > 0) {
        store_be16(opt + sizeof empty + len, OPTION_PADDING);
        store_be16(opt + sizeof empty + len + 2, shape->padding);
        memset(opt + sizeof empty + len + 4, 0, shape->padding);
        len += 4u + shape->padding;
    }
    store_be16(opt + 9, (uint16_t)(shape->spoil == SPOIL_CUT_OPT ? len + 5 : len));
    return at + sizeof empty + len;
}

// Breaks a query of `len` octets whose name has `name_len`. Returns its new length.
static size_t spoil(enum spoil how, uint8_t *query, size_t len, size_t name_len)
{
    switch (how) {
    case SPOIL_SHORT_HEADER:
        return HEADER - 1;
    case SPOIL_NO_QUESTION:
        return HEADER;
    case SPOIL_COUNT_ZERO:
        store_be16(query + 4, 0);
        return HEADER;
    case SPOIL_TWO_QUESTIONS:
        store_be16(query + 4, 2);
        memcpy(query + len, query + HEADER, name_len + 4);
        return len + name_len + 4;
    case SPOIL_CUT_NAME:
        return HEADER + name_len - 3;
    case SPOIL_CUT_TYPE:
        return HEADER + name_len + 1;
    case SPOIL_POINTER_LOOP:
        store_be16(query + HEADER, 0xc000 | HEADER);
        return len;
    case SPOIL_LONG_LABEL:
        query[HEADER] = 0x7f;
        return len;
    case SPOIL_TWO_OPTS: {
        size_t opt = HEADER + name_len + 4;
        store_be16(query + 10, 2);
        memcpy(query + len, query + opt, len - opt);
        return 2 * len - opt;
    }
    case SPOIL_TRAILING:
        memset(query + len, 0xa5, 7);
        return len + 7;
    case SPOIL_RECORD: {
        static const uint8_t record[] = {0xc0, HEADER, 0, TYPE_A, 0, 1, 0, 0,
                                         0,    9,      0, 4,      9, 9, 9, 9};
        store_be16(query + 6, 1);
        memcpy(query + len, record, sizeof record);
        return len + sizeof record;
    }
    default:
        return len;
    }
}

size_t ask_write(const struct truth *truth, const struct shape *shape, const struct ask *ask,
                 uint16_t id, const struct cookie *cookie, uint8_t out[static ASK_QUERY_MAX])
{
    memset(out, 0, HEADER);
    store_be16(out, id);
    store_be16(out + 2, shape->flags);
    store_be16(out + 4, 1);
    size_t name_len = truth_name(truth, shape->family, ask->number, out + HEADER);
    spelled(out + HEADER, name_len, ask->letters);
    size_t at = HEADER + name_len;
    store_be16(out + at, shape->type);
    store_be16(out + at + 2, shape->class);
    at += 4;
    if (shape->edns) {
        store_be16(out + 10, 1);
        at += opt_write(shape, ask, cookie, out + at);
    }
    return spoil(shape->spoil, out, at, name_len);
}
