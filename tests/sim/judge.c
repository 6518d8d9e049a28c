// SPDX-License-Identifier: MIT
#include "tests/sim/sim.h"

#include <stdlib.h>

// An answer is right if it equals, record by record, the right server's reply. A client that waits
// gets the reply that ended the question; an immediate answer is the one cached last, for this
// question or as the denial of its name, with TTLs as ouzel's limits and its age require; or a
// stale one, if there is a reason for that. ouzel itself makes only a few answers: FORMERR and its
// like for bad queries, REFUSED, failures, and TC without records.

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
    int ede; // EDE_NONE: there is none
    uint16_t rcode;
};

static uint32_t lesser(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

// Of all options we send EDE alone, and of it the code alone.
static const char *ede_take(struct judged *j)
{
    const uint8_t *data = j->message.bytes + j->opt_record.data_at;
    if (j->opt_record.data_len == 0)
        return NULL;
    if (j->opt_record.data_len != 6 || data[0] != 0 || data[1] != 15 || data[2] != 0 ||
        data[3] != 2)
        return "its OPT record has odd options";
    j->ede = data[4] << 8 | data[5];
    return NULL;
}

static const char *reply_take(struct judged *j, const uint8_t *bytes, size_t len)
{
    j->count = 0;
    j->opt = false;
    j->ede = EDE_NONE;
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
        const char *why = ede_take(j);
        if (why)
            return why;
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

uint32_t judge_ttls(const struct sim *sim, const struct truth *t, uint16_t asked,
                    uint32_t ttls[static TRUTH_RECORDS_MAX])
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

// With which TTLs: 0, they are the cached ones less an age, or all equal.
struct ttls {
    uint64_t age_s;
    uint32_t all_s;
};

static const char *ttls_check(const struct sim *sim, const struct judged *j, const struct truth *t,
                              uint16_t type, const struct ttls *expected)
{
    uint32_t ttls[TRUTH_RECORDS_MAX];
    judge_ttls(sim, t, type, ttls);
    for (unsigned i = 0; i < t->count; i++) {
        uint64_t ttl = expected->all_s ? expected->all_s : ttls[i] - expected->age_s;
        if (j->records[i].ttl != ttl)
            return "a TTL is wrong";
    }
    return NULL;
}

// Is the answer this reply, as far as it may be given? NULL: it is.
static const char *reply_compare(const struct sim *sim, const struct asked *asked,
                                 const struct judged *j, uint32_t number,
                                 const struct ttls *expected)
{
    struct truth truth;
    const struct strict_name *qname = &j->message.question;
    truth_make(&truth, sim, number);
    if (j->message.flags[0] & TC) {
        if (truth.size + (asked->edns ? OPT_LEN : 0) <= asked->room)
            return "it is truncated without a reason";
        return j->count ? "it is truncated and has records" : NULL;
    }
    if (truth.truncated || !same_records(j, &truth))
        return "it is no reply that a server made for this question, or not the one that it should "
               "be";
    for (unsigned i = 0; i < j->count; i++) {
        const struct strict_name *owner = &j->records[i].owner;
        if (strict_equal(owner, qname) && memcmp(owner->bytes, qname->bytes, qname->len) != 0)
            return "an owner does not have the client's spelling";
    }
    return ttls_check(sim, j, &truth, question_type(sim, asked->question), expected);
}

bool judge_same(const struct sim *sim, uint32_t number, const uint8_t *bytes, size_t len)
{
    struct judged j;
    struct truth truth;
    struct ttls expected = {0};
    uint32_t question = sim->served[number].question;
    if (reply_take(&j, bytes, len) || j.opt)
        return false;
    truth_make(&truth, sim, number);
    return !truth.truncated && same_records(&j, &truth) &&
           !ttls_check(sim, &j, &truth, question_type(sim, question), &expected);
}

// --- stale answers
// --------------------------------------------------------------------------------

static bool failure_known(const struct sim *sim, unsigned worker, const struct topic *q)
{
    return sim->now_us < q->fail_until_us &&
           (!q->fail_network || q->fail_recoveries == sim->nodes[worker].forward->recoveries);
}

static bool zone_down(const struct sim *sim, unsigned worker, uint32_t question)
{
    int zone = question_qname(sim, question)->zone;
    return zone >= 0 &&
           upstream_all_dead(&sim->zone_table.zones[zone], sim->nodes[worker].forward->upstreams);
}

// Why a client may get a stale answer: it has waited, no upstream can be asked, or the question
// failed.
static bool stale_allowed(const struct sim *sim, unsigned worker, const struct asked *asked)
{
    uint64_t after_us = sim->settings.cache_stale_answer_after * 1000;
    const struct topic *q = &sim->questions[asked->question];
    bool waits = asked->state == ASKED_WAITING;
    uint32_t number = waits ? asked->asking + 1 : q->asking;
    // It may have been given up for another query of the same batch.
    if (number == 0 && q->ended && sim->askings[q->ended - 1].ended_us == sim->now_us)
        number = q->ended;
    const struct asking *asking = number ? &sim->askings[number - 1] : NULL;
    if (asking && asking->stale_since_us && sim->now_us >= asking->stale_since_us + after_us)
        return true;
    if (asking && asking->gone)
        return true;
    if (waits)
        return asking->end == ASKING_FAILED || asking->end == ASKING_ABANDONED;
    return zone_down(sim, worker, asked->question) || failure_known(sim, worker, q);
}

static const char *stale_judge(const struct sim *sim, unsigned worker, const struct asked *asked,
                               const struct judged *j, const struct kept *kept)
{
    struct ttls expected = {.all_s = (uint32_t)(sim->settings.cache_stale_ttl / 1000)};
    const char *why = reply_compare(sim, asked, j, kept->served - 1, &expected);
    int ede = j->rcode == RCODE_NXDOMAIN ? EDE_STALE_NXDOMAIN : EDE_STALE;
    bool room = asked->edns && !(j->message.flags[0] & TC) &&
                j->message.len + (j->ede == EDE_NONE ? EDE_LEN : 0) <= asked->room;
    if (!why && j->ede != (room ? ede : EDE_NONE))
        why = "it is stale and does not say so, or says something else";
    if (!why && !stale_allowed(sim, worker, asked))
        why = "it is stale, and there was no reason to give it";
    return why;
}

// Of two that are over the one that came last is given, unless it has had to go meanwhile.
static const char *stale_judge_any(struct sim *sim, unsigned worker, const struct asked *asked,
                                   const struct judged *j, const struct kept *newer)
{
    const struct kept *older = memory_stale_older(sim, asked->question);
    const char *why = stale_judge(sim, worker, asked, j, newer);
    sim->tally.stale++;
    return why && older && !stale_judge(sim, worker, asked, j, older) ? NULL : why;
}

// --- failures ----------------------------------------------------------------------------------

static const char *failure_check(const struct sim *sim, const struct asked *asked,
                                 const struct judged *j, bool abandoned)
{
    if (sim->params.must_answer && !abandoned)
        return "it is a failure though a good server was there";
    const struct kept *stale = memory_stale(sim, asked->question);
    bool since = asked->state != ASKED_WAITING || (stale && stale->served == asked->stale);
    if (stale && since && memory_whole(sim))
        return "it is a failure though there was a stale answer";
    return j->count ? "it is a failure with records" : NULL;
}

// To a client that waited for it.
static const char *failed_judge(struct sim *sim, const struct asked *asked, const struct judged *j)
{
    const struct asking *asking = &sim->askings[asked->asking];
    if (asking->end == ASKING_OPEN)
        return "it is a failure, and the question goes on";
    if (asking->probe)
        return "it is the failure of a probe, which a client should not have waited for";
    if (j->rcode != (asking->heard_rcode ? asking->rcode : RCODE_SERVFAIL))
        return "the rcode is not what the upstream said, or not SERVFAIL";
    if (j->rcode == RCODE_FORMERR || j->rcode == RCODE_NOTIMP)
        return "what speaks of our query is said of the client's";
    if (asking->heard_rcode && !asking->failed && !asking->complained)
        return "no upstream has said so";
    bool right = asking->heard_rcode ? j->ede == EDE_NONE
                                     : j->ede == EDE_NO_REACHABLE || j->ede == EDE_NETWORK_ERROR;
    if (asked->edns && !right)
        return "the extended error is wrong";
    sim->tally.failures++;
    return failure_check(sim, asked, j, asking->end == ASKING_ABANDONED);
}

// To a client that got it at once.
static const char *refused_judge(struct sim *sim, unsigned worker, const struct asked *asked,
                                 const struct judged *j)
{
    const struct topic *q = &sim->questions[asked->question];
    if (!asked->recursion || question_qname(sim, asked->question)->zone < 0)
        return j->rcode == RCODE_REFUSED && j->count == 0 && j->ede == EDE_NONE
                   ? NULL
                   : "no upstream was to be asked, and it is not REFUSED";
    if (!failure_known(sim, worker, q))
        return "it is neither in memory nor did it fail of late";
    if (j->rcode != q->fail_rcode)
        return "the rcode is not that of the failure that is remembered";
    if (asked->edns && j->ede != (q->fail_network ? EDE_NO_REACHABLE : EDE_CACHED_ERROR))
        return "the extended error is wrong";
    return failure_check(sim, asked, j, false);
}

// --- answers -----------------------------------------------------------------------------------

static const char *waited_judge(struct sim *sim, unsigned worker, const struct asked *asked,
                                const struct judged *j)
{
    const struct asking *asking = &sim->askings[asked->asking];
    const struct kept *stale = memory_stale(sim, asked->question);
    if (asking->end == ASKING_ANSWERED) {
        struct ttls expected = {0};
        sim->tally.fresh++;
        if (j->ede != EDE_NONE)
            return "it has an extended error";
        return reply_compare(sim, asked, j, asking->answer - 1, &expected);
    }
    if (stale && (j->rcode == RCODE_NOERROR || j->rcode == RCODE_NXDOMAIN))
        return stale_judge_any(sim, worker, asked, j, stale);
    return failed_judge(sim, asked, j);
}

static const char *hit_judge(struct sim *sim, const struct asked *asked, const struct judged *j,
                             struct kept *kept)
{
    uint64_t now_s = sim->now_us / 1000000;
    struct ttls expected = {.age_s = now_s > kept->birth_s ? now_s - kept->birth_s : 0};
    const char *why = reply_compare(sim, asked, j, kept->served - 1, &expected);
    if (!why && j->ede != EDE_NONE)
        why = "it has an extended error";
    if (!why)
        memory_hit(sim, kept, client_has_connection(&asked->client));
    return why;
}

static const char *at_once_judge(struct sim *sim, unsigned worker, const struct asked *asked,
                                 const struct judged *j)
{
    for (unsigned denial = 0; denial < 2; denial++) {
        struct kept *kept = memory_alive(sim, asked->question, denial);
        const char *why = kept ? hit_judge(sim, asked, j, kept) : NULL;
        if (kept && (!why || memory_whole(sim)))
            return why;
    }
    const struct kept *stale = memory_stale(sim, asked->question);
    if (stale && asked->recursion && (j->rcode == RCODE_NOERROR || j->rcode == RCODE_NXDOMAIN))
        return stale_judge_any(sim, worker, asked, j, stale);
    return refused_judge(sim, worker, asked, j);
}

static const char *answer_judge(struct sim *sim, unsigned worker, const struct asked *asked,
                                const struct judged *j)
{
    if (j->message.question.len == 0)
        return "the question is missing";
    if (j->opt != asked->edns)
        return "OPT came or is missing";
    return asked->state == ASKED_WAITING ? waited_judge(sim, worker, asked, j)
                                         : at_once_judge(sim, worker, asked, j);
}

static bool has_mark(const uint8_t *bytes, size_t len)
{
    return memmem(bytes, len, FORGED_MARK, sizeof FORGED_MARK - 1);
}

static const char *rcode_judge(const struct asked *asked, const struct judged *j)
{
    if (j->rcode != asked->rcode || j->count != 0 || j->message.flags[0] & TC)
        return "the rcode is not what this query calls for";
    if (j->ede != EDE_NONE && (!asked->refused || j->ede != EDE_PROHIBITED))
        return "the extended error is wrong";
    return asked->rcode == RCODE_BADVERS && !j->opt ? "BADVERS without an OPT record" : NULL;
}

void judge_reply(struct sim *sim, unsigned worker, uint32_t number, const uint8_t *bytes,
                 size_t len)
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
    if (!why && asked->expect == EXPECT_RCODE)
        why = rcode_judge(asked, &j);
    sim_trace(sim, "answer %u: rcode %u, %u records, %zu octets%s, EDE %d", number, j.rcode,
              j.count, len, j.message.flags[0] & TC ? ", truncated" : "", j.ede);
    if (!why && asked->expect == EXPECT_ANSWER)
        why = answer_judge(sim, worker, asked, &j);
    if (j.message.flags[0] & TC && !why)
        sim->tally.truncated++;
    if (why)
        sim_fail(sim, "answer to query %u (%s): %s", number,
                 sim_question_text(sim, asked->question), why);
}
