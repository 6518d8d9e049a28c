// SPDX-License-Identifier: MIT
#include "tests/mixed/expect.h"

#include "core/wire/bytes.h"

#include <stdlib.h>
#include <string.h>

enum {
    HEADER = 12,
    TYPE_OPT = 41,
    OPTION_COOKIE = 10,
    DATA_ADD_MAX = 8, // records of one name hold its data plus less than this
    RCODE_SERVFAIL = 2,
    RCODE_REFUSED = 5,
    RCODE_BADCOOKIE = 23,
    STALE_TTL_S = 30,
    TC = 2, // of the third octet
};

// The end of the name at `at`; 0 if it has none.
static size_t name_end(const uint8_t *bytes, size_t len, size_t at)
{
    while (at < len && bytes[at] && bytes[at] < 64)
        at += 1 + bytes[at];
    if (at < len && !bytes[at])
        return at + 1;
    return at + 1 < len && bytes[at] >= 0xc0 ? at + 2 : 0;
}

static size_t question_end(const uint8_t *bytes, size_t len)
{
    if (load_be16(bytes + 4) != 1)
        return HEADER;
    size_t end = name_end(bytes, len, HEADER);
    return end && end + 4 <= len ? end + 4 : 0;
}

static void opt_learn(struct expect *expect, size_t at, size_t end)
{
    while (at + 4 <= end) {
        size_t size = load_be16(expect->bytes + at + 2);
        if (load_be16(expect->bytes + at) == OPTION_COOKIE &&
            size == ASK_COOKIE_CLIENT + ASK_COOKIE_SERVER)
            expect->cookie = (uint16_t)(at + 4);
        at += 4 + size;
    }
}

// Finds TTLs and the cookie. False if the records do not end where the reply does.
static bool records_learn(struct expect *expect)
{
    const uint8_t *bytes = expect->bytes;
    size_t count = (size_t)load_be16(bytes + 6) + load_be16(bytes + 8) + load_be16(bytes + 10);
    size_t at = expect->question_end;
    for (size_t i = 0; i < count; i++) {
        size_t fixed = name_end(bytes, expect->len, at);
        if (!fixed || fixed + 10 > expect->len)
            return false;
        size_t data = fixed + 10, size = load_be16(bytes + fixed + 8);
        if (data + size > expect->len)
            return false;
        if (load_be16(bytes + fixed) == TYPE_OPT) {
            expect->opt_size = (uint16_t)(fixed + 8);
            opt_learn(expect, data, data + size);
        } else if (expect->ttl_count == sizeof expect->ttls / sizeof *expect->ttls) {
            return false;
        } else {
            expect->ttls[expect->ttl_count++] = (uint16_t)(fixed + 4);
        }
        at = data + size;
    }
    return at == expect->len;
}

static void place_add(struct expect *expect, size_t at, enum expect_place_kind kind, size_t add)
{
    // Grows by powers of two.
    uint32_t count = expect->place_count;
    if ((count & (count - 1)) == 0) {
        size_t size = (count ? count * 2 : 1) * sizeof *expect->places;
        expect->places = realloc(expect->places, size);
        if (!expect->places)
            abort();
    }
    expect->places[expect->place_count++] =
        (struct expect_place){(uint16_t)at, (uint8_t)kind, (uint8_t)add};
}

static void places_learn(struct expect *expect, const struct asked *asked)
{
    char label[TRUTH_LABEL];
    truth_label(asked->truth, asked->shape->family, asked->ask->number, label);
    uint32_t data = truth_data(asked->truth, asked->shape->family, asked->ask->number);
    for (size_t at = expect->question_end; at + 4 <= expect->len;) {
        uint32_t add = load_be32(expect->bytes + at) - data;
        if (add < DATA_ADD_MAX) {
            place_add(expect, at, PLACE_DATA, add);
            at += 4;
        } else if (at + TRUTH_LABEL <= expect->len &&
                   memcmp(expect->bytes + at, label, TRUTH_LABEL) == 0) {
            place_add(expect, at, PLACE_LABEL, 0);
            at += TRUTH_LABEL;
        } else {
            at++;
        }
    }
}

// So many places of a name's data does a whole answer hold at least.
static uint32_t places_wanted(const struct shape *shape, const uint8_t *reply)
{
    static const uint32_t wanted[] = {
        [ANSWER_ADDRESS] = 1, [ANSWER_ADDRESSES] = 3, [ANSWER_SIX] = 4,   [ANSWER_TEXT] = 100,
        [ANSWER_LARGE] = 600, [ANSWER_HUGE] = 4000,   [ANSWER_ALIAS] = 2, [ANSWER_LOCAL] = 0};
    enum answer_kind kind = families[shape->family].kind;
    bool none = kind == ANSWER_NXDOMAIN || kind == ANSWER_NODATA;
    bool other = reply[2] & TC || (reply[3] & 15) == RCODE_REFUSED;
    return shape->odd || none || other ? 0 : wanted[kind];
}

bool expect_learn(struct expect *expect, const struct asked *asked, const uint8_t *reply,
                  size_t len, const char **why)
{
    *expect = (struct expect){.known = true, .silent = len == 0, .len = (uint16_t)len};
    if (len == 0)
        return true;
    *why = "is not well-formed";
    if (len < HEADER || (expect->question_end = (uint16_t)question_end(reply, len)) == 0)
        return false;
    expect->bytes = malloc(len);
    if (!expect->bytes)
        abort();
    memcpy(expect->bytes, reply, len);
    if (!records_learn(expect))
        return false;
    places_learn(expect, asked);
    *why = "lacks records of the name";
    if (expect->place_count < places_wanted(asked->shape, reply))
        return false;
    *why = "fails";
    if (!asked->shape->odd && (reply[3] & 15) == RCODE_SERVFAIL)
        return false;
    *why = "has another ID or question";
    size_t end = expect->question_end;
    return memcmp(reply, asked->query, 2) == 0 &&
           (end > asked->query_len ||
            memcmp(reply + HEADER, asked->query + HEADER, end - HEADER) == 0);
}

void expect_free(struct expect *expect)
{
    free(expect->bytes);
    free(expect->places);
    *expect = (struct expect){0};
}

const uint8_t *expect_cookie(const struct expect *expect, const uint8_t *reply, size_t len)
{
    return expect->cookie && len == expect->len ? reply + expect->cookie + ASK_COOKIE_CLIENT : NULL;
}

// What the right reply to this query is, where the actual one is consulted about what it may
// choose.
static void right_make(const struct expect *expect, const struct asked *asked, uint32_t ttl_max,
                       const uint8_t *reply, uint8_t *right)
{
    char label[TRUTH_LABEL];
    truth_label(asked->truth, asked->shape->family, asked->ask->number, label);
    uint32_t data = truth_data(asked->truth, asked->shape->family, asked->ask->number);
    memcpy(right, expect->bytes, expect->len);
    memcpy(right, asked->query, 2);
    if (expect->question_end <= asked->query_len)
        memcpy(right + HEADER, asked->query + HEADER, (size_t)expect->question_end - HEADER);
    for (uint32_t i = 0; i < expect->place_count; i++) {
        const struct expect_place *place = &expect->places[i];
        if (place->kind == PLACE_DATA)
            store_be32(right + place->at, data + place->add);
        else
            memcpy(right + place->at, label, TRUTH_LABEL);
    }
    for (size_t i = 0; i < expect->ttl_count; i++) {
        uint32_t ttl = load_be32(reply + expect->ttls[i]);
        if (ttl <= ttl_max)
            store_be32(right + expect->ttls[i], ttl);
    }
    if (expect->cookie) {
        size_t server = (size_t)expect->cookie + ASK_COOKIE_CLIENT;
        memcpy(right + expect->cookie, asked->cookie->client, ASK_COOKIE_CLIENT);
        memcpy(right + server, reply + server, ASK_COOKIE_SERVER);
    }
}

// A reply to this query without any record but OPT.
static bool plain_reply(const struct asked *asked, const uint8_t *reply, size_t len)
{
    size_t end = question_end(asked->query, asked->query_len);
    if (len < HEADER || memcmp(reply, asked->query, 2) != 0 || !(reply[2] & 0x80) ||
        load_be32(reply + 6) != 0)
        return false;
    if (load_be16(reply + 4) == 0)
        return true;
    return end > HEADER && len >= end && load_be16(reply + 4) == 1 &&
           memcmp(reply + HEADER, asked->query + HEADER, end - HEADER) == 0;
}

static bool is_right(const struct expect *expect, const struct asked *asked, uint32_t ttl_max,
                     const uint8_t *reply, size_t len, uint8_t *right)
{
    if (len != expect->len)
        return false;
    right_make(expect, asked, ttl_max, reply, right);
    return memcmp(reply, right, len) == 0;
}

// Of a stale answer: the right one with its TTL, and with EDNS the reason.
static bool is_stale(const struct expect *expect, const struct asked *asked, const uint8_t *reply,
                     size_t len, uint8_t *right)
{
    static const uint8_t ede[] = {0, 15, 0, 2, 0, 3}; // Stale Answer (RFC 8914 4.4)
    static uint8_t plain[EXPECT_REPLY_MAX];
    if (asked->shape->odd || families[asked->shape->family].ttl >= STALE_TTL_S)
        return false;
    if (!expect->opt_size)
        return is_right(expect, asked, STALE_TTL_S, reply, len, right);
    if (len != expect->len + sizeof ede || memcmp(reply + len - sizeof ede, ede, sizeof ede) != 0)
        return false;
    len -= sizeof ede;
    memcpy(plain, reply, len);
    uint16_t size = load_be16(plain + expect->opt_size);
    store_be16(plain + expect->opt_size, (uint16_t)(size - sizeof ede));
    return is_right(expect, asked, STALE_TTL_S, plain, len, right);
}

enum verdict expect_judge(const struct expect *expect, const struct asked *asked, bool limits,
                          const uint8_t *reply, size_t len, uint8_t right[static EXPECT_REPLY_MAX],
                          size_t *right_len)
{
    bool stale = !expect->silent && is_stale(expect, asked, reply, len, right);
    if (stale || (!expect->silent &&
                  is_right(expect, asked, families[asked->shape->family].ttl, reply, len, right)))
        return VERDICT_RIGHT;
    *right_len = len == expect->len ? len : 0;
    if (expect->silent || !plain_reply(asked, reply, len))
        return VERDICT_WRONG;
    unsigned code = reply[3] & 15;
    if (code == RCODE_SERVFAIL && !asked->shape->odd && load_be16(reply + 4) == 1)
        return VERDICT_FAILED;
    // The last is BADCOOKIE, whose lower bits these are (RFC 7873 8).
    bool limited = reply[2] & TC || code == RCODE_REFUSED || code == (RCODE_BADCOOKIE & 15);
    return limits && limited ? VERDICT_LIMITED : VERDICT_WRONG;
}
