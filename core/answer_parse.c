// SPDX-License-Identifier: MIT
#include "core/answer.h"

#include "core/reply_records.h"
#include "core/wire/inet_sum.h"

#include <assert.h>

enum {
    TTL_COUNT_MAX = REPLY_RECORDS_MAX,
    LEVEL_REACH = 64,
};

// Where one answer is being made.
struct parsing {
    struct rebuild rebuild;
    struct reply_records records;
    uint16_t ttl_places[TTL_COUNT_MAX];
    unsigned ttl_count;
    uint16_t counts[SECTIONS]; // records written
    uint32_t ttl_lowest;
    uint16_t rcode;
    bool soa; // there is one in the authority section: the answer is negative
};

// How long a record may be kept, as its TTL and the limits say. One with its top bit set is 0 (RFC
// 2181 8). A negative answer's SOA counts with the lower of its TTL and MINIMUM, its last four
// octets (RFC 2308 5).
static uint32_t ttl_of(const struct reply_record *record, const uint8_t *reply, bool negative,
                       const struct answer_limits *limits)
{
    uint32_t ttl = record->ttl > ANSWER_TTL_MAX ? 0 : record->ttl;
    if (negative) {
        uint32_t minimum = load_be32(reply + record->data_at + record->data_len - 4);
        ttl = minimum < ttl ? minimum : ttl;
        ttl = limits->ttl_negative_max_s < ttl ? limits->ttl_negative_max_s : ttl;
    }
    ttl = ttl > limits->ttl_min_s ? ttl : limits->ttl_min_s;
    return ttl < limits->ttl_max_s ? ttl : limits->ttl_max_s;
}

static void ttls_limit(struct parsing *t, const struct answer_limits *limits)
{
    struct reply_records *records = &t->records;
    unsigned authority = reply_section_begin(records, SECTION_AUTHORITY);
    for (unsigned i = 0; i < records->ends[SECTION_ADDITIONAL]; i++) {
        struct reply_record *record = &records->all[i];
        bool negative =
            record->type == TYPE_SOA && i >= authority && i < records->ends[SECTION_AUTHORITY];
        t->soa |= negative;
        record->ttl = ttl_of(record, records->reader.bytes, negative, limits);
    }
}

// An RRset is what shares owner, type and class (RFC 2181 5); signatures belong to the type they
// cover (RFC 4034 3).
static bool same_set(const struct reply_record *a, const struct reply_record *b)
{
    return a->owner == b->owner && a->type == b->type && a->covered == b->covered && a->rank != 0 &&
           b->rank != 0;
}

// Makes the TTLs of each RRset equal to its lowest (RFC 2181 5.2). Records of a set stand together
// or nearly so; looking back a bounded way keeps a hostile message from costing its square.
static void rrsets_level(struct parsing *t)
{
    struct reply_record *all = t->records.all;
    for (unsigned i = 1; i < t->records.ends[SECTION_ADDITIONAL]; i++) {
        unsigned reach = i < LEVEL_REACH ? i : LEVEL_REACH;
        for (unsigned j = i - reach; j < i; j++) {
            if (!same_set(&all[i], &all[j]))
                continue;
            uint32_t lowest = all[i].ttl < all[j].ttl ? all[i].ttl : all[j].ttl;
            all[i].ttl = all[j].ttl = lowest;
        }
    }
}

static bool record_write(struct parsing *t, const struct reply_record *chosen, unsigned section)
{
    struct reply_records *records = &t->records;
    records->reader.at = chosen->at;
    size_t place = rebuild_copy(&t->rebuild, &records->reader, &records->seen, chosen->ttl);
    if (place == 0)
        return false;
    t->ttl_places[t->ttl_count++] = (uint16_t)place;
    t->counts[section]++;
    if (chosen->ttl < t->ttl_lowest)
        t->ttl_lowest = chosen->ttl;
    return true;
}

static bool section_write(struct parsing *t, unsigned section, unsigned ranks)
{
    const struct reply_records *records = &t->records;
    for (unsigned rank = 1; rank <= ranks; rank++) {
        for (unsigned i = reply_section_begin(records, section); i < records->ends[section]; i++) {
            if (records->all[i].rank == rank && !record_write(t, &records->all[i], section))
                return false;
        }
    }
    return true;
}

static bool sections_write(struct parsing *t)
{
    return section_write(t, SECTION_ANSWER, t->records.ranks) &&
           section_write(t, SECTION_AUTHORITY, 1) && section_write(t, SECTION_ADDITIONAL, 1);
}

static uint32_t lifetime(const struct parsing *t)
{
    if (t->rcode != RCODE_NOERROR && t->rcode != RCODE_NXDOMAIN)
        return 0;
    // A chain of CNAMEs alone says nothing about what it leads to.
    bool negative = t->rcode == RCODE_NXDOMAIN || !t->records.answered;
    return negative && !t->soa ? 0 : t->ttl_lowest;
}

// YXDOMAIN says that the name, with what a DNAME makes of it, is too long; then that stands there.
static bool is_answer(const struct parsing *t)
{
    if (t->rcode == RCODE_NOERROR || t->rcode == RCODE_NXDOMAIN)
        return true;
    const struct reply_records *r = &t->records;
    for (unsigned i = 0; t->rcode == RCODE_YXDOMAIN && i < r->ends[SECTION_ANSWER]; i++) {
        if (r->all[i].type == TYPE_DNAME && r->all[i].rank != 0)
            return true;
    }
    return false;
}

static void header_write(uint8_t *out, const struct parsing *t, uint8_t rcode, bool truncated)
{
    memset(out, 0, 2);
    out[2] = HEADER_QR | (truncated ? HEADER_TC : 0);
    out[3] = (uint8_t)(HEADER_RA | rcode);
    store_be16(out + 4, 1);
    for (unsigned section = 0; section < SECTIONS; section++)
        store_be16(out + 6 + 2 * section, t->counts[section]);
}

// Finds the addresses of the answer's own RRset: records of the type asked for, one behind the
// other, each with an owner that is a pointer, so that all are equally long.
static void rotation_find(struct answer_trailer *trailer, const struct parsing *t, uint16_t type)
{
    size_t data_len = type == TYPE_A ? 4 : 16;
    if (type != TYPE_A && type != TYPE_AAAA)
        return;
    const uint8_t *out = t->rebuild.out.bytes;
    size_t stride = ANSWER_ADDRESS_HEAD + data_len;
    trailer->flags = type == TYPE_AAAA ? ANSWER_IPV6 : 0;
    for (unsigned i = 0; i < t->counts[SECTION_ANSWER] && trailer->rotate_count < ANSWER_ROTATE_MAX;
         i++) {
        const uint8_t *record = out + t->ttl_places[i] - 6; // pointer, type, class, TTL
        bool wanted = load_be16(record) >= 0xc000 && load_be16(record + 2) == type &&
                      load_be16(record + 10) == data_len;
        bool next = trailer->rotate_count == 0 ||
                    (size_t)(t->ttl_places[i] - t->ttl_places[i - 1]) == stride;
        if (!wanted || !next) {
            if (trailer->rotate_count > 0)
                return;
            continue;
        }
        if (trailer->rotate_count++ == 0)
            trailer->rotate_at = (uint16_t)(t->ttl_places[i] + 6);
    }
}

static void tail_write(struct answer *answer, const struct parsing *t, const struct key *key)
{
    struct writer tail = {.bytes = answer->value, .size = ANSWER_SIZE_MAX, .at = t->rebuild.out.at};
    struct answer_trailer trailer = {
        .message_len = (uint16_t)t->rebuild.out.at,
        .ttl_count = (uint16_t)t->ttl_count,
    };
    size_t records_at = MESSAGE_HEADER_LEN + key_name_len(key) + 4u;
    trailer.sum = inet_sum(answer->value + records_at, trailer.message_len - records_at);
    rotation_find(&trailer, t, key_type(key));
    for (unsigned i = 0; i < t->ttl_count; i++)
        write_bytes(&tail, &t->ttl_places[i], sizeof t->ttl_places[i]);
    write_bytes(&tail, &trailer, sizeof trailer);
    assert(!tail.failed);
    answer->len = (uint32_t)tail.at;
}

void answer_begin(struct rebuild *b, uint8_t *out, const struct key *key, uint64_t seed)
{
    struct name question = {.len = key_name_len(key)};
    memcpy(question.bytes, key_name(key), question.len);
    rebuild_begin(b, out, MESSAGE_LEN_MAX, seed);
    rebuild_name(b, &question, true);
    write_u16(&b->out, key_type(key));
    write_u16(&b->out, key_class(key));
}

// The value begins with the header, which is written at the end, and the question.
static void front_write(struct parsing *t, uint8_t *value, const struct key *key,
                        const struct answer_limits *limits)
{
    answer_begin(&t->rebuild, value, key, limits->seed);
    t->ttl_count = 0;
    t->counts[SECTION_ANSWER] = t->counts[SECTION_AUTHORITY] = t->counts[SECTION_ADDITIONAL] = 0;
    t->ttl_lowest = UINT32_MAX;
    t->soa = false;
}

// Reads the records, and writes those that are passed on. If that is longer than a message may be,
// no client can have it, whichever upstream sends it.
static enum reply_verdict records_parse(struct parsing *t, struct answer *answer,
                                        const uint8_t *reply, size_t len, const struct key *key,
                                        const struct answer_limits *limits)
{
    if (!reply_records_read(&t->records, reply, len, key, limits->seed))
        return REPLY_MALFORMED;
    t->rcode |= (uint16_t)(t->records.opt.owner.len ? t->records.opt.ttl >> 24 << 4 : 0);
    reply_records_pick(&t->records, key);
    ttls_limit(t, limits);
    rrsets_level(t);
    if (sections_write(t))
        return REPLY_GOOD;
    answer->too_long = t->rebuild.out.failed;
    return answer->too_long ? REPLY_GOOD : REPLY_MALFORMED;
}

void answer_set_malformed(struct answer *answer)
{
    answer->rcode_heard = answer->rcode = RCODE_SERVFAIL;
    answer->answers = answer->truncated = answer->too_long = false;
    answer->edns = answer->denies = false;
    answer->options_len = 0;
    answer->lifetime_s = 0;
}

enum reply_verdict answer_parse(struct answer *answer, const uint8_t *reply, size_t len,
                                const struct key *key, const struct answer_limits *limits)
{
    struct parsing t; // too large to be cleared for each reply
    t.rcode = reply[3] & HEADER_RCODE;
    t.records.opt.owner.len = t.records.opt.data_len = 0;
    t.records.opt.data_at = 0;
    t.records.answered = false;
    front_write(&t, answer->value, key, limits);
    answer->too_long = false;
    // A truncated reply may end anywhere; nothing in it is used but the fact.
    answer->truncated = reply[2] & HEADER_TC;
    if (!answer->truncated && records_parse(&t, answer, reply, len, key, limits) != REPLY_GOOD) {
        answer_set_malformed(answer);
        return REPLY_MALFORMED;
    }
    // An extended rcode speaks of our hop (BADVERS, BADCOOKIE); its lower half would say anything.
    answer->rcode_heard = t.rcode;
    answer->rcode = t.rcode > HEADER_RCODE ? RCODE_SERVFAIL : (uint8_t)t.rcode;
    answer->answers = !answer->truncated && !answer->too_long && is_answer(&t);
    answer->edns = t.records.opt.owner.len != 0;
    answer->options = reply + t.records.opt.data_at;
    answer->options_len = t.records.opt.data_len;
    if (answer->too_long) {
        answer->rcode = RCODE_SERVFAIL;
        front_write(&t, answer->value, key, limits);
    }
    header_write(answer->value, &t, answer->rcode, answer->truncated);
    answer->lifetime_s = answer->truncated || answer->too_long ? 0 : lifetime(&t);
    answer->denies =
        answer->rcode == RCODE_NXDOMAIN && !answer->truncated && load_be16(reply + 6) == 0;
    tail_write(answer, &t, key);
    return REPLY_GOOD;
}
