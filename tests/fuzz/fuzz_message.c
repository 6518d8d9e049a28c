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
        assert(opt.owner.len == 1 && opt.data_len == (ede == EDE_NONE ? 0 : 6));
        assert(!(opt.ttl & 0x8000) == !query->dnssec_ok && !(opt.ttl & 0xff7fff));
        said |= opt.ttl >> 24 << 4;
        assert(said == rcode);
    }
    assert(said == (query->edns ? rcode : rcode & 0x0fu) && !strict_rest(&m));
    free(out);
}

// The query that goes upstream is one that we would take ourselves, with the same key.
static void forward_try(const struct key *key)
{
    uint8_t *out = malloc(MESSAGE_UDP_MIN);
    struct query query;
    struct key again;
    assert(out);
    size_t len = upstream_query_write(out, 7, key_name(key), key_name_len(key), key_type(key),
                                      key_class(key), key_flags(key) & KEY_CD,
                                      key_flags(key) & KEY_DO, UPSTREAM_UDP_SIZE, NULL);
    uint8_t *exact = realloc(out, len);
    out = exact ? exact : out;
    assert(query_read(&query, out, len) == QUERY_GOOD);
    assert(query.id == 7 && query.edns && query.udp_size == UPSTREAM_UDP_SIZE);
    key_make(&again, &query, SEED);
    assert(again.hash == key->hash && again.len == key->len);
    assert(memcmp(again.bytes, key->bytes, key->len) == 0);
    free(out);
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
    forward_try(&key);
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
    }
    if (verdict == QUERY_GOOD)
        good_try(&query, bytes, len);
    free(bytes);
    return 0;
}
