// SPDX-License-Identifier: MIT
#include "core/answer.h"

#include "core/wire/inet_sum.h"
#include "core/wire/rebuild.h"

#include <assert.h>

_Static_assert(sizeof(struct answer_trailer) == 20, "each octet is one of every cached answer");
_Static_assert(TRANSPORTS - 1 <= ANSWER_TRANSPORT, "a transport has room in the flags");

static struct answer_trailer trailer_read(const uint8_t *value, size_t value_len)
{
    struct answer_trailer trailer;
    memcpy(&trailer, value + value_len - sizeof trailer, sizeof trailer);
    return trailer;
}

static void trailer_write(struct answer *answer, struct answer_trailer trailer)
{
    memcpy(answer->value + answer->len - sizeof trailer, &trailer, sizeof trailer);
}

// The sum of a message from behind its question on.
static uint16_t records_sum(const uint8_t *message, size_t len)
{
    size_t at = MESSAGE_HEADER_LEN;
    at += name_length(message + at, len - at) + 4;
    return inet_sum(message + at, len - at);
}

// A header with an error and neither question nor records, but perhaps an OPT.
static bool is_bare(const uint8_t *reply, uint16_t id)
{
    unsigned rcode = reply[3] & HEADER_RCODE;
    return load_be16(reply) == id && load_be32(reply + 4) == 0 && load_be16(reply + 8) == 0 &&
           load_be16(reply + 10) <= 1 && rcode >= RCODE_FORMERR && rcode <= RCODE_REFUSED;
}

enum reply_verdict reply_match(const uint8_t *reply, size_t len, uint16_t id, const struct key *key,
                               const struct name_case *name_case)
{
    if (len < MESSAGE_HEADER_LEN || !(reply[2] & HEADER_QR))
        return REPLY_GARBAGE;
    if (is_bare(reply, id))
        return REPLY_BARE;
    if (load_be16(reply) != id)
        return REPLY_QUESTION;

    size_t name_len = key_name_len(key);
    const uint8_t *question = reply + MESSAGE_HEADER_LEN;
    if (reply[2] & HEADER_OPCODE || load_be16(reply + 4) != 1 ||
        len < MESSAGE_HEADER_LEN + name_len + 4)
        return REPLY_NO_QUESTION;
    uint8_t name[NAME_MAX_LEN];
    name_lower(name, question, name_len);
    if (memcmp(name, key_name(key), name_len) != 0 ||
        load_be16(question + name_len) != key_type(key) ||
        load_be16(question + name_len + 2) != key_class(key))
        return REPLY_QUESTION;
    name_case_apply(name_case, name, name_len);
    return memcmp(name, question, name_len) == 0 ? REPLY_GOOD : REPLY_WRONG_CASE;
}

void answer_parse_bare(struct answer *answer, const uint8_t *reply, size_t len)
{
    struct record opt = {0};
    struct reader r = reader_over(reply, len);
    r.at = MESSAGE_HEADER_LEN;
    answer->edns = load_be16(reply + 10) == 1 && record_read(&r, &opt) && opt.type == TYPE_OPT &&
                   opt.owner.len == 1;
    if (!answer->edns)
        opt = (struct record){0};
    answer->rcode_heard = (uint16_t)((reply[3] & HEADER_RCODE) | opt.ttl >> 24 << 4);
    answer->rcode = RCODE_SERVFAIL;
    answer->options = reply + opt.data_at;
    answer->options_len = opt.data_len;
    answer->answers = answer->truncated = answer->denies = answer->too_long = false;
    answer->lifetime_s = 0;
}

static size_t address_len(const struct answer_trailer *trailer)
{
    return trailer->flags & ANSWER_IPV6 ? 16 : 4;
}

// Gives the addresses of an RRset another order: each moves `turn` places on. Owners, types and
// TTLs are the same for all, so only the data moves.
static void addresses_rotate(uint8_t *out, const struct answer_trailer *trailer, uint32_t turn)
{
    uint8_t data[ANSWER_ROTATE_MAX][16];
    unsigned count = trailer->rotate_count;
    size_t len = address_len(trailer), stride = len + ANSWER_ADDRESS_HEAD;
    uint8_t *first = out + trailer->rotate_at;
    for (unsigned i = 0; i < count; i++)
        memcpy(data[i], first + i * stride, len);
    for (unsigned i = 0; i < count; i++)
        memcpy(first + i * stride, data[(i + turn % count) % count], len);
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

static void flag_set(struct answer *answer, enum answer_flags flag)
{
    answer->value[answer->len - 1] |= (uint8_t)flag;
}

void answer_mark_refreshed(struct answer *answer)
{
    flag_set(answer, ANSWER_REFRESHED);
}

bool answer_is_refreshed(const uint8_t *value, size_t value_len)
{
    return value[value_len - 1] & ANSWER_REFRESHED;
}

void answer_seal(struct answer *answer, const struct answer_origin *origin)
{
    struct answer_trailer trailer = trailer_read(answer->value, answer->len);
    trailer.generation = origin->generation;
    trailer.zone = origin->zone;
    trailer.upstream = origin->upstream;
    trailer.flags &= (uint8_t) ~(ANSWER_TRANSPORT | ANSWER_VALIDATION);
    trailer.flags |= origin->transport;
    trailer.flags |= (uint8_t)(origin->validation << ANSWER_VALIDATION_SHIFT);
    trailer_write(answer, trailer);
}

struct answer_origin answer_origin(const uint8_t *value, size_t value_len)
{
    struct answer_trailer trailer = trailer_read(value, value_len);
    return (struct answer_origin){
        .generation = trailer.generation,
        .zone = trailer.zone,
        .upstream = trailer.upstream,
        .transport = trailer.flags & ANSWER_TRANSPORT,
        .validation = (trailer.flags & ANSWER_VALIDATION) >> ANSWER_VALIDATION_SHIFT,
    };
}

static struct reader records_reader(const uint8_t *value, size_t value_len)
{
    struct reader r = reader_over(value, trailer_read(value, value_len).message_len);
    r.at = MESSAGE_HEADER_LEN;
    read_bytes(&r, name_length(r.bytes + r.at, r.len - r.at) + 4);
    return r;
}

struct reader answer_reader(const struct answer *answer)
{
    return records_reader(answer->value, answer->len);
}

struct answer_chain answer_chain_of(const uint8_t *value, size_t value_len)
{
    return (struct answer_chain){.reader = records_reader(value, value_len),
                                 .left = load_be16(value + 6)};
}

// CNAMEs stand in front, with what they were made of and the signatures of both. Most answers begin
// with another type, whose owner need not be read.
bool answer_chain_next(struct answer_chain *chain, struct name *target)
{
    struct record record;
    while (chain->left > 0 && name_skip(&chain->reader) &&
           record_read_rest(&chain->reader, &record)) {
        chain->left--;
        if (record.type == TYPE_CNAME) {
            struct reader data = chain->reader;
            data.at = record.data_at;
            return name_read(&data, target);
        }
        if (record.type != TYPE_DNAME && record.type != TYPE_RRSIG)
            break;
    }
    chain->left = 0;
    return false;
}

void answer_withhold(struct answer *answer)
{
    flag_set(answer, ANSWER_WITHHELD);
    answer->denies = false;
}

void answer_empty(struct answer *answer)
{
    struct answer_trailer trailer = {.message_len = (uint16_t)answer_reader(answer).at,
                                     .flags = ANSWER_WITHHELD};
    memset(answer->value + 6, 0, 6);
    answer->value[3] &= (uint8_t)~HEADER_RCODE;
    answer->rcode = RCODE_NOERROR;
    answer->denies = false;
    answer->len = trailer.message_len + (uint32_t)sizeof trailer;
    trailer_write(answer, trailer);
}

bool answer_is_withheld(const uint8_t *value, size_t value_len)
{
    return value[value_len - 1] & ANSWER_WITHHELD;
}

void answer_leave_out_additional(struct answer *answer)
{
    struct reader r = answer_reader(answer);
    const uint8_t *places = answer->value + r.len;
    unsigned count = load_be16(answer->value + 6) + (unsigned)load_be16(answer->value + 8);
    struct record record;
    struct answer_trailer trailer = trailer_read(answer->value, answer->len);
    for (unsigned i = 0; i < count; i++) {
        bool read = record_read(&r, &record);
        assert(read); // we have written it
    }
    trailer.message_len = (uint16_t)r.at;
    trailer.ttl_count = (uint16_t)count;
    store_be16(answer->value + 10, 0);
    memmove(answer->value + r.at, places, 2 * (size_t)count);
    trailer.sum = records_sum(answer->value, r.at);
    answer->len = (uint32_t)(r.at + 2 * (size_t)count + sizeof trailer);
    trailer_write(answer, trailer);
}

static int ede_of(const uint8_t *out, bool withheld, bool stale)
{
    if (withheld)
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
    int ede = ede_of(out, trailer.flags & ANSWER_WITHHELD, giving->stale);
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
    if (trailer.rotate_count > 1 || trailer.flags & ANSWER_WITHHELD || giving->stale ||
        query->options)
        return answer_give_more(out, message_len, trailer, query, giving, limits);
    if (!query->edns)
        return message_len;
    opt_write(out + message_len, limits->udp_payload_max, RCODE_NOERROR, query->dnssec_ok);
    return message_len + OPT_LEN;
}

// Is this record the next of the addresses that take turns, of which so many have been found?
static bool rotates(const struct answer_trailer *trailer, const struct record *record,
                    unsigned found)
{
    size_t len = address_len(trailer);
    return found < trailer->rotate_count && record->data_len == len &&
           record->data_at == trailer->rotate_at + found * (len + ANSWER_ADDRESS_HEAD);
}

static bool trailer_check(const struct answer_trailer *trailer, size_t len)
{
    return len == trailer->message_len + 2u * trailer->ttl_count + sizeof *trailer &&
           trailer->message_len >= MESSAGE_HEADER_LEN &&
           (trailer->flags & ANSWER_TRANSPORT) < TRANSPORTS &&
           trailer->rotate_count <= ANSWER_ROTATE_MAX;
}

bool answer_check(const uint8_t *value, size_t len)
{
    if (len < MESSAGE_HEADER_LEN + sizeof(struct answer_trailer) || len > ANSWER_SIZE_MAX)
        return false;
    struct answer_trailer trailer = trailer_read(value, len);
    if (!trailer_check(&trailer, len))
        return false;
    if ((value[2] & (HEADER_QR | HEADER_OPCODE | HEADER_TC)) != HEADER_QR ||
        load_be16(value + 4) != 1)
        return false;
    struct reader r = reader_over(value, trailer.message_len);
    r.at = MESSAGE_HEADER_LEN;
    size_t name_len = name_length(value + r.at, r.len - r.at);
    if (name_len == 0 || !read_bytes(&r, name_len + 4) ||
        inet_sum(value + r.at, r.len - r.at) != trailer.sum)
        return false;

    unsigned records = 0, addresses = 0;
    for (unsigned section = 0; section < 3; section++)
        records += load_be16(value + 6 + 2 * section);
    if (records != trailer.ttl_count)
        return false;
    for (unsigned i = 0; i < records; i++) {
        struct record record;
        uint16_t place;
        memcpy(&place, value + trailer.message_len + 2 * i, sizeof place);
        if (!record_read(&r, &record) || record.data_at - place != 6 || record.type == TYPE_OPT ||
            record.ttl > ANSWER_TTL_MAX)
            return false;
        addresses += rotates(&trailer, &record, addresses);
    }
    return r.at == r.len && addresses == trailer.rotate_count;
}
