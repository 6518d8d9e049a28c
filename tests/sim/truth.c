// SPDX-License-Identifier: MIT
#include "tests/sim/sim.h"

// What a server says to a question. Whether there is such a name belongs to the name, and some come
// and go from reply to reply; the kind of the answer belongs to the question and never changes. The
// data is drawn again for every reply, so that no two replies are alike and the judge can tell
// which one an answer came from. All of it follows from the seed and the reply's number.

enum {
    QR = 0x80,
    AA = 0x04,
    TC = 0x02,
    RA = 0x80,
    AD = 0x20,
    SIZE_WANTED_MAX = 4000,
    SIZE_HUGE_MAX = 62000 // and one record more is still a message
};

// Bare is what has no SOA: a referral at most, and its lifetime is unknown. A chain's
// CNAMEs are there though what they lead to may not be. The order counts: what has a chain stands
// together, and so does what has NXDOMAIN.
enum kind {
    KIND_DATA,
    KIND_NODATA,
    KIND_BARE,
    KIND_CHAIN,
    KIND_CHAIN_NODATA,
    KIND_CHAIN_BARE,
    KIND_CHAIN_NXDOMAIN,
    KIND_NXDOMAIN,
    KIND_NXDOMAIN_BARE,
};

static struct strict_name zone_name_of(const struct sim *sim, const struct qname *qname)
{
    if (qname->zone >= 0)
        return sim->zones[qname->zone].name;
    return (struct strict_name){.len = 1};
}

static uint32_t ttl_draw(const struct truth *t, struct dice *d)
{
    static const uint32_t ttls[] = {0, 1, 2, 5, 30, 300, 3600, 86400, 0x7fffffff, 0x80000000};
    if (t->plain)
        return 0;
    if (t->brief)
        return dice_chance(d, 30) ? 0 : dice_between(d, 1, 12);
    return dice_chance(d, 300) ? dice_below(d, 20)
                               : ttls[dice_below(d, sizeof ttls / sizeof *ttls)];
}

static void bytes_add(struct truth *t, const void *bytes, size_t len)
{
    memcpy(t->data + t->data_used, bytes, len);
    t->data_used += len;
}

static void random_add(struct truth *t, struct dice *d, size_t len)
{
    for (; len >= 8; len -= 8, t->data_used += 8) {
        uint64_t word = dice_u64(d);
        memcpy(t->data + t->data_used, &word, 8);
    }
    for (; len > 0; len--)
        t->data[t->data_used++] = (uint8_t)dice_below(d, 256);
}

// A name of one random label below the zone.
static struct strict_name target_draw(struct dice *d, const struct strict_name *zone)
{
    struct strict_name name = {.len = 10};
    uint64_t v = dice_u64(d);
    name.bytes[0] = 9;
    for (unsigned i = 0; i < 9; i++)
        name.bytes[1 + i] = (uint8_t)('a' + (v >> 5 * i) % 26);
    memcpy(name.bytes + name.len, zone->bytes, zone->len);
    name.len = (uint8_t)(name.len + zone->len);
    return name;
}

static void target_add(struct truth *t, struct dice *d, const struct strict_name *zone)
{
    struct strict_name target = target_draw(d, zone);
    bytes_add(t, target.bytes, target.len);
}

static void soa_data_add(struct truth *t, struct dice *d, const struct strict_name *zone)
{
    target_add(t, d, zone);
    target_add(t, d, zone);
    random_add(t, d, 16);
    uint32_t minimum = ttl_draw(t, d);
    uint8_t octets[4] = {(uint8_t)(minimum >> 24), (uint8_t)(minimum >> 16),
                         (uint8_t)(minimum >> 8), (uint8_t)minimum};
    bytes_add(t, octets, sizeof octets);
}

// Character strings (RFC 1035 3.3.14) of so many octets together.
static void text_data_add(struct truth *t, struct dice *d, size_t len)
{
    while (len > 0) {
        uint8_t string = (uint8_t)(len > 256 ? 255 : len - 1);
        bytes_add(t, &string, 1);
        random_add(t, d, string);
        len -= 1u + string;
    }
}

static void data_add(struct truth *t, struct dice *d, uint16_t type, const struct strict_name *zone,
                     unsigned filler)
{
    switch (type) {
    case 1:
        random_add(t, d, 4);
        break;
    case 28:
        random_add(t, d, 16);
        break;
    case 2:
    case 5:
    case 12:
        target_add(t, d, zone);
        break;
    case 15:
        random_add(t, d, 2);
        target_add(t, d, zone);
        break;
    case 33:
        random_add(t, d, 6);
        target_add(t, d, zone);
        break;
    case 6:
        soa_data_add(t, d, zone);
        break;
    case 16:
        text_data_add(t, d, 8 + filler);
        break;
    default:
        random_add(t, d, 8 + filler);
        break;
    }
}

static void record_add(struct truth *t, struct dice *d, unsigned section,
                       const struct strict_name *owner, uint16_t type, uint32_t ttl,
                       const struct strict_name *zone, unsigned filler)
{
    if (t->count == TRUTH_RECORDS_MAX || t->size > (t->huge ? SIZE_HUGE_MAX : SIZE_WANTED_MAX))
        return;
    struct truth_record *record = &t->records[t->count++];
    record->owner = *owner;
    record->section = (uint8_t)section;
    record->type = type;
    record->class = 1;
    record->ttl = ttl;
    record->data_at = (uint32_t)t->data_used;
    data_add(t, d, type, zone, filler);
    record->data_len = (uint16_t)(t->data_used - record->data_at);
    t->size += owner->len + 10u + record->data_len;
}

// A signature over what was just added; opaque, with the covered type in front (RFC 4034 3.1).
static void signature_add(struct truth *t, struct dice *d, unsigned section,
                          const struct strict_name *owner, uint16_t covered, uint32_t ttl)
{
    unsigned before = t->count;
    record_add(t, d, section, owner, TYPE_RRSIG, ttl, owner, 60);
    if (t->count == before)
        return;
    t->data[t->records[before].data_at] = (uint8_t)(covered >> 8);
    t->data[t->records[before].data_at + 1] = (uint8_t)covered;
}

static void rrset_add(struct truth *t, struct dice *d, const struct strict_name *owner,
                      uint16_t type, const struct strict_name *zone, bool big, bool sign)
{
    unsigned count = t->huge ? dice_between(d, 20, 62)
                     : big   ? dice_between(d, 4, 50)
                             : 1 + dice_skewed(d, 8);
    uint32_t ttl = ttl_draw(t, d);
    bool uneven = dice_chance(d, 100);
    unsigned filler = dice_below(d, t->huge ? 1200 : big ? 250 : 20);
    for (unsigned i = 0; i < count; i++)
        record_add(t, d, 0, owner, type, uneven ? ttl_draw(t, d) : ttl, zone, filler);
    if (sign)
        signature_add(t, d, 0, owner, type, ttl);
}

static void extras_add(struct truth *t, struct dice *d, const struct strict_name *zone)
{
    if (!dice_chance(d, 250))
        return;
    struct strict_name server;
    uint32_t ttl = ttl_draw(t, d);
    unsigned before = t->count;
    record_add(t, d, 1, zone, TYPE_NS, ttl, zone, 0);
    record_add(t, d, 1, zone, TYPE_NS, ttl, zone, 0);
    if (t->count == before)
        return;
    server.len = (uint8_t)t->records[before].data_len;
    memcpy(server.bytes, t->data + t->records[before].data_at, server.len);
    record_add(t, d, 2, &server, TYPE_A, ttl, zone, 0);
    record_add(t, d, 2, &server, TYPE_AAAA, ttl_draw(t, d), zone, 0);
}

// Of names that are not there; `d` decides for those that come and go.
static bool is_absent(const struct sim *sim, uint32_t name, struct dice *d, bool *bare)
{
    struct dice fate = dice_for(sim->seed, 0x71d80000u + name);
    uint32_t lot = dice_below(&fate, 100);
    *bare = dice_chance(&fate, 150);
    return lot < 14 || (lot < 26 && dice_chance(d, 500));
}

static enum kind kind_of(const struct sim *sim, uint32_t question, struct dice *reply)
{
    struct dice d = dice_for(sim->seed, 0x71d00000u + question);
    uint32_t lot = dice_below(&d, 100);
    bool bare;
    if (is_absent(sim, question_name(question), reply, &bare))
        return bare ? KIND_NXDOMAIN_BARE : KIND_NXDOMAIN;
    if (lot < 75)
        return lot < 60 ? KIND_DATA : KIND_CHAIN;
    if (lot < 84)
        return lot < 78 ? KIND_CHAIN_NXDOMAIN : lot < 81 ? KIND_CHAIN_NODATA : KIND_CHAIN_BARE;
    return lot < 95 ? KIND_NODATA : KIND_BARE;
}

// Moves *owner to what the last of the CNAMEs leads to.
static void chain_add(struct truth *t, struct dice *d, struct strict_name *owner,
                      const struct strict_name *zone)
{
    for (unsigned i = dice_between(d, 1, 4); i > 0; i--) {
        unsigned before = t->count;
        record_add(t, d, 0, owner, TYPE_CNAME, ttl_draw(t, d), zone, 0);
        owner->len = (uint8_t)t->records[before].data_len;
        memcpy(owner->bytes, t->data + t->records[before].data_at, owner->len);
    }
}

static void good_make(struct truth *t, const struct sim *sim, struct dice *d, uint32_t question)
{
    const struct qname *qname = question_qname(sim, question);
    struct strict_name zone = zone_name_of(sim, qname);
    struct strict_name owner = qname->name;
    bool sign = question % 2;
    bool big = dice_chance(d, sim->params.big_pm);
    t->huge = dice_chance(d, sim->params.huge_pm);
    uint16_t type = question_type(sim, question);
    enum kind kind = t->plain ? KIND_DATA : kind_of(sim, question, d);
    // A query for the CNAME itself, or for ANY, does not follow it.
    if ((type == TYPE_CNAME || type == TYPE_ANY) && kind >= KIND_CHAIN &&
        kind <= KIND_CHAIN_NXDOMAIN)
        kind = KIND_DATA;

    if (kind >= KIND_CHAIN && kind <= KIND_CHAIN_NXDOMAIN)
        chain_add(t, d, &owner, &zone);
    if (kind == KIND_DATA || kind == KIND_CHAIN) {
        rrset_add(t, d, &owner, type, &zone, big, sign);
        extras_add(t, d, &zone);
        return;
    }
    if (kind >= KIND_CHAIN_NXDOMAIN)
        t->rcode = RCODE_NXDOMAIN;
    if (kind == KIND_BARE || kind == KIND_CHAIN_BARE || kind == KIND_NXDOMAIN_BARE) {
        if (question % 2)
            record_add(t, d, 1, &zone, TYPE_NS, ttl_draw(t, d), &zone, 0);
        return;
    }
    uint32_t ttl = ttl_draw(t, d);
    record_add(t, d, 1, &zone, TYPE_SOA, ttl, &zone, 0);
    if (sign)
        signature_add(t, d, 1, &zone, TYPE_SOA, ttl);
}

void truth_make(struct truth *t, const struct sim *sim, uint32_t number)
{
    const struct served *served = &sim->served[number];
    struct dice d = dice_for(sim->seed, 0x5e57ed000000u + number);
    t->rcode = 0;
    t->truncated = served->kind == SERVED_TRUNCATED;
    t->huge = false;
    t->brief = sim->params.brief;
    t->plain = sim->params.plain;
    t->count = 0;
    t->data_used = 0;
    t->size = 12 + question_qname(sim, served->question)->name.len + 4u;
    if (served->kind != SERVED_RCODE) {
        good_make(t, sim, &d, served->question);
        return;
    }
    t->rcode = served->rcode;
    if (dice_chance(&d, 100)) {
        struct strict_name zone = zone_name_of(sim, question_qname(sim, served->question));
        record_add(t, &d, 1, &zone, TYPE_SOA, ttl_draw(t, &d), &zone, 0);
    }
}

// Where a reply is written.
struct pen {
    uint8_t *out;
    size_t at;
    struct dice dice;
    const struct strict_name *qname;
    bool compress;
    bool shout;
};

static void put(struct pen *pen, const void *bytes, size_t len)
{
    memcpy(pen->out + pen->at, bytes, len);
    pen->at += len;
}

static void put16(struct pen *pen, unsigned v)
{
    pen->out[pen->at++] = (uint8_t)(v >> 8);
    pen->out[pen->at++] = (uint8_t)v;
}

static void put_label(struct pen *pen, const uint8_t *label)
{
    pen->out[pen->at++] = *label;
    for (unsigned i = 1; i <= *label; i++) {
        bool letter = label[i] >= 'a' && label[i] <= 'z';
        pen->out[pen->at++] = (uint8_t)(letter && pen->shout ? label[i] - 0x20 : label[i]);
    }
}

// The end of a name that also ends the question's is a pointer there; "." never is.
static void put_name(struct pen *pen, const uint8_t *name, size_t len)
{
    const struct strict_name *qname = pen->qname;
    for (size_t at = 0; at + 1 < len; at += 1u + name[at]) {
        size_t rest = len - at;
        for (size_t q = 0; pen->compress && q + 1 < qname->len; q += 1u + qname->bytes[q]) {
            if (qname->len - q != rest || memcmp(qname->bytes + q, name + at, rest) != 0)
                continue;
            put16(pen, (unsigned)(0xc000 | (12 + q)));
            return;
        }
        put_label(pen, name + at);
    }
    pen->out[pen->at++] = 0;
}

static size_t name_len(const uint8_t *name)
{
    size_t at = 0;
    while (name[at])
        at += 1u + name[at];
    return at + 1;
}

static void put_data(struct pen *pen, uint16_t type, const uint8_t *data, size_t len)
{
    size_t head = type == 15 ? 2 : type == 33 ? 6 : 0;
    size_t names = type == 6 ? 2 : type == 2 || type == 5 || type == 12 || head ? 1 : 0;
    put(pen, data, head);
    data += head;
    len -= head;
    for (; names > 0; names--) {
        size_t one = name_len(data);
        put_name(pen, data, one);
        data += one;
        len -= one;
    }
    put(pen, data, len);
}

static void put_record(struct pen *pen, const struct truth *t, const struct truth_record *record)
{
    put_name(pen, record->owner.bytes, record->owner.len);
    put16(pen, record->type);
    put16(pen, record->class);
    put16(pen, record->ttl >> 16);
    put16(pen, record->ttl & 0xffff);
    size_t len_at = pen->at;
    put16(pen, 0);
    put_data(pen, record->type, t->data + record->data_at, record->data_len);
    size_t data_len = pen->at - len_at - 2;
    pen->out[len_at] = (uint8_t)(data_len >> 8);
    pen->out[len_at + 1] = (uint8_t)data_len;
}

static void put_opt(struct pen *pen, uint16_t rcode, const struct manner *manner)
{
    size_t len = manner->cookie_len;
    pen->out[pen->at++] = 0;
    put16(pen, TYPE_OPT);
    put16(pen, 1232);
    put16(pen, (unsigned)(rcode >> 4) << 8);
    put16(pen, 0);
    put16(pen, len > 0 ? (unsigned)len + 4 : 0);
    if (len == 0)
        return;
    put16(pen, 10);
    put16(pen, (unsigned)len);
    put(pen, manner->cookie, len);
}

static void put_header(struct pen *pen, uint16_t rcode, bool truncated, const struct strict *query,
                       const unsigned counts[3])
{
    struct dice *d = &pen->dice;
    put16(pen, query->id);
    pen->out[pen->at++] = (uint8_t)(QR | (query->flags[0] & 1) | (dice_chance(d, 300) ? AA : 0) |
                                    (truncated ? TC : 0));
    pen->out[pen->at++] =
        (uint8_t)((dice_chance(d, 900) ? RA : 0) | (dice_chance(d, 200) ? AD : 0) | (rcode & 15));
    put16(pen, 1);
    for (unsigned i = 0; i < 3; i++)
        put16(pen, counts[i]);
}

// The question as it came, or in another case.
static void put_question(struct pen *pen, const struct strict *query, uint8_t name_case)
{
    uint8_t *name = pen->out + pen->at;
    put(pen, query->bytes + 12, query->question_end - 12);
    for (unsigned i = 0; i < query->question.len; i++) {
        uint8_t c = name[i];
        if (name_case == CASE_LOWERED && c >= 'A' && c <= 'Z')
            name[i] = (uint8_t)(c + 0x20);
        if (name_case == CASE_SHOUTED && c >= 'a' && c <= 'z')
            name[i] = (uint8_t)(c - 0x20);
    }
}

static void put_tsig(struct pen *pen)
{
    static const uint8_t key[] = {0, 0, 250, 0, 255, 0, 0, 0, 0, 0, 3, 1, 2, 3};
    put(pen, key, sizeof key);
}

// What is too long for the other side is said to be, without records.
static void shorten(struct pen *pen, const struct truth *t, const struct strict *query,
                    const struct manner *manner, bool opt)
{
    pen->at = 0;
    put_header(pen, t->rcode, true, query, (unsigned[]){0, 0, opt});
    put_question(pen, query, manner->name_case);
    if (opt)
        put_opt(pen, t->rcode, manner);
}

static size_t bare_write(struct pen *pen, const struct truth *t, const struct strict *query)
{
    put_header(pen, t->rcode, false, query, (unsigned[]){0, 0, 0});
    pen->out[5] = 0;
    return pen->at;
}

size_t truth_write(const struct truth *t, const struct sim *sim, uint32_t number,
                   const struct strict *query, const struct manner *manner,
                   uint8_t out[static PACKET_MAX])
{
    const struct strict_name *qname = &question_qname(sim, sim->served[number].question)->name;
    struct pen pen = {
        .out = out, .dice = dice_for(sim->seed, 0x9e40000000u + number), .qname = qname};
    struct dice *d = &pen.dice;
    pen.compress = dice_chance(d, 700);
    bool opt = t->rcode > 15 || (manner->opt && (manner->cookie_len > 0 || dice_chance(d, 900)));
    bool opt_first = dice_chance(d, 100), tsig = dice_chance(d, 30);
    unsigned counts[3] = {0, 0, opt + tsig};
    for (unsigned i = 0; i < t->count; i++)
        counts[t->records[i].section]++;
    if (manner->bare && t->rcode >= RCODE_FORMERR && t->rcode <= RCODE_REFUSED &&
        t->rcode != RCODE_NXDOMAIN)
        return bare_write(&pen, t, query);

    put_header(&pen, t->rcode, t->truncated, query, counts);
    put_question(&pen, query, manner->name_case);
    pen.shout = dice_chance(d, 100);
    unsigned i = 0;
    for (; i < t->count && t->records[i].section < 2; i++)
        put_record(&pen, t, &t->records[i]);
    if (opt && opt_first)
        put_opt(&pen, t->rcode, manner);
    for (; i < t->count; i++)
        put_record(&pen, t, &t->records[i]);
    if (opt && !opt_first)
        put_opt(&pen, t->rcode, manner);
    if (tsig)
        put_tsig(&pen);
    // A truncated reply may end anywhere behind its question.
    if (t->truncated && dice_chance(d, 500))
        return query->question_end + dice_below(d, (uint32_t)(pen.at - query->question_end) + 1);
    if (manner->room > 0 && pen.at > (manner->room < 512 ? 512u : manner->room))
        shorten(&pen, t, query, manner, opt);
    return pen.at;
}
