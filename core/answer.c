// SPDX-License-Identifier: MIT
#include "core/answer.h"

#include "core/wire/rebuild.h"

#include <assert.h>

enum {
    TTL_COUNT_MAX = 6000,
    LEVEL_REACH = 64,
    ADDRESS_RECORD_HEAD = 12,
    ROTATE_MAX = 64,
    TTL_VALID_MAX = 0x7fffffff
};

// Some servers that do not know EDNS answer with a header alone (RFC 6891 7 asks for FORMERR).
static bool is_bare(const uint8_t *reply, uint16_t id)
{
    unsigned rcode = reply[3] & HEADER_RCODE;
    return load_be16(reply) == id && load_be16(reply + 4) == 0 &&
           (rcode == RCODE_FORMERR || rcode == RCODE_NOTIMP);
}

enum reply_verdict reply_match(const uint8_t *reply, size_t len, uint16_t id, const struct key *key,
                               const struct name_case *spelling)
{
    if (len < MESSAGE_HEADER_LEN || !(reply[2] & HEADER_QR))
        return REPLY_GARBAGE;
    if (is_bare(reply, id))
        return REPLY_BARE;
    if (load_be16(reply) != id || reply[2] & HEADER_OPCODE || load_be16(reply + 4) != 1)
        return REPLY_QUESTION;

    size_t name_len = key_name_len(key);
    const uint8_t *question = reply + MESSAGE_HEADER_LEN;
    if (len < MESSAGE_HEADER_LEN + name_len + 4)
        return REPLY_QUESTION;
    uint8_t name[NAME_MAX_LEN];
    name_lower(name, question, name_len);
    if (memcmp(name, key_name(key), name_len) != 0 ||
        load_be16(question + name_len) != key_type(key) ||
        load_be16(question + name_len + 2) != key_class(key))
        return REPLY_QUESTION;
    name_case_apply(spelling, name, name_len);
    return memcmp(name, question, name_len) == 0 ? REPLY_GOOD : REPLY_SPELLING;
}

// Where one answer is being made.
struct taking {
    struct rebuild rebuild;
    struct reader reader;
    uint16_t *ttl_places; // TTL_COUNT_MAX, as the next: too many to be cleared for each reply
    uint32_t *rrsets;     // of each record: equal for those of one RRset
    unsigned ttl_count;
    uint16_t counts[3]; // records written, by section
    uint32_t ttl_lowest;
    uint16_t asked; // the type
    bool answered;  // there is a record of it in the answer section
    bool soa;       // there is one in the authority section: the answer is negative
    uint16_t rcode;
    struct record opt; // its owner's length is 0 where there was none
};

// RFC 2181 8: a TTL with its top bit set is 0.
static uint32_t ttl_of(const struct record *record)
{
    return record->ttl > TTL_VALID_MAX ? 0 : record->ttl;
}

// How long a negative answer may be kept: the lower of its SOA's TTL and MINIMUM, the last of the
// five numbers behind the SOA's two names (RFC 2308 5). Without all of them nobody knows.
static uint32_t negative_ttl(const struct record *record, const struct reader *message,
                             uint32_t ttl_negative_max_s)
{
    uint32_t ttl = record->ttl < ttl_negative_max_s ? record->ttl : ttl_negative_max_s;
    struct reader data = {
        .bytes = message->bytes, .len = record->data_at + record->data_len, .at = record->data_at};
    if (!name_skip(&data) || !name_skip(&data) || data.len - data.at != 20)
        return 0;
    uint32_t minimum = load_be32(data.bytes + data.len - 4);
    return minimum < ttl ? minimum : ttl;
}

// An RRset is what shares owner, type and class (RFC 2181 5); signatures belong to the type they
// cover (RFC 4034 3).
static uint32_t rrset_of(const struct record *record, const struct reader *message)
{
    uint32_t hash = name_hash(record->owner.bytes, record->owner.len);
    uint32_t covered = 0;
    if (record->type == TYPE_RRSIG && record->data_len >= 2)
        covered = load_be16(message->bytes + record->data_at);
    return (hash ^ (uint32_t)record->type << 16 ^ record->class) * 2654435761u ^ covered;
}

static bool record_take(struct taking *t, struct record *record, unsigned section,
                        const struct answer_limits *limits)
{
    if (record->type == TYPE_OPT) {
        t->rcode |= (uint16_t)(record->ttl >> 24 << 4);
        t->opt = *record;
        return record->owner.len == 1;
    }
    if (record->type == TYPE_TSIG)
        return true;
    record->ttl = ttl_of(record);
    if (section == 0 && (record->type == t->asked || t->asked == TYPE_ANY))
        t->answered = true;
    if (section == 1 && record->type == TYPE_SOA) {
        t->soa = true;
        record->ttl = negative_ttl(record, &t->reader, limits->ttl_negative_max_s);
    }
    if (record->ttl < limits->ttl_min_s)
        record->ttl = limits->ttl_min_s;
    if (record->ttl > limits->ttl_max_s)
        record->ttl = limits->ttl_max_s;
    size_t place = rebuild_record(&t->rebuild, record, &t->reader);
    // Each record takes at least 11 octets, so there are never too many for a message.
    if (place == 0 || place > UINT16_MAX || t->ttl_count == TTL_COUNT_MAX)
        return false;
    t->rrsets[t->ttl_count] = rrset_of(record, &t->reader);
    t->ttl_places[t->ttl_count++] = (uint16_t)place;
    t->counts[section]++;
    if (record->ttl < t->ttl_lowest)
        t->ttl_lowest = record->ttl;
    return true;
}

static bool records_take(struct taking *t, const uint8_t *reply, const struct answer_limits *limits)
{
    for (unsigned section = 0; section < 3; section++) {
        unsigned count = load_be16(reply + 6 + 2 * section);
        for (unsigned i = 0; i < count; i++) {
            struct record record;
            if (!record_read(&t->reader, &record) || !record_take(t, &record, section, limits))
                return false;
        }
    }
    return true;
}

// Makes the TTLs of each RRset equal to its lowest (RFC 2181 5.2). Records of a set stand together
// or nearly so; looking back a bounded way keeps a hostile message from costing its square.
static void rrsets_level(struct taking *t)
{
    uint8_t *out = t->rebuild.out.bytes;
    for (unsigned i = 1; i < t->ttl_count; i++) {
        unsigned reach = i < LEVEL_REACH ? i : LEVEL_REACH;
        for (unsigned j = i - reach; j < i; j++) {
            if (t->rrsets[i] != t->rrsets[j])
                continue;
            uint32_t a = load_be32(out + t->ttl_places[i]), b = load_be32(out + t->ttl_places[j]);
            store_be32(out + t->ttl_places[i], a < b ? a : b);
            store_be32(out + t->ttl_places[j], a < b ? a : b);
        }
    }
}

static uint32_t lifetime(const struct taking *t)
{
    if (t->rcode != RCODE_NOERROR && t->rcode != RCODE_NXDOMAIN)
        return 0;
    // A chain of CNAMEs alone says nothing about what it leads to.
    bool negative = t->rcode == RCODE_NXDOMAIN || !t->answered;
    return negative && !t->soa ? 0 : t->ttl_lowest;
}

static void header_write(uint8_t *out, const uint8_t *reply, const struct taking *t, uint8_t rcode)
{
    memset(out, 0, 2);
    out[2] = HEADER_QR;
    out[3] = (uint8_t)(HEADER_RA | rcode);
    store_be16(out + 4, 1);
    for (unsigned section = 0; section < 3; section++)
        store_be16(out + 6 + 2 * section, t->counts[section]);
    out[2] |= reply[2] & HEADER_TC;
}

// Finds the addresses of the answer's own RRset: records of the type asked for, one behind the
// other, each with an owner that is a pointer, so that all are equally long.
static void rotation_find(struct answer_trailer *trailer, const struct taking *t, uint16_t type)
{
    size_t data_len = type == TYPE_A ? 4 : 16;
    if (type != TYPE_A && type != TYPE_AAAA)
        return;
    const uint8_t *out = t->rebuild.out.bytes;
    trailer->rotate_stride = (uint16_t)(ADDRESS_RECORD_HEAD + data_len);
    for (unsigned i = 0; i < t->counts[0] && trailer->rotate_count < ROTATE_MAX; i++) {
        const uint8_t *record = out + t->ttl_places[i] - 6; // pointer, type, class, TTL
        bool wanted = load_be16(record) >= 0xc000 && load_be16(record + 2) == type &&
                      load_be16(record + 10) == data_len;
        bool next = trailer->rotate_count == 0 ||
                    (t->rrsets[i] == t->rrsets[i - 1] &&
                     t->ttl_places[i] - t->ttl_places[i - 1] == trailer->rotate_stride);
        if (!wanted || !next) {
            if (trailer->rotate_count > 0)
                return;
            continue;
        }
        if (trailer->rotate_count++ == 0)
            trailer->rotate_at = (uint16_t)(t->ttl_places[i] + 6);
    }
}

static void tail_write(struct answer *answer, const struct taking *t, const struct key *key)
{
    struct writer tail = {.bytes = answer->value, .size = ANSWER_SIZE_MAX, .at = t->rebuild.out.at};
    struct answer_trailer trailer = {
        .message_len = (uint16_t)t->rebuild.out.at,
        .ttl_count = (uint16_t)t->ttl_count,
    };
    rotation_find(&trailer, t, key_type(key));
    for (unsigned i = 0; i < t->ttl_count; i++)
        write_bytes(&tail, &t->ttl_places[i], sizeof t->ttl_places[i]);
    write_bytes(&tail, &trailer, sizeof trailer);
    assert(!tail.failed);
    answer->len = (uint32_t)tail.at;
}

enum reply_verdict answer_take(struct answer *answer, const uint8_t *reply, size_t len,
                               const struct key *key, const struct answer_limits *limits)
{
    uint16_t ttl_places[TTL_COUNT_MAX];
    uint32_t rrsets[TTL_COUNT_MAX];
    struct taking t = {
        .ttl_places = ttl_places,
        .rrsets = rrsets,
        .reader = reader_over(reply, len),
        .ttl_lowest = UINT32_MAX,
        .asked = key_type(key),
        .rcode = reply[3] & HEADER_RCODE,
    };
    rebuild_begin(&t.rebuild, answer->value, MESSAGE_LEN_MAX, limits->seed);
    t.reader.at = MESSAGE_HEADER_LEN + key_name_len(key) + 4u;

    struct name question = {.len = key_name_len(key)};
    memcpy(question.bytes, key_name(key), question.len);
    rebuild_name(&t.rebuild, &question, true);
    write_u16(&t.rebuild.out, key_type(key));
    write_u16(&t.rebuild.out, key_class(key));

    // A truncated reply may end anywhere; nothing in it is used but the fact.
    answer->truncated = reply[2] & HEADER_TC;
    if (!answer->truncated) {
        if (!records_take(&t, reply, limits) || t.rebuild.out.failed)
            return REPLY_GARBAGE;
        rrsets_level(&t);
    }
    // An extended rcode speaks of our hop (BADVERS, BADCOOKIE); its lower half would say anything.
    answer->rcode_heard = t.rcode;
    answer->rcode = t.rcode > HEADER_RCODE ? RCODE_SERVFAIL : (uint8_t)t.rcode;
    answer->edns = t.opt.owner.len != 0;
    answer->options = reply + t.opt.data_at;
    answer->options_len = t.opt.data_len;
    header_write(answer->value, reply, &t, answer->rcode);
    answer->lifetime_s = answer->truncated ? 0 : lifetime(&t);
    answer->denies = answer->rcode == RCODE_NXDOMAIN && !answer->truncated && t.counts[0] == 0;

    tail_write(answer, &t, key);
    return REPLY_GOOD;
}

// Gives the addresses of an RRset another order: each moves `turn` places on. Owners, types and
// TTLs are the same for all, so only the data moves.
static void addresses_rotate(uint8_t *out, const struct answer_trailer *trailer, uint32_t turn)
{
    uint8_t data[ROTATE_MAX][16];
    unsigned count = trailer->rotate_count;
    size_t len = trailer->rotate_stride - ADDRESS_RECORD_HEAD;
    uint8_t *first = out + trailer->rotate_at;
    for (unsigned i = 0; i < count; i++)
        memcpy(data[i], first + i * trailer->rotate_stride, len);
    for (unsigned i = 0; i < count; i++)
        memcpy(first + i * trailer->rotate_stride, data[(i + turn % count) % count], len);
}

// Lessens every TTL by the age. They were at least the entry's lifetime when it was kept, so what
// is still alive cannot fall below 0.
static inline void ttls_lessen(uint8_t *out, const uint8_t *places, unsigned count, uint32_t age_s)
{
    for (unsigned i = 0; i < count; i++) {
        uint16_t place;
        memcpy(&place, places + 2 * i, sizeof place);
        uint32_t ttl = load_be32(out + place);
        store_be32(out + place, ttl > age_s ? ttl - age_s : 0);
    }
}

// What is over gets the one TTL of stale answers.
static void ttls_set(uint8_t *out, const uint8_t *places, unsigned count, uint32_t ttl_s)
{
    for (unsigned i = 0; i < count; i++) {
        uint16_t place;
        memcpy(&place, places + 2 * i, sizeof place);
        store_be32(out + place, ttl_s);
    }
}

void answer_mark_refreshed(struct answer *answer)
{
    struct answer_trailer trailer;
    uint8_t *at = answer->value + answer->len - sizeof trailer;
    memcpy(&trailer, at, sizeof trailer);
    trailer.refreshed = 1;
    memcpy(at, &trailer, sizeof trailer);
}

bool answer_is_refreshed(const uint8_t *value, size_t value_len)
{
    struct answer_trailer trailer;
    memcpy(&trailer, value + value_len - sizeof trailer, sizeof trailer);
    return trailer.refreshed == 1;
}

struct reader answer_reader(const struct answer *answer)
{
    struct answer_trailer trailer;
    memcpy(&trailer, answer->value + answer->len - sizeof trailer, sizeof trailer);
    struct reader r = reader_over(answer->value, trailer.message_len);
    r.at = MESSAGE_HEADER_LEN;
    read_bytes(&r, name_length(r.bytes + r.at, r.len - r.at) + 4);
    return r;
}

void answer_empty(struct answer *answer)
{
    struct answer_trailer trailer = {.message_len = (uint16_t)answer_reader(answer).at,
                                     .emptied = 1};
    memset(answer->value + 6, 0, 6);
    answer->value[3] &= (uint8_t)~HEADER_RCODE;
    answer->rcode = RCODE_NOERROR;
    answer->denies = false;
    memcpy(answer->value + trailer.message_len, &trailer, sizeof trailer);
    answer->len = trailer.message_len + (uint32_t)sizeof trailer;
}

static int ede_of(const uint8_t *out, bool emptied, bool stale)
{
    if (emptied)
        return EDE_BLOCKED;
    if (!stale)
        return EDE_NONE;
    return (out[3] & HEADER_RCODE) == RCODE_NXDOMAIN ? EDE_STALE_NXDOMAIN : EDE_STALE;
}

// Finishes what has more to it than most: several addresses, options, an EDE, or being over.
[[gnu::noinline]] static size_t answer_give_more(uint8_t *out, size_t message_len,
                                                 struct answer_trailer trailer,
                                                 const struct query *query,
                                                 const struct answer_giving *giving,
                                                 const struct answer_limits *limits)
{
    if (trailer.rotate_count > 1 && limits->rotate)
        addresses_rotate(out, &trailer, giving->turn);
    if (giving->stale)
        ttls_set(out, out + message_len, trailer.ttl_count, limits->ttl_stale_s);
    size_t room = query_reply_max(query, limits->udp_payload_max) - message_len;
    int ede = ede_of(out, trailer.emptied, giving->stale);
    if (query_opt_len(query) + EDE_LEN > room)
        ede = EDE_NONE;
    return message_len +
           reply_opt_write(out + message_len, query, RCODE_NOERROR, limits->udp_payload_max, ede);
}

inline size_t answer_give(uint8_t *out, size_t out_size, size_t value_len,
                          const struct query *query, const struct answer_giving *giving,
                          const struct answer_limits *limits)
{
    struct answer_trailer trailer = {0};
    if (value_len <= out_size)
        memcpy(&trailer, out + value_len - sizeof trailer, sizeof trailer);
    size_t message_len = trailer.message_len;
    if (message_len == 0 || out[2] & HEADER_TC ||
        message_len + query_opt_len(query) > query_reply_max(query, limits->udp_payload_max))
        return reply_empty(out, query, out[3] & HEADER_RCODE, HEADER_TC, true,
                           limits->udp_payload_max, EDE_NONE);

    ttls_lessen(out, out + message_len, trailer.ttl_count, giving->age_s);
    store_be16(out, query->id);
    out[2] |= query->flags & HEADER_RD;
    out[3] |= query->checking_disabled ? HEADER_CD : 0;
    store_be16(out + 10, (uint16_t)(load_be16(out + 10) + query->edns));
    octets_copy(out + MESSAGE_HEADER_LEN, query_name(query), query->name_len + 4u);
    if (trailer.rotate_count > 1 || trailer.emptied || giving->stale || query->options)
        return answer_give_more(out, message_len, trailer, query, giving, limits);
    if (!query->edns)
        return message_len;
    opt_write(out + message_len, limits->udp_payload_max, RCODE_NOERROR, query->dnssec_ok);
    return message_len + OPT_LEN;
}

// Does what the trailer says of addresses stay within the message?
static bool rotation_check(const struct answer_trailer *trailer)
{
    if (trailer->rotate_count < 2)
        return true;
    size_t data_len = trailer->rotate_stride - (size_t)ADDRESS_RECORD_HEAD;
    size_t end = trailer->rotate_at + (trailer->rotate_count - 1u) * trailer->rotate_stride;
    return trailer->rotate_count <= ROTATE_MAX && (data_len == 4 || data_len == 16) &&
           trailer->rotate_at >= MESSAGE_HEADER_LEN && end + data_len <= trailer->message_len;
}

bool answer_check(const uint8_t *value, size_t len)
{
    struct answer_trailer trailer;
    if (len < MESSAGE_HEADER_LEN + sizeof trailer || len > ANSWER_SIZE_MAX)
        return false;
    memcpy(&trailer, value + len - sizeof trailer, sizeof trailer);
    if (len != trailer.message_len + 2u * trailer.ttl_count + sizeof trailer ||
        trailer.message_len < MESSAGE_HEADER_LEN || trailer.refreshed > 1 || trailer.emptied > 1 ||
        !rotation_check(&trailer))
        return false;
    if ((value[2] & (HEADER_QR | HEADER_OPCODE | HEADER_TC)) != HEADER_QR ||
        load_be16(value + 4) != 1)
        return false;
    struct reader r = reader_over(value, trailer.message_len);
    r.at = MESSAGE_HEADER_LEN;
    size_t name_len = name_length(value + r.at, r.len - r.at);
    if (name_len == 0 || !read_bytes(&r, name_len + 4))
        return false;

    unsigned records = 0;
    for (unsigned section = 0; section < 3; section++)
        records += load_be16(value + 6 + 2 * section);
    if (records != trailer.ttl_count)
        return false;
    for (unsigned i = 0; i < records; i++) {
        struct record record;
        uint16_t place;
        memcpy(&place, value + trailer.message_len + 2 * i, sizeof place);
        if (!record_read(&r, &record) || record.data_at - place != 6 || record.type == TYPE_OPT ||
            record.ttl > TTL_VALID_MAX)
            return false;
    }
    return r.at == r.len;
}
