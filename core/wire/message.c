// SPDX-License-Identifier: MIT
#include "core/wire/message.h"

#include "core/wire/rebuild.h"

#include <assert.h>

enum {
    RECORD_FIXED_LEN = 10, // of a record, between its owner and its data
    EDNS_VERSION = 0,
    OPTION_EDE = 15,
    OPT_TTL_DO = 0x8000,
};

// Of several cookies the first one counts (RFC 7873 5.2). A client's keepalive must be empty (RFC
// 7828 3.2.1); what else it says of that and of NSID (RFC 5001 2.1) is ignored.
static void option_parse(struct query *query, uint16_t code, const uint8_t *bytes, uint16_t len)
{
    switch (code) {
    case EDNS_COOKIE:
        if (query->asks & ASKS_COOKIE)
            return;
        query->asks |= ASKS_COOKIE;
        query->cookie = bytes;
        query->cookie_len = len;
        return;
    case EDNS_NSID:
        query->asks |= ASKS_NSID;
        return;
    case EDNS_KEEPALIVE:
        query->asks |= len == 0 ? ASKS_KEEPALIVE : 0;
        return;
    default:
        return;
    }
}

// Walks an OPT record's options; each must lie within the record.
static bool options_parse(struct query *query, const uint8_t *data, size_t len)
{
    struct reader r = reader_over(data, len);
    while (!r.failed && r.at < r.len) {
        uint16_t code = read_u16(&r);
        uint16_t option_len = read_u16(&r);
        const uint8_t *bytes = read_bytes(&r, option_len);
        if (bytes)
            option_parse(query, code, bytes, option_len);
    }
    return !r.failed;
}

static bool opt_parse(struct query *query, uint16_t size, uint32_t ttl, const uint8_t *data,
                      size_t len)
{
    bool first = !query->edns;
    query->edns = true;
    query->udp_size = size < MESSAGE_UDP_MIN ? MESSAGE_UDP_MIN : size;
    query->dnssec_ok = ttl & OPT_TTL_DO;
    if ((ttl >> 16 & 0xff) != EDNS_VERSION)
        query->rcode = RCODE_BADVERS;
    return first && (len == 0 || options_parse(query, data, len));
}

// Any record. The owner of an OPT is the root (RFC 6891 6.1.2), even if a pointer says so; no other
// owner means anything, so nothing is followed that clients may make long.
static bool record_parse(struct query *query, struct reader *r)
{
    struct reader start = *r;
    struct record record;
    if (!name_skip(r))
        return false;
    if (r->len - r->at < 2 || load_be16(r->bytes + r->at) != TYPE_OPT) {
        read_bytes(r, RECORD_FIXED_LEN - 2);
        uint16_t data_len = read_u16(r);
        return read_bytes(r, data_len) != NULL;
    }
    *r = start;
    if (!record_read(r, &record))
        return false;
    bool good =
        opt_parse(query, record.class, record.ttl, r->bytes + record.data_at, record.data_len);
    return good && record.owner.len == 1;
}

// Reads the records behind the question. Only an OPT means anything to us, and nearly always it is
// the only one and at the root: it is read without the detour of a name.
static bool records_parse(struct query *query, struct reader *r, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const uint8_t *at = r->bytes + r->at;
        if (r->len - r->at >= OPT_LEN && at[0] == 0 && load_be16(at + 1) == TYPE_OPT) {
            uint16_t len = load_be16(at + 9);
            r->at += OPT_LEN;
            const uint8_t *data = read_bytes(r, len);
            if (!data || !opt_parse(query, load_be16(at + 3), load_be32(at + 5), data, len))
                return false;
            continue;
        }
        if (!record_parse(query, r))
            return false;
    }
    return true;
}

static bool question_parse(struct query *query, struct reader *r)
{
    size_t name_len = name_length(r->bytes + r->at, r->len - r->at);
    read_bytes(r, name_len);
    uint16_t type = read_u16(r);
    uint16_t class = read_u16(r);
    if (name_len == 0 || r->failed)
        return false;
    query->name_len = (uint8_t)name_len;
    query->type = type;
    query->class = class;
    return true;
}

// The rcode that a type and class get before any lookup.
static uint16_t question_rcode(uint16_t type, uint16_t class)
{
    switch (type) {
    case 0:
    case TYPE_OPT:
    case TYPE_TKEY:
    case TYPE_TSIG:
        return RCODE_FORMERR;
    case TYPE_AXFR:
    case TYPE_IXFR:
        return RCODE_REFUSED;
    case TYPE_MAILA:
    case TYPE_MAILB:
        return RCODE_NOTIMP;
    default:
        return class == CLASS_IN ? RCODE_NOERROR : RCODE_REFUSED;
    }
}

static bool counts_good(const struct query *query, const uint8_t *message)
{
    uint16_t authority = load_be16(message + 8);
    return !(query->flags & HEADER_TC) && load_be16(message + 6) == 0 &&
           (authority == 0 || query->type == TYPE_IXFR);
}

// Reads any datagram.
[[gnu::noinline]] static enum query_verdict any_read(struct query *query, const uint8_t *message,
                                                     size_t len)
{
    *query = (struct query){.message = message, .len = (uint16_t)len, .udp_size = MESSAGE_UDP_MIN};
    if (len < MESSAGE_HEADER_LEN)
        return QUERY_SHORT;
    query->id = load_be16(message);
    query->flags = message[2];
    query->checking_disabled = message[3] & HEADER_CD;
    if (query->flags & HEADER_QR)
        return QUERY_RESPONSE;

    struct reader r = reader_over(message, len);
    r.at = MESSAGE_HEADER_LEN;
    unsigned questions = load_be16(message + 4);
    bool asked = questions == 1 && question_parse(query, &r);
    if (query->flags & HEADER_OPCODE) {
        query->rcode = RCODE_NOTIMP;
        return QUERY_ERROR;
    }
    unsigned records = load_be16(message + 8) + load_be16(message + 10);
    bool good = (asked || questions == 0) && counts_good(query, message) &&
                records_parse(query, &r, records);
    if (!asked || !good) {
        query->unasked = good && query->rcode == RCODE_NOERROR;
        query->rcode = RCODE_FORMERR;
        return QUERY_ERROR;
    }
    if (query->rcode == RCODE_NOERROR)
        query->rcode = question_rcode(query->type, query->class);
    return query->rcode == RCODE_NOERROR ? QUERY_GOOD : QUERY_ERROR;
}

// Takes an OPT record of version 0 without options; false: it is none.
static inline bool usual_opt_parse(struct query *query, const uint8_t *opt)
{
    uint64_t behind_type = load_be64(opt + 3); // size, extended rcode, version, flags, length
    uint16_t size = (uint16_t)(behind_type >> 48);
    query->edns = true;
    query->udp_size = size < MESSAGE_UDP_MIN ? MESSAGE_UDP_MIN : size;
    query->dnssec_ok = behind_type >> 16 & OPT_TTL_DO;
    return load_be32(opt) >> 8 == TYPE_OPT && (behind_type & 0xff0000ffff) == EDNS_VERSION;
}

// Reads what nearly every datagram is: one question that is to be answered, and behind it nothing
// or an OPT record without options. False: it is another, and what *query holds means nothing.
static inline bool usual_read(struct query *query, const uint8_t *message, size_t len)
{
    enum { UNUSUAL = (HEADER_QR | HEADER_OPCODE | HEADER_TC) << 8 }; // in octets 2 and 3
    if (len < MESSAGE_HEADER_LEN)
        return false;
    uint64_t front = load_be64(message); // up to ANCOUNT
    uint32_t records = load_be32(message + 8);
    uint16_t flags = (uint16_t)(front >> 32);
    if (flags & UNUSUAL || (uint32_t)front != 1 << 16 || records > 1)
        return false;
    *query = (struct query){
        .message = message,
        .len = (uint16_t)len,
        .id = (uint16_t)(front >> 48),
        .flags = (uint8_t)(flags >> 8),
        .checking_disabled = flags & HEADER_CD,
        .udp_size = MESSAGE_UDP_MIN,
    };
    size_t name_len = name_length(message + MESSAGE_HEADER_LEN, len - MESSAGE_HEADER_LEN);
    const uint8_t *behind = message + MESSAGE_HEADER_LEN + name_len;
    if (name_len == 0 || len < MESSAGE_HEADER_LEN + name_len + 4 + records * OPT_LEN)
        return false;
    query->name_len = (uint8_t)name_len;
    query->type = load_be16(behind);
    query->class = load_be16(behind + 2);
    return question_rcode(query->type, query->class) == RCODE_NOERROR &&
           (records == 0 || usual_opt_parse(query, behind + 4));
}

inline enum query_verdict query_read(struct query *query, const uint8_t *message, size_t len)
{
    return usual_read(query, message, len) ? QUERY_GOOD : any_read(query, message, len);
}

void opt_write(uint8_t *out, uint16_t udp_size, uint16_t rcode, bool dnssec_ok)
{
    out[0] = 0; // the root
    store_be16(out + 1, TYPE_OPT);
    store_be16(out + 3, udp_size);
    out[5] = (uint8_t)(rcode >> 4);
    out[6] = EDNS_VERSION;
    store_be16(out + 7, dnssec_ok ? OPT_TTL_DO : 0);
    store_be16(out + 9, 0);
}

// Where the next option of the OPT record at `opt` goes; its record grows by it.
static uint8_t *option_add(uint8_t *opt, uint16_t code, uint16_t len)
{
    uint16_t data_len = load_be16(opt + OPT_LEN - 2);
    uint8_t *option = opt + OPT_LEN + data_len;
    store_be16(opt + OPT_LEN - 2, (uint16_t)(data_len + 4 + len));
    store_be16(option, code);
    store_be16(option + 2, len);
    return option + 4;
}

size_t query_reduce(const uint8_t *message, size_t len, uint8_t out[static QUERY_REDUCED_MAX])
{
    struct query query;
    if (query_read(&query, message, len) != QUERY_GOOD)
        return 0;
    size_t front_len = MESSAGE_HEADER_LEN + query.name_len + 4u;
    memcpy(out, message, front_len);
    memset(out + 6, 0, 6);
    if (!query.edns)
        return front_len;
    uint8_t *opt = out + front_len;
    store_be16(out + 10, 1);
    opt_write(opt, query.udp_size, RCODE_NOERROR, query.dnssec_ok);
    // A cookie of another length is an error, or is ignored.
    if (query.asks & ASKS_COOKIE && cookie_len_valid(query.cookie_len))
        memcpy(option_add(opt, EDNS_COOKIE, query.cookie_len), query.cookie, query.cookie_len);
    if (query.asks & ASKS_NSID)
        option_add(opt, EDNS_NSID, 0);
    if (query.asks & ASKS_KEEPALIVE)
        option_add(opt, EDNS_KEEPALIVE, 0);
    return front_len + OPT_LEN + load_be16(opt + OPT_LEN - 2);
}

void reply_options_add(struct reply_options *options, uint16_t code, const void *data, uint16_t len)
{
    assert(options->len + 4u + len <= sizeof options->bytes);
    uint8_t *option = options->bytes + options->len;
    store_be16(option, code);
    store_be16(option + 2, len);
    memcpy(option + 4, data, len);
    options->len = (uint8_t)(options->len + 4 + len);
}

size_t opt_options_write(uint8_t *opt, const struct reply_options *options)
{
    uint16_t data_len = load_be16(opt + OPT_LEN - 2);
    memcpy(opt + OPT_LEN + data_len, options->bytes, options->len);
    store_be16(opt + OPT_LEN - 2, (uint16_t)(data_len + options->len));
    return options->len;
}

size_t opt_ede_write(uint8_t *opt, enum ede ede)
{
    store_be16(option_add(opt, OPTION_EDE, 2), (uint16_t)ede);
    return EDE_LEN;
}

size_t reply_opt_write(uint8_t *out, const struct query *query, uint16_t rcode,
                       uint16_t udp_payload_max, int ede)
{
    if (!query->edns)
        return 0;
    size_t len = OPT_LEN;
    opt_write(out, udp_payload_max, rcode, query->dnssec_ok);
    if (query->options)
        len += opt_options_write(out, query->options);
    if (ede != EDE_NONE)
        len += opt_ede_write(out, (enum ede)ede);
    return len;
}

// Writes a reply up to its first record: the header, and the question as it came, where one could
// be read. Counts this many answers, and the OPT record where there is to be one. Returns its
// length.
static size_t front_write(uint8_t *out, const struct query *query, uint16_t rcode, uint8_t extra,
                          bool ra, uint16_t answers)
{
    size_t question_len = query->name_len ? query->name_len + 4u : 0;
    store_be16(out, query->id);
    out[2] = (uint8_t)(HEADER_QR | (query->flags & (HEADER_OPCODE | HEADER_RD)) | extra);
    out[3] = (uint8_t)((ra ? HEADER_RA : 0) | (query->checking_disabled ? HEADER_CD : 0) |
                       (rcode & HEADER_RCODE));
    store_be16(out + 4, question_len != 0);
    store_be16(out + 6, answers);
    store_be16(out + 8, 0);
    store_be16(out + 10, query->edns);
    memcpy(out + MESSAGE_HEADER_LEN, query->message + MESSAGE_HEADER_LEN, question_len);
    return MESSAGE_HEADER_LEN + question_len;
}

size_t reply_empty(uint8_t *out, const struct query *query, uint16_t rcode, uint8_t extra, bool ra,
                   uint16_t udp_payload_max, int ede)
{
    size_t len = front_write(out, query, rcode, extra, ra, 0);
    return len + reply_opt_write(out + len, query, rcode, udp_payload_max, ede);
}

size_t reply_synthesised(uint8_t *out, const struct query *query,
                         const struct synthesised_record *record, uint16_t udp_payload_max)
{
    assert(query->name_len != 0 && record->data_len <= SYNTHESISED_DATA_MAX);
    size_t len = front_write(out, query, RCODE_NOERROR, HEADER_AA, true, 1);
    uint8_t *at = out + len;
    store_be16(at, 0xc000 | MESSAGE_HEADER_LEN); // the question's name
    store_be16(at + 2, record->type);
    store_be16(at + 4, query->class);
    store_be32(at + 6, record->ttl);
    store_be16(at + 10, record->data_len);
    memcpy(at + 12, record->data, record->data_len);
    len += 12u + record->data_len;
    return len + reply_opt_write(out + len, query, RCODE_NOERROR, udp_payload_max, EDE_NONE);
}

size_t upstream_query_write(uint8_t *out, const struct upstream_query *query)
{
    store_be16(out, query->id);
    out[2] = HEADER_RD;
    out[3] = query->checking_disabled ? HEADER_CD : 0;
    store_be16(out + 4, 1);
    memset(out + 6, 0, 4);
    store_be16(out + 10, query->udp_size != 0);
    size_t len = MESSAGE_HEADER_LEN;
    memcpy(out + len, query->name, query->name_len);
    if (query->name_case)
        name_case_apply(query->name_case, out + len, query->name_len);
    len += query->name_len;
    store_be16(out + len, query->type);
    store_be16(out + len + 2, query->class);
    len += 4;
    if (query->udp_size == 0)
        return len;
    uint8_t *opt = out + len;
    opt_write(opt, query->udp_size, RCODE_NOERROR, query->dnssec_ok);
    if (query->cookie_len > 0)
        memcpy(option_add(opt, EDNS_COOKIE, query->cookie_len), query->cookie, query->cookie_len);
    return len + OPT_LEN + load_be16(opt + OPT_LEN - 2);
}

size_t cookie_find(const uint8_t *options, size_t len, const uint8_t **cookie)
{
    struct reader r = reader_over(options, len);
    while (!r.failed && r.at < r.len) {
        uint16_t code = read_u16(&r);
        uint16_t option_len = read_u16(&r);
        const uint8_t *bytes = read_bytes(&r, option_len);
        if (!bytes || code != EDNS_COOKIE)
            continue;
        *cookie = bytes;
        return cookie_len_valid(option_len) ? option_len : 0;
    }
    return 0;
}
