// SPDX-License-Identifier: MIT
#include "core/serve/subquestion.h"

#include "core/forward/subquestion.h"
#include "core/policy/dns64.h"
#include "core/serve/answer.h"
#include "core/serve/room.h"

#include <assert.h>

// A question that needs a subquestion keeps its own answer, if it has one, in hand. The answer to
// the subquestion is joined to it, at once where it is cached or local, and the question ends a
// second time with the result. So policy, the cache and clients see one answer, however it came
// about.

// An answer, and room for its value.
struct part {
    struct answer answer; // of no octets: there is none
    uint32_t age_s;
    bool joined; // from answers of several zones, or from local names
    uint8_t value[ANSWER_SIZE_MAX];
};

static void part_copy(struct part *part, const struct answer *from)
{
    part->answer = *from;
    part->answer.value = part->value;
    memcpy(part->value, from->value, from->len);
}

static void subkey_make(const struct serve *s, const struct question *question,
                        enum subquestion what, const struct name *target, struct key *key)
{
    uint8_t flags = key_flags(&question->key) & (KEY_DO | KEY_CD);
    if (what == SUBQUESTION_DNS64) {
        key_copy(key, &question->key);
        key_change(key, TYPE_A, flags);
    } else {
        key_of_name(key, target, key_type(&question->key), s->config.cache->seed);
        key_change(key, key_type(key), flags);
    }
}

// --- answers at hand -----------------------------------------------------------------------------

static bool cached_find(const struct serve *s, uint64_t now_us, const struct key *key,
                        struct part *part)
{
    uint32_t now_s = (uint32_t)(now_us / 1000000);
    struct cache_hit hit;
    // No client has asked for it, so this is no hit: it says nothing about popularity.
    bool there = serve_peek(s, key, part->value, sizeof part->value, &hit);
    if (!there || now_s >= hit.expiry_s)
        there = serve_recall_denial(s, key, part->value, sizeof part->value, &hit);
    if (!there || now_s >= hit.expiry_s)
        return false;
    part->answer = (struct answer){
        .value = part->value,
        .len = hit.value_len,
        .rcode = part->value[3] & HEADER_RCODE,
        .lifetime_s = hit.expiry_s - now_s,
        .answers = true,
        .upstream = ANSWER_NO_UPSTREAM,
    };
    part->age_s = now_s > hit.birth_s ? now_s - hit.birth_s : 0;
    part->joined = answer_origin(part->value, hit.value_len).zone == GENERATION_OF_ALL;
    return true;
}

static bool known_find(const struct serve *s, uint64_t now_us, const struct key *key,
                       struct part *part)
{
    struct name target;
    part->answer = (struct answer){.value = part->value};
    part->age_s = 0;
    part->joined = true;
    if (policy_follows_local(&s->policy, key, &target))
        return cached_find(s, now_us, key, part);
    return policy_local_answer(&s->policy, key, &part->answer) || cached_find(s, now_us, key, part);
}

// --- joining ------------------------------------------------------------------------------------

// The limits for a joined answer: cache.ttl-min has been applied to its parts already, and must not
// let the whole outlive them.
static struct answer_limits limits_of(const struct serve *s, const struct part *other)
{
    struct answer_limits limits = s->limits;
    if (limits.ttl_min_s > other->answer.lifetime_s)
        limits.ttl_min_s = other->answer.lifetime_s;
    return limits;
}

// Joins an alias and the answer for its target, which is the subquestion's name: under the present
// rules the chain might leave its zone elsewhere.
static bool alias_end(struct serve *s, const struct question *question, struct part *own,
                      const struct part *other, const struct key *subkey)
{
    struct name target = {.len = key_name_len(subkey)};
    memcpy(target.bytes, key_name(subkey), target.len);
    struct alias_parts parts = {.chain = &own->answer,
                                .chain_age_s = own->age_s,
                                .end = &other->answer,
                                .end_age_s = other->age_s,
                                .target = &target};
    struct answer_limits limits = limits_of(s, other);
    bool withheld = answer_is_withheld(other->answer.value, other->answer.len);
    if (own->answer.len == 0 || !alias_join(&parts, &question->key, &limits)) {
        serve_count(s, COUNTER_alias_loops);
        return false;
    }
    serve_count(s, COUNTER_aliases_followed);
    if (withheld)
        answer_withhold(&own->answer);
    return true;
}

// Makes the AAAA answer from the A answer, or keeps the own one where there is no address to use.
static bool dns64_end(struct serve *s, const struct question *question, struct part *own,
                      struct part *other)
{
    bool withheld = answer_is_withheld(other->answer.value, other->answer.len);
    struct answer_limits limits = limits_of(s, other);
    enum dns64_verdict verdict =
        dns64_make(s->config.settings, &other->answer, &question->key, other->age_s, &limits);
    if (verdict == DNS64_SPOILT)
        return false;
    serve_count(s, COUNTER_dns64);
    if (verdict == DNS64_MADE || own->answer.len == 0)
        part_copy(own, &other->answer);
    if (withheld)
        answer_withhold(&own->answer);
    return true;
}

// The question's own answer: the one in hand, or the local records that lead to the target.
static void own_find(const struct serve *s, uint64_t now_us, const struct question *question,
                     enum subquestion what, struct part *own)
{
    own->answer = (struct answer){.value = own->value};
    own->age_s = 0;
    if (question->in_hand != ANSWER_NONE) {
        answer_store_get(&s->forward.answers, question->in_hand, &own->answer);
        own->age_s = (uint32_t)((now_us - question->in_hand_us) / 1000000);
    } else if (question->local && what == SUBQUESTION_ALIAS) {
        (void)policy_local_answer(&s->policy, &question->key, &own->answer);
    }
}

static void fail(struct serve *s, uint64_t now_us, struct question *question, uint16_t rcode,
                 enum question_state end)
{
    question->rcode = rcode;
    forward_end(&s->forward, now_us, question, end);
}

// Ends a question with its own answer and the subquestion's joined.
static void join(struct serve *s, uint64_t now_us, struct question *question,
                 const struct key *subkey, struct part *other)
{
    enum subquestion what = (enum subquestion)question->waits_for;
    struct forward *f = &s->forward;
    struct part own;
    own_find(s, now_us, question, what, &own);
    bool joined = what == SUBQUESTION_ALIAS ? alias_end(s, question, &own, other, subkey)
                                            : dns64_end(s, question, &own, other);
    subquestion_release(f, question);
    if (!joined) {
        fail(s, now_us, question, RCODE_SERVFAIL, QUESTION_REFUSED);
        return;
    }
    if (other->joined)
        question->subquestions |= SUBQUESTION_ALIAS;
    if (own.answer.upstream == ANSWER_NO_UPSTREAM) {
        own.answer.upstream = other->answer.upstream;
        own.answer.transport = other->answer.transport;
    }
    bool held = serve_hold(s, now_us, question, &own.answer);
    forward_end(f, now_us, question, held ? QUESTION_ANSWERED : QUESTION_UNASKED);
}

// --- asking -------------------------------------------------------------------------------------

static void fail_full(struct serve *s, uint64_t now_us, struct question *question)
{
    serve_count(s, COUNTER_subquestions_full);
    fail(s, now_us, question, RCODE_NOERROR, QUESTION_UNASKED);
}

// Waits for a question that is already open, unless that would be a loop, or take the places that
// its own clients need.
static void sub_join(struct serve *s, uint64_t now_us, struct question *question,
                     struct question *sub)
{
    if (subquestion_loops(question, sub)) {
        serve_count(s, COUNTER_alias_loops);
        fail(s, now_us, question, RCODE_SERVFAIL, QUESTION_REFUSED);
        return;
    }
    if (!waiter_parent_may_be_added(&s->forward.questions, sub, question)) {
        fail_full(s, now_us, question);
        return;
    }
    subquestion_wait(&s->forward, question, sub);
    forward_joined(&s->forward, now_us, sub);
}

const struct zone *serve_zone_of(const struct serve *s, const struct key *key)
{
    struct name target;
    if (policy_follows_local(&s->policy, key, &target))
        return zone_table_find(s->config.zone_table, target.bytes, target.len);
    return zone_table_find(s->config.zone_table, key_name(key), key_name_len(key));
}

// Asks the subquestion.
static void sub_ask(struct serve *s, uint64_t now_us, struct question *question,
                    const struct key *key)
{
    const struct zone *zone = serve_zone_of(s, key);
    const struct failure *failure =
        failure_find(&s->failures, key->hash, s->forward.recoveries, now_us);
    if (failure) {
        serve_count(s, COUNTER_failures_remembered);
        fail(s, now_us, question, failure->network ? RCODE_NOERROR : failure->rcode,
             failure->network ? QUESTION_SILENT : QUESTION_REFUSED);
        return;
    }
    struct question *sub = question_find(&s->forward.questions, key);
    if (sub) {
        sub_join(s, now_us, question, sub);
        return;
    }
    if (question->depth == SUBQUESTION_DEPTH_MAX) {
        // The chain is too long, which says nothing about the question itself.
        serve_count(s, COUNTER_alias_loops);
        fail(s, now_us, question, RCODE_NOERROR, QUESTION_UNASKED);
        return;
    }
    if (zone && waiter_parent_may_be_added(&s->forward.questions, NULL, question) &&
        serve_room_make(s, now_us, question))
        sub = question_add(&s->forward.questions, key);
    if (!sub) {
        fail_full(s, now_us, question);
        return;
    }
    sub->zone = zone;
    sub->depth = (uint8_t)(question->depth + 1);
    subquestion_wait(&s->forward, question, sub);
    serve_question_start(s, now_us, sub);
}

// Continues a question that has ended, or was just begun, with a subquestion.
static void go_on(struct serve *s, uint64_t now_us, struct question *question,
                  enum subquestion what, const struct name *target)
{
    struct forward *f = &s->forward;
    struct part other;
    struct key key;
    bool answered = question->state == QUESTION_ANSWERED;
    bool held = !answered || serve_hold(s, now_us, question, &f->answer);
    if (answered)
        f->answer_in_use = false;
    subquestion_begin(f, now_us, question, what);
    subkey_make(s, question, what, target, &key);
    if (!held)
        fail(s, now_us, question, RCODE_NOERROR, QUESTION_UNASKED);
    else if (known_find(s, now_us, &key, &other))
        join(s, now_us, question, &key, &other);
    else
        sub_ask(s, now_us, question, &key);
}

void serve_question_start(struct serve *s, uint64_t now_us, struct question *question)
{
    struct name target;
    question->local = policy_follows_local(&s->policy, &question->key, &target);
    if (!question->local) {
        forward_start(&s->forward, now_us, question);
        return;
    }
    forward_begin(&s->forward, now_us, question);
    go_on(s, now_us, question, SUBQUESTION_ALIAS, &target);
}

void serve_parent_wake(struct serve *s, uint64_t now_us, struct question *parent,
                       const struct question *sub)
{
    struct part other;
    if (sub->state != QUESTION_ANSWERED) {
        fail(s, now_us, parent, sub->rcode, sub->state);
        return;
    }
    part_copy(&other, &s->forward.answer);
    other.age_s = 0;
    other.joined = sub->subquestions & SUBQUESTION_ALIAS;
    join(s, now_us, parent, &sub->key, &other);
}

// What the clients of this question have so far.
static enum policy_clients clients_of(const struct serve *s, const struct question *question)
{
    const struct waiting *waiting = serve_waiting(s, question);
    if (waiting->told)
        return POLICY_CLIENTS_TOLD;
    return waiting->has_stale ? POLICY_CLIENTS_STALE : POLICY_CLIENTS_WAIT;
}

bool serve_dns64_is_due(struct serve *s, uint64_t now_us, const struct question *question)
{
    return question_is_open(question) && question->askers &&
           policy_wants_dns64(&s->policy, now_us, question, clients_of(s, question),
                              &s->forward.answer);
}

bool serve_goes_on(struct serve *s, uint64_t now_us, struct question *question)
{
    struct answer *answer = &s->forward.answer;
    struct name target;
    switch (policy_after(&s->policy, now_us, question, clients_of(s, question), answer, &target)) {
    case POLICY_REPLACED:
        serve_count(s, COUNTER_blocked_aliases);
        return false;
    case POLICY_EMPTIED:
        serve_count(s, COUNTER_rebinds);
        return false;
    case POLICY_FOLLOW:
        go_on(s, now_us, question, SUBQUESTION_ALIAS, &target);
        return true;
    case POLICY_DNS64_WANT:
        // Without room it ends as if there were no IPv4 addresses, and is not cached.
        if (question->state == QUESTION_ANSWERED && !s->forward.questions.free) {
            serve_count(s, COUNTER_subquestions_full);
            answer->lifetime_s = 0;
            return false;
        }
        go_on(s, now_us, question, SUBQUESTION_DNS64, NULL);
        return true;
    default:
        return false;
    }
}
