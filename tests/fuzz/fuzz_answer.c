// SPDX-License-Identifier: MIT
#include "core/answer.h"
#include "tests/fuzz/answer_input.h"
#include "tests/fuzz/target.h"
#include "tests/sim/strict.h"

// Any message as an upstream's reply: parsed, cached, given out, and compared with the strict
// reader. answer_input.h says what the octets of an input are.

enum {
    RECORDS_MAX = 6000,
    DATA_MAX = 1 << 17,
    LEVEL_REACH = 64,
    QR_BIT = 0x80,
};

struct kept {
    uint8_t *value; // of its exact size
    size_t len;
    size_t message_len;
    unsigned ttl_count;
    uint32_t ttls[RECORDS_MAX];
};

static struct kept kept, again;
static uint8_t value[ANSWER_SIZE_MAX], data_a[DATA_MAX], data_b[DATA_MAX];

static bool left_out(const struct strict_record *record)
{
    return record->type == TYPE_OPT || record->type == TYPE_TSIG;
}

// Is this record of the reply the one that was kept, whose data are in data_b? What cannot be read
// may be any.
static bool records_equal(const struct strict *from, const struct strict_record *a,
                          const struct strict_record *b, int data_len)
{
    bool pointed, known;
    if (a->section != b->section || a->type != b->type || a->class != b->class ||
        !strict_equal(&a->owner, &b->owner))
        return false;
    int was_len = strict_data(from, a, data_a, sizeof data_a, &pointed, &known);
    return was_len < 0 || (was_len == data_len && memcmp(data_a, data_b, (size_t)data_len) == 0);
}

// Looks for a kept record in the reply, on from where the last one was found and then from the
// beginning, as CNAMEs may have stood behind what they lead to. The strict reader takes no pointer
// into the header, which core does no harm to take: a reply that it cannot read may hold anything.
static void record_find(struct strict *from, const uint8_t *reply, size_t len,
                        const struct strict_record *b, int data_len)
{
    struct strict_record a;
    for (unsigned round = 0; round < 2; round++) {
        while (strict_next(from, &a)) {
            if (records_equal(from, &a, b, data_len))
                return;
        }
        if (from->why)
            return;
        assert(strict_open(from, reply, len));
    }
    assert(!"nothing is made up");
}

// Where a kept CNAME leads.
static struct strict_name target_of(const struct strict *m, const struct strict_record *record)
{
    struct strict_name target;
    bool pointed, known;
    int len = strict_data(m, record, target.bytes, sizeof target.bytes, &pointed, &known);
    assert(len > 0);
    target.len = (uint8_t)len;
    return target;
}

// The answer section is the question's chain in its order, and the records at its end.
static void chain_check(const struct kept *k, uint16_t asked)
{
    struct strict m;
    struct strict_record record;
    assert(strict_open(&m, k->value, k->message_len));
    struct strict_name at = m.question;
    bool over = false;
    while (strict_next(&m, &record) && record.section == 0) {
        if (record.type == TYPE_RRSIG && asked != TYPE_RRSIG)
            continue;
        if (record.type == TYPE_DNAME && asked != TYPE_DNAME && asked != TYPE_ANY)
            continue;
        assert(strict_equal(&record.owner, &at));
        if (record.type == asked || asked == TYPE_ANY) {
            over = true;
            continue;
        }
        assert(record.type == TYPE_CNAME && !over);
        at = target_of(&m, &record);
    }
}

static void records_compare(const uint8_t *reply, size_t len, const struct kept *k)
{
    struct strict from, to;
    struct strict_record b;
    bool pointed, known;
    assert(strict_open(&to, k->value, k->message_len));
    unsigned count = 0;
    bool readable = strict_open(&from, reply, len);
    while (strict_next(&to, &b)) {
        uint16_t place;
        assert(count < k->ttl_count);
        memcpy(&place, k->value + k->message_len + 2 * count, sizeof place);
        assert(place == b.ttl_at && !left_out(&b));
        assert(b.ttl == k->ttls[count++]);
        int data_len = strict_data(&to, &b, data_b, sizeof data_b, &pointed, &known);
        // Only the types of RFC 1035 may have pointers in their data (RFC 3597 4).
        assert(data_len >= 0 && (known || !pointed));
        if (readable)
            record_find(&from, reply, len, &b, data_len);
        readable = readable && !from.why;
    }
    assert(!strict_rest(&to) && count == k->ttl_count);
}

static void trailer_read(struct kept *k, const struct answer *answer)
{
    k->len = answer->len;
    k->value = malloc(k->len);
    struct answer_trailer trailer;
    assert(k->value && k->len >= sizeof trailer);
    memcpy(k->value, answer->value, k->len);
    memcpy(&trailer, k->value + k->len - sizeof trailer, sizeof trailer);
    uint16_t message_len = trailer.message_len, ttl_count = trailer.ttl_count;
    assert(message_len + 2u * ttl_count + sizeof trailer == k->len);
    assert(answer_check(k->value, k->len) || answer->truncated);
    k->message_len = message_len;
    k->ttl_count = ttl_count;
    assert(ttl_count < RECORDS_MAX);
    for (unsigned i = 0; i < ttl_count; i++) {
        uint16_t place;
        memcpy(&place, k->value + message_len + 2 * i, sizeof place);
        assert(place + 4u <= message_len);
        k->ttls[i] = load_be32(k->value + place);
    }
}

static void limits_hold(const struct kept *k, const struct answer *answer,
                        const struct answer_limits *limits)
{
    uint32_t lowest = UINT32_MAX;
    for (unsigned i = 0; i < k->ttl_count; i++) {
        assert(k->ttls[i] >= limits->ttl_min_s && k->ttls[i] <= limits->ttl_max_s);
        lowest = k->ttls[i] < lowest ? k->ttls[i] : lowest;
    }
    assert(answer->lifetime_s == 0 || answer->lifetime_s == lowest);
    assert(!answer->truncated || (answer->lifetime_s == 0 && k->ttl_count == 0));
    assert(answer->rcode == (k->value[3] & HEADER_RCODE));
    if (answer->rcode != RCODE_NOERROR && answer->rcode != RCODE_NXDOMAIN)
        assert(answer->lifetime_s == 0);
    assert(!(k->value[2] & (HEADER_AA | HEADER_OPCODE | HEADER_RD)));
    assert(!(k->value[3] & (HEADER_AD | HEADER_CD)) && k->value[3] & HEADER_RA);
}

// Records of one set next to each other, as they always are, have one TTL (RFC 2181 5.2).
static void sets_level(const struct kept *k)
{
    struct strict m;
    struct strict_record record, before = {0};
    assert(strict_open(&m, k->value, k->message_len));
    if (k->ttl_count > LEVEL_REACH)
        return;
    for (; strict_next(&m, &record); before = record) {
        if (record.type != TYPE_RRSIG && record.type == before.type &&
            record.class == before.class && strict_equal(&record.owner, &before.owner))
            assert(record.ttl == before.ttl);
    }
}

// A sum that does not see the order of the records.
static uint32_t records_sum(struct strict *m)
{
    struct strict_record record;
    uint32_t sum = 0;
    while (strict_next(m, &record)) {
        uint32_t hash = name_hash(m->bytes + record.data_at, record.data_len);
        if (record.type != TYPE_OPT)
            sum += (hash ^ record.type) * 2654435761u ^ record.data_len;
    }
    return sum;
}

// Whatever the turn, the records are those that were stored.
static void records_same(const struct kept *k, const uint8_t *bytes, size_t len)
{
    struct strict given, whole;
    assert(strict_open(&given, bytes, len));
    assert(strict_open(&whole, k->value, k->message_len));
    assert(records_sum(&given) == records_sum(&whole));
}

// The OPT record of a stale answer has EDE 3 or 19 where there is room (RFC
// 8914 4.4, 4.20).
static void opt_check(const struct strict *m, const struct strict_record *opt, bool stale,
                      size_t room)
{
    assert(opt->data_len == (stale && room >= EDE_LEN ? EDE_LEN : 0));
    if (opt->data_len == 0)
        return;
    bool denied = (m->flags[1] & HEADER_RCODE) == RCODE_NXDOMAIN;
    assert(load_be32(m->bytes + opt->data_at) == 0x000f0002);
    assert(load_be16(m->bytes + opt->data_at + 4) == (denied ? EDE_STALE_NXDOMAIN : EDE_STALE));
}

static void give_try(const struct kept *k, const struct query *query,
                     const struct answer_giving *giving, const struct answer_limits *limits)
{
    size_t room = limits->udp_payload_max + limits->udp_payload_max / 5u + 64;
    size_t reply_max = query_reply_max(query, limits->udp_payload_max);
    uint8_t *out = malloc(room);
    struct strict m;
    struct strict_record record;
    assert(out);
    memcpy(out, k->value, k->len < room ? k->len : room);
    size_t len = answer_give(out, room, k->len, query, giving, limits);
    assert(len <= reply_max && strict_open(&m, out, len) && m.id == query->id);
    assert(memcmp(m.question.bytes, query_name(query), query->name_len) == 0);
    assert(m.question.len == query->name_len && (m.flags[1] & 15) == (k->value[3] & 15));
    bool whole = !(k->value[2] & HEADER_TC) && k->message_len + (query->edns ? 11 : 0) <= reply_max;
    assert(!(m.flags[0] & HEADER_TC) == whole);
    assert(m.counts[3] >= query->edns);
    unsigned count = 0;
    bool opt = false;
    while (strict_next(&m, &record)) {
        if (record.type == TYPE_OPT) {
            opt_check(&m, &record, giving->stale && whole, reply_max - k->message_len - OPT_LEN);
            opt = true;
            continue;
        }
        assert(whole && count < k->ttl_count);
        uint32_t ttl = k->ttls[count++];
        ttl = ttl > giving->age_s ? ttl - giving->age_s : 0;
        assert(record.ttl == (giving->stale ? limits->ttl_stale_s : ttl));
    }
    assert(!strict_rest(&m) && opt == query->edns && (!whole || count == k->ttl_count));
    if (whole)
        records_same(k, out, len);
    free(out);
}

static void answer_try(const uint8_t *reply, size_t len, const struct query *query,
                       const struct answer_limits *limits, uint32_t age_s)
{
    struct answer answer = {.value = value};
    static const struct name_case lower;
    struct key key;
    struct strict m;
    struct name_case name_case;
    key_make(&key, query, 1);
    name_case_read(&name_case, query_name(query), query->name_len);
    bool asked = reply[2] & QR_BIT && !(reply[2] & HEADER_OPCODE) && load_be16(reply + 4) == 1;
    assert((reply_match(reply, len, query->id, &key, &name_case) == REPLY_GOOD) == asked);
    assert(reply_match(reply, len, query->id ^ 1, &key, &name_case) != REPLY_GOOD);
    bool lowered = memcmp(&name_case, &lower, sizeof lower) == 0;
    if (asked)
        assert((reply_match(reply, len, query->id, &key, &lower) == REPLY_WRONG_CASE) == !lowered);
    if (!asked || answer_parse(&answer, reply, len, &key, limits) != REPLY_GOOD)
        return;
    trailer_read(&kept, &answer);
    assert(strict_open(&m, kept.value, kept.message_len));
    records_compare(reply, len, &kept);
    chain_check(&kept, key_type(&key));
    limits_hold(&kept, &answer, limits);
    sets_level(&kept);
    give_try(&kept, query, &(struct answer_giving){.age_s = age_s, .turn = age_s}, limits);
    give_try(&kept, query, &(struct answer_giving){.turn = UINT32_MAX}, limits);
    give_try(&kept, query, &(struct answer_giving){.stale = true}, limits);

    // What was written is read again as the same.
    struct answer second = {.value = value};
    uint32_t lifetime_s = answer.lifetime_s;
    assert(reply_match(kept.value, kept.message_len, 0, &key, &lower) == REPLY_GOOD);
    assert(answer_parse(&second, kept.value, kept.message_len, &key, limits) == REPLY_GOOD);
    trailer_read(&again, &second);
    assert(again.len == kept.len && second.lifetime_s == lifetime_s);
    // Only TTLs of sets that are spread wide may come nearer to each other by a second levelling.
    assert(kept.ttl_count > LEVEL_REACH || memcmp(again.value, kept.value, kept.len) == 0);
    free(again.value);
    free(kept.value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct answer_limits all_limits[4] = {
        {.ttl_max_s = 86400,
         .ttl_negative_max_s = 3600,
         .ttl_stale_s = 30,
         .udp_payload_max = 1232,
         .rotate = true},
        {.ttl_min_s = 60, .ttl_max_s = 3600, .ttl_negative_max_s = 30, .udp_payload_max = 512},
        {.ttl_max_s = 604800, .ttl_negative_max_s = 604800, .udp_payload_max = 4096},
        {.ttl_max_s = 1, .udp_payload_max = 1400},
    };
    struct answer_input input;
    if (!answer_input_read(data, size, &input))
        return 0;
    if (input.asked_len > 0)
        answer_try(input.reply, input.reply_len, &input.query, &all_limits[input.limits],
                   input.age_s);
    free(input.reply);
    return 0;
}
