// SPDX-License-Identifier: MIT
#include "core/wire/key.h"
#include "tests/fuzz/target.h"
#include "tests/sim/strict.h"

// Any datagram as a query. What is said of it must agree with the strict reader, and what is
// written in return must be readable.

enum { SEED = 42, PAYLOAD = 1232 };

static void reply_try(const struct query *query, uint16_t rcode, uint8_t extra, bool ra, int ede)
{
    uint8_t *out = malloc(MESSAGE_UDP_MIN);
    struct strict m;
    struct strict_record opt = {0};
    assert(out);
    size_t len = reply_empty(out, query, rcode, extra, ra, PAYLOAD, ede);
    assert(len <= MESSAGE_UDP_MIN && strict_open(&m, out, len));
    assert(m.id == query->id && m.flags[0] & HEADER_QR);
    assert((m.flags[0] & HEADER_OPCODE) == (query->flags & HEADER_OPCODE));
    assert((m.flags[0] & HEADER_RD) == (query->flags & HEADER_RD));
    assert((m.flags[0] & HEADER_TC) == (extra & HEADER_TC));
    assert(!(m.flags[1] & HEADER_RA) == !ra);
    assert(!(m.flags[1] & HEADER_CD) == !query->checking_disabled);
    assert(m.question.len == query->name_len);
    assert(memcmp(m.question.bytes, query_name(query), query->name_len) == 0);
    unsigned said = m.flags[1] & HEADER_RCODE;
    assert(m.counts[3] == query->edns);
    if (query->edns) {
        assert(strict_next(&m, &opt) && opt.type == TYPE_OPT && opt.class == PAYLOAD);
        size_t options_len = query->options ? query->options->len : 0;
        assert(opt.owner.len == 1 && opt.data_len == options_len + (ede == EDE_NONE ? 0 : 6));
        assert(options_len == 0 ||
               memcmp(m.bytes + opt.data_at, query->options->bytes, options_len) == 0);
        assert(!(opt.ttl & 0x8000) == !query->dnssec_ok && !(opt.ttl & 0xff7fff));
        said |= opt.ttl >> 24 << 4;
        assert(said == rcode);
    }
    assert(said == (query->edns ? rcode : rcode & 0x0fu) && !strict_rest(&m));
    free(out);
}

// The query that goes upstream is one that we would take ourselves, with the same key.
static void forward_try(const struct key *key, const struct name_case *spelling,
                        const uint8_t *cookie, uint8_t cookie_len)
{
    uint8_t *out = malloc(UPSTREAM_QUERY_MAX);
    struct query query;
    struct key again;
    const uint8_t *found = NULL;
    assert(out);
    struct upstream_query asked = {
        .name = key_name(key),
        .name_len = key_name_len(key),
        .cookie = cookie,
        .cookie_len = cookie_len,
        .name_case = spelling,
        .id = 7,
        .type = key_type(key),
        .class = key_class(key),
        .udp_size = UPSTREAM_UDP_SIZE,
        .checking_disabled = key_flags(key) & KEY_CD,
        .dnssec_ok = key_flags(key) & KEY_DO,
    };
    size_t len = upstream_query_write(out, &asked);
    uint8_t *exact = realloc(out, len);
    out = exact ? exact : out;
    assert(query_read(&query, out, len) == QUERY_GOOD);
    assert(query.id == 7 && query.edns && query.udp_size == UPSTREAM_UDP_SIZE);
    key_make(&again, &query, SEED);
    assert(again.hash == key->hash && again.len == key->len);
    assert(memcmp(again.bytes, key->bytes, key->len) == 0);
    struct name_case spelled;
    name_case_read(&spelled, query_name(&query), query.name_len);
    assert(!spelling || memcmp(&spelled, spelling, sizeof spelled) == 0);
    size_t options_at = MESSAGE_HEADER_LEN + query.name_len + 4u + OPT_LEN;
    assert(len == options_at + (cookie_len ? 4u + cookie_len : 0));
    assert(cookie_find(out + options_at, len - options_at, &found) == cookie_len);
    assert(cookie_len == 0 || memcmp(found, cookie, cookie_len) == 0);
    free(out);
}

// Any octets as the options of an OPT record: a cookie lies among them, behind its head.
static void cookie_try(const uint8_t *bytes, size_t len)
{
    const uint8_t *cookie = NULL;
    size_t cookie_len = cookie_find(bytes, len, &cookie);
    if (cookie_len == 0)
        return;
    assert(cookie_len == COOKIE_CLIENT_LEN || (cookie_len >= 16 && cookie_len <= COOKIE_MAX_LEN));
    assert(cookie >= bytes + 4 && cookie + cookie_len <= bytes + len);
    assert(load_be16(cookie - 4) == 10 && load_be16(cookie - 2) == cookie_len);
}

// What query_read remembers of a cookie is an option of the datagram, and the reply may hold one.
static void client_cookie_try(struct query query, const uint8_t *bytes, size_t len)
{
    struct reply_options options = {0};
    if (!query.cookie) {
        assert(query.cookie_len == 0);
        return;
    }
    assert(query.edns && query.cookie >= bytes + MESSAGE_HEADER_LEN + OPT_LEN + 4);
    assert(query.cookie + query.cookie_len <= bytes + len);
    assert(load_be16(query.cookie - 4) == EDNS_COOKIE);
    assert(load_be16(query.cookie - 2) == query.cookie_len);
    uint16_t kept = query.cookie_len < REPLY_OPTIONS_MAX - 4 ? query.cookie_len : 8;
    reply_options_add(&options, EDNS_COOKIE, query.cookie, kept);
    query.options = &options;
    reply_try(&query, RCODE_BADCOOKIE, 0, true, EDE_NONE);
    reply_try(&query, RCODE_REFUSED, HEADER_TC, true, EDE_PROHIBITED);
}

static void good_try(const struct query *query, const uint8_t *bytes, size_t len)
{
    struct strict m;
    struct key key, denial;
    assert(strict_open(&m, bytes, len));
    assert(m.question.len == query->name_len && m.type == query->type && m.class == CLASS_IN);
    assert(memcmp(m.question.bytes, query_name(query), query->name_len) == 0);
    assert(!(m.flags[0] & (HEADER_QR | HEADER_OPCODE | HEADER_TC)) && m.counts[1] == 0);
    assert(query->udp_size >= MESSAGE_UDP_MIN && (query->edns || !query->dnssec_ok));
    uint16_t room = query_reply_max(query, PAYLOAD);
    assert(room >= MESSAGE_UDP_MIN && room <= PAYLOAD);

    key_make(&key, query, SEED);
    uint8_t lowered[STRICT_NAME_MAX];
    strict_lower(lowered, m.question.bytes, m.question.len);
    assert(key_type(&key) == m.type && key_class(&key) == m.class);
    assert(key_name_len(&key) == m.question.len);
    assert(memcmp(key_name(&key), lowered, m.question.len) == 0);
    assert(!(key_flags(&key) & KEY_DO) == !query->dnssec_ok);
    assert(!(key_flags(&key) & KEY_CD) == !query->checking_disabled);
    assert(key.hash == key_hash(key.bytes, key.len, SEED));
    key_make_denial(&denial, &key);
    assert(denial.hash == key_hash(denial.bytes, denial.len, SEED) && denial.hash != key.hash);
    static const uint8_t cookie[COOKIE_MAX_LEN] = "forty octets that no one else may know";
    static const uint8_t cookie_lens[] = {0, COOKIE_CLIENT_LEN, 16, 24, COOKIE_MAX_LEN};
    struct name_case name_case;
    name_case_read(&name_case, query_name(query), query->name_len);
    uint8_t cookie_len = cookie_lens[query->id % sizeof cookie_lens];
    forward_try(&key, query->id & 0x100 ? &name_case : NULL, cookie, cookie_len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    size_t len = size < MESSAGE_LEN_MAX ? size : MESSAGE_LEN_MAX;
    uint8_t *bytes = input_copy(&input, &len);
    struct query query;
    enum query_verdict verdict = query_read(&query, bytes, len);
    assert((verdict == QUERY_SHORT) == (len < MESSAGE_HEADER_LEN));
    if (len >= MESSAGE_HEADER_LEN)
        assert((verdict == QUERY_RESPONSE) == !!(bytes[2] & HEADER_QR));
    if (verdict == QUERY_GOOD || verdict == QUERY_ERROR) {
        assert((verdict == QUERY_GOOD) == (query.rcode == RCODE_NOERROR));
        reply_try(&query, query.rcode, 0, true, EDE_NONE);
        reply_try(&query, RCODE_SERVFAIL, 0, true, EDE_NO_REACHABLE);
        reply_try(&query, RCODE_NOERROR, HEADER_TC, true, EDE_NONE);
        reply_try(&query, RCODE_REFUSED, 0, false, EDE_PROHIBITED);
        client_cookie_try(query, bytes, len);
        assert(!query.unasked || (query.rcode == RCODE_FORMERR && query.name_len == 0));
    }
    if (verdict == QUERY_GOOD)
        good_try(&query, bytes, len);
    cookie_try(bytes, len);
    free(bytes);
    return 0;
}
