// SPDX-License-Identifier: MIT
#include "tests/sim/sim.h"

#include <stdlib.h>

// An answer is right if it is, record by record, one of the replies that a server made for this
// question and that had reached ouzel by then, with TTLs that ouzel's limits and its age ask for;
// from memory also the denial of its name that a server last gave to a question of another type.
// What ouzel may say on its own account is a short list: FORMERR and its like for bad queries,
// REFUSED, SERVFAIL, and TC without records.

enum {
    QR = 0x80,
    OPCODE = 0x78,
    AA = 0x04,
    TC = 0x02,
    RD = 0x01,
    RA = 0x80,
    Z = 0x40,
    AD = 0x20,
    CD = 0x10
};

struct judged {
    struct strict message;
    struct strict_record records[TRUTH_RECORDS_MAX + 4];
    unsigned count; // of records, OPT not among them
    bool opt;
    struct strict_record opt_record;
    uint16_t rcode;
};

static uint32_t lesser(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static const char *reply_take(struct judged *j, const uint8_t *bytes, size_t len)
{
    j->count = 0;
    j->opt = false;
    if (!strict_open(&j->message, bytes, len))
        return j->message.why;
    j->rcode = j->message.flags[1] & 0x0f;
    for (;;) {
        struct strict_record *record = &j->records[j->count];
        if (!strict_next(&j->message, record))
            break;
        if (record->type != TYPE_OPT) {
            if (++j->count == TRUTH_RECORDS_MAX + 4)
                return "there are more records than any server sends";
            continue;
        }
        if (j->opt || record->section != 2 || record->owner.len != 1)
            return "an OPT record twice, not at the root, or in a wrong section";
        j->opt = true;
        j->opt_record = *record;
        j->rcode |= (uint16_t)(record->ttl >> 24 << 4);
    }
    return strict_rest(&j->message);
}

// The header, question and OPT of any reply.
static const char *frame_check(const struct sim *sim, const struct asked *asked,
                               const struct judged *j)
{
    const uint8_t *query = asked->packet->bytes;
    const struct strict *m = &j->message;
    if (m->id != (query[0] << 8 | query[1]))
        return "the ID is not the client's";
    if (!(m->flags[0] & QR) || (m->flags[0] & OPCODE) != (query[2] & OPCODE) ||
        (m->flags[0] & RD) != (query[2] & RD) || m->flags[0] & AA)
        return "QR, opcode, RD or AA is wrong";
    if ((m->flags[1] & (Z | AD)) || (m->flags[1] & CD) != (query[3] & CD) ||
        !(m->flags[1] & RA) != asked->refused)
        return "RA, Z, AD or CD is wrong";
    size_t question_len = m->question_end - 12;
    if (asked->packet->len < 12 + question_len || memcmp(m->bytes + 12, query + 12, question_len))
        return "the question is not the client's, letter by letter";
    if (m->len > asked->room)
        return "it is longer than the client takes";
    if (!j->opt)
        return NULL;
    if (j->opt_record.class != sim->settings.server_udp_payload_max)
        return "the OPT record does not have our size";
    if ((j->opt_record.ttl & 0x8000) != (asked->dnssec_ok ? 0x8000 : 0) ||
        j->opt_record.ttl & 0xff7fff)
        return "the OPT record's version or flags are wrong";
    return NULL;
}

static bool same_rrset(const struct truth *t, const struct truth_record *a,
                       const struct truth_record *b)
{
    return a->type == b->type && a->class == b->class && strict_equal(&a->owner, &b->owner) &&
           (a->type != TYPE_RRSIG || !memcmp(t->data + a->data_at, t->data + b->data_at, 2));
}

// The TTLs with which a reply to a question of type `asked` is kept (RFC 2181 5.2 and 8, RFC 2308 2
// and 5); returns the lifetime.
static uint32_t ttls_expect(const struct sim *sim, const struct truth *t, uint16_t asked,
                            uint32_t *ttls)
{
    uint32_t low = (uint32_t)(sim->settings.cache_ttl_min / 1000);
    uint32_t high = (uint32_t)(sim->settings.cache_ttl_max / 1000);
    uint32_t lowest = UINT32_MAX;
    bool answered = false, soa = false;
    for (unsigned i = 0; i < t->count; i++) {
        const struct truth_record *r = &t->records[i];
        uint32_t ttl = r->ttl >> 31 ? 0 : r->ttl;
        answered |= r->section == 0 && (r->type == asked || asked == TYPE_ANY);
        if (r->section == 1 && r->type == TYPE_SOA) {
            const uint8_t *p = t->data + r->data_at + r->data_len - 4;
            uint32_t minimum =
                (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
            ttl = lesser(ttl, (uint32_t)(sim->settings.cache_ttl_negative_max / 1000));
            ttl = lesser(ttl, minimum);
            soa = true;
        }
        ttl = ttl < low ? low : ttl;
        ttls[i] = lesser(ttl, high);
        lowest = lesser(lowest, ttls[i]);
    }
    for (unsigned i = 0; i < t->count; i++) {
        for (unsigned k = 0; k < t->count; k++) {
            if (ttls[k] < ttls[i] && same_rrset(t, &t->records[i], &t->records[k]))
                ttls[i] = ttls[k];
        }
    }
    if ((t->rcode != RCODE_NOERROR && t->rcode != RCODE_NXDOMAIN) || t->truncated)
        return 0;
    bool negative = t->rcode == RCODE_NXDOMAIN || !answered;
    return negative && !soa ? 0 : lowest;
}

static bool same_record(const struct judged *j, const struct strict_record *given,
                        const struct truth *t, const struct truth_record *truth)
{
    uint8_t data[PACKET_MAX];
    bool pointed, known;
    if (given->section != truth->section || given->type != truth->type ||
        given->class != truth->class || !strict_equal(&given->owner, &truth->owner))
        return false;
    int len = strict_data(&j->message, given, data, sizeof data, &pointed, &known);
    return len == truth->data_len && memcmp(data, t->data + truth->data_at, (size_t)len) == 0 &&
           (!pointed || known);
}

// Addresses may be given in any order (RFC 1794), all else as it came: returns whether one of the
// truth's addresses that was not found before is the given one.
static bool same_address(const struct judged *j, const struct strict_record *given,
                         const struct truth *t, uint64_t *found)
{
    for (unsigned i = 0; i < t->count; i++) {
        if (*found >> i & 1 || !same_record(j, given, t, &t->records[i]))
            continue;
        *found |= (uint64_t)1 << i;
        return true;
    }
    return false;
}

// Does the answer hold the records of this reply?
static bool same_records(const struct judged *j, const struct truth *t)
{
    uint64_t found = 0;
    if (j->count != t->count || j->rcode != (t->rcode > 15 ? RCODE_SERVFAIL : t->rcode))
        return false;
    for (unsigned i = 0; i < t->count; i++) {
        const struct truth_record *truth = &t->records[i];
        bool address = truth->section == 0 && (truth->type == TYPE_A || truth->type == TYPE_AAAA);
        bool same = address ? same_address(j, &j->records[i], t, &found)
                            : same_record(j, &j->records[i], t, truth);
        if (!same)
            return false;
    }
    return true;
}

static bool evicted_none(const struct sim *sim)
{
    uint64_t evicted = 0;
    for (unsigned i = 0; i < sim->scenario.workers; i++)
        evicted += counter_get(&sim->nodes[i].counters, COUNTER_cache_evicted);
    return evicted == 0;
}

// Is it the name itself that does not exist, and not what it is an alias of (RFC 8020 1.1)?
static bool denies(const struct truth *t)
{
    bool aliased = false;
    for (unsigned i = 0; i < t->count; i++)
        aliased |= t->records[i].section == 0;
    return t->rcode == RCODE_NXDOMAIN && !aliased;
}

static const struct denial *denial_of(const struct sim *sim, uint32_t question)
{
    return &sim->denials[question_name(question)][question % FLAGS_MAX];
}

static bool own_kept(const struct sim *sim, uint32_t question)
{
    return sim->now_us / 1000000 < sim->questions[question].kept_until_s && evicted_none(sim);
}

bool judge_kept(const struct sim *sim, uint32_t question)
{
    bool denied = sim->now_us / 1000000 < denial_of(sim, question)->until_s;
    return own_kept(sim, question) || (denied && evicted_none(sim));
}

// Compares with one reply whose records are those of the answer.
static const char *age_check(const struct sim *sim, const struct asked *asked,
                             const struct judged *j, const struct truth *t, uint32_t number)
{
    const struct served *served = &sim->served[number];
    uint32_t ttls[TRUTH_RECORDS_MAX];
    uint32_t lifetime = ttls_expect(sim, t, question_type(sim, served->question), ttls);
    uint64_t age = sim->now_us / 1000000 - served->delivered_us / 1000000;
    if (served->delivered_us != sim->now_us && age >= lifetime)
        return lifetime ? "it is given although it is over" : "it was kept and must not be";
    if (served->delivered_us != sim->now_us && denies(t) &&
        denial_of(sim, served->question)->served != number + 1)
        return "it denies a name of which a server has said something else since";
    const struct strict_name *qname = &j->message.question;
    for (unsigned i = 0; i < t->count; i++) {
        if (j->records[i].ttl != ttls[i] - age)
            return "a TTL is wrong";
        const struct strict_name *owner = &j->records[i].owner;
        if (strict_equal(owner, qname) && memcmp(owner->bytes, qname->bytes, qname->len) != 0)
            return "an owner is not spelled as the client did";
    }
    return asked->state == ASKED_WAITING && served->delivered_us != sim->now_us
               ? "a waiting client got an old answer"
               : NULL;
}

static const char *failure_check(const struct sim *sim, const struct judged *j)
{
    bool failure = j->rcode != RCODE_NOERROR && j->rcode != RCODE_NXDOMAIN;
    return failure && sim->scenario.must_answer ? "it is a failure though a good server was there"
                                                : NULL;
}

static const char *own_check(const struct sim *sim, const struct asked *asked,
                             const struct judged *j)
{
    if (j->count != 0)
        return "it is no reply that a server made for this question";
    if (j->rcode == RCODE_REFUSED)
        return !asked->recursion || question_qname(sim, asked->question)->zone < 0
                   ? NULL
                   : "it is REFUSED without a reason";
    if (j->rcode != RCODE_SERVFAIL || asked->state != ASKED_WAITING)
        return "it is empty and no reply that a server made for this question";
    return failure_check(sim, j);
}

// Is the answer this reply? If so *why is NULL or says what is wrong with it.
static bool reply_compare(const struct sim *sim, const struct asked *asked, const struct judged *j,
                          uint32_t number, const char **why)
{
    bool cut = j->message.flags[0] & TC;
    struct truth truth;
    if (sim->served[number].delivered_us == NEVER)
        return false;
    truth_make(&truth, sim, number);
    if (cut && (truth.truncated || truth.size + (asked->edns ? OPT_LEN : 0) > asked->room)) {
        *why = j->count ? "it is truncated and has records" : NULL;
        return true;
    }
    if (cut || truth.truncated || !same_records(j, &truth))
        return false;
    *why = age_check(sim, asked, j, &truth, number);
    if (!*why)
        *why = failure_check(sim, j);
    return true;
}

// The denial that may be given from memory to one who asks for whatever type, + 1; 0: none.
static uint32_t denial_for(const struct sim *sim, const struct asked *asked)
{
    if (asked->state == ASKED_WAITING || own_kept(sim, asked->question))
        return 0;
    return denial_of(sim, asked->question)->served;
}

// Looks through all replies to this question that have arrived, and the denial of its name.
static const char *answer_judge(const struct sim *sim, const struct asked *asked,
                                const struct judged *j)
{
    const char *why = NULL;
    uint32_t denial = denial_for(sim, asked);
    if (denial && reply_compare(sim, asked, j, denial - 1, &why) && !why)
        return NULL;
    for (uint32_t n = sim->questions[asked->question].served; n; n = sim->served[n - 1].before) {
        if (reply_compare(sim, asked, j, n - 1, &why) && !why)
            return NULL;
    }
    const char *own =
        j->message.flags[0] & TC ? "it is truncated without a reason" : own_check(sim, asked, j);
    return own && why ? why : own;
}

void judge_taken(struct sim *sim, uint32_t number)
{
    uint32_t ttls[TRUTH_RECORDS_MAX];
    struct truth truth;
    uint32_t question = sim->served[number].question;
    truth_make(&truth, sim, number);
    uint32_t lifetime = ttls_expect(sim, &truth, question_type(sim, question), ttls);
    if (lifetime == 0)
        return;
    // The one takes the place of the other.
    uint64_t until_s = sim->now_us / 1000000 + lifetime;
    bool denied = denies(&truth);
    sim->questions[question].kept_until_s = denied ? 0 : until_s;
    sim->denials[question_name(question)][question % FLAGS_MAX] =
        denied ? (struct denial){number + 1, until_s} : (struct denial){0};
}

static bool has_mark(const uint8_t *bytes, size_t len)
{
    return memmem(bytes, len, FORGED_MARK, sizeof FORGED_MARK - 1);
}

void judge_reply(struct sim *sim, uint32_t number, const uint8_t *bytes, size_t len)
{
    struct asked *asked = &sim->asked[number];
    struct judged j;
    const char *why = reply_take(&j, bytes, len);
    if (asked->packet->len < 12)
        why = "it answers half a header";
    if (!why && asked->expect != EXPECT_ANY)
        why = frame_check(sim, asked, &j);
    if (!why && has_mark(bytes, len))
        why = "it holds forged octets";
    if (!why && asked->expect == EXPECT_DROP)
        why = "there should be none";
    if (!why && asked->expect == EXPECT_RCODE) {
        if (j.rcode != asked->rcode || j.count != 0 || j.message.flags[0] & TC)
            why = "the rcode is not what this query calls for";
        else if (asked->rcode == RCODE_BADVERS && !j.opt)
            why = "BADVERS without an OPT record";
    }
    if (!why && asked->expect == EXPECT_ANSWER) {
        if (j.message.question.len == 0)
            why = "the question is missing";
        else
            why = j.opt == asked->edns ? answer_judge(sim, asked, &j) : "OPT came or is missing";
    }
    if (j.message.flags[0] & TC && !why)
        sim->tally.truncated++;
    sim_trace(sim, "answer %u: rcode %u, %u records, %zu octets%s", number, j.rcode, j.count, len,
              j.message.flags[0] & TC ? ", truncated" : "");
    if (why)
        sim_fail(sim, "answer to query %u (%s): %s", number,
                 sim_question_text(sim, asked->question), why);
}
