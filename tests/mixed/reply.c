// SPDX-License-Identifier: MIT
#include "tests/mixed/reply.h"

#include "core/wire/bytes.h"

#include <string.h>

enum {
    HEADER = 12,
    TYPE_A = 1,
    TYPE_CNAME = 5,
    TYPE_SOA = 6,
    TYPE_TXT = 16,
    TYPE_AAAA = 28,
    TYPE_OPT = 41,
    CLASS_IN = 1,
    OPTION_COOKIE = 10,
    RD = 0x0100,
    CD = 0x0010,
    AD = 0x0020,
    REPLY_FLAGS = 0x8080, // QR, RA
    TC = 0x0200,
    NXDOMAIN = 3,
    DO_BIT = 0x8000,
    STRING_WORDS = 63, // words of data in a string of a TXT record
    TEXT_STRINGS = 3,
    LARGE_STRINGS = 12,
    HUGE_STRINGS = 80,
};

struct query {
    const uint8_t *bytes;
    size_t name_len, question_end;
    uint16_t type;
    bool edns, dnssec_ok;
    const uint8_t *cookie; // the client's part; NULL: none
    size_t family;
    uint32_t number;
    bool probe;
};

static size_t name_end(const uint8_t *bytes, size_t len, size_t at)
{
    while (at < len && bytes[at] && bytes[at] < 64)
        at += 1 + bytes[at];
    return at < len && !bytes[at] ? at + 1 : 0;
}

static const char *opt_read(struct query *query, const uint8_t *bytes, size_t len)
{
    size_t at = query->question_end;
    if (len < at + 11 || bytes[at] != 0 || load_be16(bytes + at + 1) != TYPE_OPT)
        return "has an additional record that is no OPT";
    if (load_be32(bytes + at + 5) & ~(uint32_t)DO_BIT)
        return "has a bad OPT";
    query->edns = true;
    query->dnssec_ok = load_be16(bytes + at + 7) & DO_BIT;
    size_t end = at + 11 + load_be16(bytes + at + 9);
    if (end != len)
        return "does not end with its OPT";
    for (at += 11; at < end;) {
        if (at + 4 > end || at + 4 + load_be16(bytes + at + 2) > end)
            return "has a cut option";
        if (load_be16(bytes + at) == OPTION_COOKIE)
            query->cookie = bytes + at + 4;
        at += 4 + (size_t)load_be16(bytes + at + 2);
    }
    return NULL;
}

static const char *name_read(const struct truth *truth, struct query *query)
{
    const uint8_t *name = query->bytes + HEADER;
    if (query->type == TYPE_SOA && query->name_len == 1) {
        query->probe = true;
        return NULL;
    }
    if (!truth_find(truth, name, query->name_len, &query->family, &query->number))
        return "is for a name that no client has asked for";
    if (families[query->family].kind == ANSWER_LOCAL)
        return "is for a name that is no upstream's business";
    if (query->type != families[query->family].type)
        return "is for a type that no client has asked for";
    return NULL;
}

static const char *query_read(const struct truth *truth, struct query *query, const uint8_t *bytes,
                              size_t len)
{
    static const uint8_t counts[] = {0, 1, 0, 0, 0, 0, 0};
    *query = (struct query){.bytes = bytes};
    if (len < HEADER)
        return "is shorter than a header";
    if ((load_be16(bytes + 2) & ~(CD | AD)) != RD)
        return "has flags that no query has";
    if (memcmp(bytes + 4, counts, sizeof counts) != 0 || bytes[11] > 1)
        return "has counts that no query has";
    size_t end = name_end(bytes, len, HEADER);
    if (!end || end + 4 > len || load_be16(bytes + end + 2) != CLASS_IN)
        return "has no good question";
    query->name_len = end - HEADER;
    query->question_end = end + 4;
    query->type = load_be16(bytes + end);
    const char *why = bytes[11]                    ? opt_read(query, bytes, len)
                      : query->question_end == len ? NULL
                                                   : "has octets behind its question";
    return why ? why : name_read(truth, query);
}

// Writes a record's head; its data is to follow. Its owner is the question's name, or what is at
// `owner`.
static uint8_t *record(uint8_t *at, size_t owner, uint16_t type, uint32_t ttl, size_t size)
{
    store_be16(at, (uint16_t)(0xc000 | owner));
    store_be16(at + 2, type);
    store_be16(at + 4, CLASS_IN);
    store_be32(at + 6, ttl);
    store_be16(at + 10, (uint16_t)size);
    return at + 12;
}

static uint8_t *words(uint8_t *at, uint32_t data, size_t count)
{
    for (size_t i = 0; i < count; i++, at += 4)
        store_be32(at, data);
    return at;
}

static uint8_t *text(uint8_t *at, uint32_t ttl, uint32_t data, size_t strings)
{
    at = record(at, HEADER, TYPE_TXT, ttl, strings * (1 + 4 * STRING_WORDS));
    for (size_t i = 0; i < strings; i++) {
        *at++ = 4 * STRING_WORDS;
        at = words(at, data, STRING_WORDS);
    }
    return at;
}

static uint8_t *soa(uint8_t *at, uint32_t ttl)
{
    static const uint8_t fields[20] = {0, 0, 0, 1, 0,  0,   14, 16, 0, 0,
                                       7, 8, 0, 9, 58, 128, 0,  0,  1, 44};
    at = record(at, HEADER, TYPE_SOA, ttl, 2 + sizeof fields);
    *at++ = 0;
    *at++ = 0;
    memcpy(at, fields, sizeof fields);
    return at + sizeof fields;
}

static uint8_t *alias(const struct truth *truth, const struct query *query, uint8_t *out,
                      uint8_t *at, uint32_t ttl, uint32_t data)
{
    char label[TRUTH_LABEL];
    truth_label(truth, query->family, query->number, label);
    at = record(at, HEADER, TYPE_CNAME, ttl, TRUTH_LABEL + 2);
    size_t target = (size_t)(at - out);
    *at++ = TRUTH_LABEL;
    memcpy(at, label, TRUTH_LABEL);
    at += TRUTH_LABEL;
    *at++ = 0;
    return words(record(at, target, TYPE_A, ttl, 4), data, 1);
}

struct counts {
    uint16_t answers, authorities;
};

// Writes the answer's records behind the question.
static uint8_t *answer(const struct truth *truth, const struct query *query, bool tcp, uint8_t *out,
                       uint8_t *at, struct counts *counts)
{
    const struct family *family = &families[query->family];
    uint32_t data = truth_data(truth, query->family, query->number);
    uint16_t flags = load_be16(out + 2);
    counts->answers = 1;
    switch (family->kind) {
    case ANSWER_ADDRESSES:
        counts->answers = 3;
        for (uint32_t i = 0; i < 3; i++)
            at = words(record(at, HEADER, TYPE_A, family->ttl, 4), data + i, 1);
        return at;
    case ANSWER_SIX:
        return words(record(at, HEADER, TYPE_AAAA, family->ttl, 16), data, 4);
    case ANSWER_TEXT:
        return text(at, family->ttl, data, TEXT_STRINGS);
    case ANSWER_LARGE:
    case ANSWER_HUGE:
        if (tcp)
            return text(at, family->ttl, data,
                        family->kind == ANSWER_LARGE ? LARGE_STRINGS : HUGE_STRINGS);
        store_be16(out + 2, flags | TC);
        counts->answers = 0;
        return at;
    case ANSWER_ALIAS:
        counts->answers = 2;
        return alias(truth, query, out, at, family->ttl, data);
    case ANSWER_NXDOMAIN:
    case ANSWER_NODATA:
        if (family->kind == ANSWER_NXDOMAIN)
            store_be16(out + 2, flags | NXDOMAIN);
        *counts = (struct counts){.authorities = 1};
        return soa(at, family->ttl);
    default:
        return words(record(at, HEADER, TYPE_A, family->ttl, 4), data, 1);
    }
}

// The OPT record, with a cookie of a server that gives them.
static uint8_t *opt(const struct query *query, uint8_t *at)
{
    static const uint8_t head[11] = {0, 0, TYPE_OPT, 4, 208};
    memcpy(at, head, sizeof head);
    store_be16(at + 7, query->dnssec_ok ? DO_BIT : 0);
    if (!query->cookie)
        return at + sizeof head;
    store_be16(at + 9, 20);
    at += sizeof head;
    store_be16(at, OPTION_COOKIE);
    store_be16(at + 2, 16);
    memcpy(at + 4, query->cookie, 8);
    for (size_t i = 0; i < 8; i++)
        at[12 + i] = query->cookie[i] ^ 0x5a;
    return at + 20;
}

size_t reply_write(const struct truth *truth, const uint8_t *bytes, size_t len, bool tcp,
                   uint8_t out[static REPLY_MAX], const char **why)
{
    struct query query;
    if ((*why = query_read(truth, &query, bytes, len)) != NULL)
        return 0;
    struct counts counts = {.authorities = query.probe};
    memcpy(out, bytes, query.question_end);
    store_be16(out + 2, REPLY_FLAGS | (load_be16(bytes + 2) & (RD | CD)));
    uint8_t *at = out + query.question_end;
    at = query.probe ? soa(at, 300) : answer(truth, &query, tcp, out, at, &counts);
    store_be16(out + 6, counts.answers);
    store_be16(out + 8, counts.authorities);
    if (query.edns)
        at = opt(&query, at);
    return (size_t)(at - out);
}
