// SPDX-License-Identifier: MIT
#include "core/serve/dns64.h"

#include "core/policy/dns64.h"
#include "core/serve/answer.h"

#include <assert.h>

#define DNS64_TIME_MIN_US 1000000u // for a second question, however late it is

// policy_after says what becomes of an upstream's answer before it is cached and given; this
// carries it out.
//
// DNS64 makes a second question of the first: where an AAAA question ends without an address, or
// has waited long for one (RFC 6147 5.1.3), its waiters move to an A question with KEY_DNS64 in its
// key, so that it is no one else's. Meanwhile the answer to the first, if it was one that may be
// kept, stands in the cache under the second one's key. When that ends it takes the first one's
// key, with an answer that is made of what was heard, or with that of the first where nothing can
// be made; and all goes on as if it had been one question.

static void second_key(struct key *second, const struct key *first)
{
    key_copy(second, first);
    key_change(second, TYPE_A, key_flags(first) | KEY_DNS64);
}

const struct key *serve_client_key(const struct question *question, struct key *room)
{
    uint8_t flags = key_flags(&question->key);
    if (!(flags & (KEY_DNS64 | KEY_RETIRED)))
        return &question->key;
    key_copy(room, &question->key);
    key_change(room, flags & KEY_DNS64 ? TYPE_AAAA : key_type(room), flags & (KEY_DO | KEY_CD));
    return room;
}

// Puts the answer to the AAAA question aside.
static void dns64_save(struct serve *s, uint64_t now_us, const struct question *question)
{
    struct answer *answer = &s->forward.answer;
    uint32_t now_s = (uint32_t)(now_us / 1000000);
    struct cache_inserted inserted;
    struct key second;
    if (s->keeps_none || answer->lifetime_s == 0 || !policy_seal(&s->policy, question, answer))
        return;
    second_key(&second, &question->key);
    struct cache_key key = key_for_cache(&second);
    struct cache_value value = {.bytes = answer->value,
                                .len = answer->len,
                                .birth_s = now_s,
                                .expiry_s = now_s + answer->lifetime_s};
    if (cache_insert(s->config.cache, &key, &value, now_s, &inserted) != 0)
        return;
    counter_add(s->config.counters, COUNTER_cache_evicted, inserted.evicted);
    counter_add(s->config.counters, COUNTER_cache_expired, inserted.expired);
}

static void dns64_forget(struct serve *s, const struct question *question)
{
    struct key second;
    if (s->keeps_none)
        return;
    second_key(&second, &question->key);
    struct cache_key key = key_for_cache(&second);
    (void)cache_remove(s->config.cache, &key);
}

// Takes the answer to the AAAA question back; false: there was none to keep.
static bool dns64_take_back(struct serve *s, uint64_t now_us, const struct question *question)
{
    struct answer *answer = &s->forward.answer;
    uint32_t now_s = (uint32_t)(now_us / 1000000);
    uint8_t none[SERVE_ANSWER_USUAL];
    struct cache_hit hit;
    struct key second;
    second_key(&second, &question->key);
    if (!serve_peek(s, &second, none, sizeof none, &hit) || now_s >= hit.expiry_s ||
        !serve_peek(s, &second, answer->value, ANSWER_SIZE_MAX, &hit))
        return false;
    answer->len = hit.value_len;
    answer->lifetime_s = hit.expiry_s - now_s;
    answer->rcode = RCODE_NOERROR;
    answer->denies = false;
    return true;
}

// Makes the answer to the AAAA question of that to the A question, which is so old.
static void dns64_answer(struct serve *s, uint64_t now_us, struct question *question,
                         uint32_t age_s)
{
    struct forward *f = &s->forward;
    switch (dns64_make(s->config.settings, &f->answer, &question->key, age_s, &s->limits)) {
    case DNS64_NOTHING:
        (void)dns64_take_back(s, now_us, question);
        serve_count(s, COUNTER_dns64);
        break;
    case DNS64_MADE:
        serve_count(s, COUNTER_dns64);
        break;
    case DNS64_SPOILT:
        f->answer_in_use = false;
        question->state = QUESTION_SILENT;
        question->rcode = RCODE_NOERROR;
        break;
    }
}

// Takes what is known of the A question; false: nothing that lives is.
static bool dns64_recall(struct serve *s, uint64_t now_us, struct question *question)
{
    struct answer *answer = &s->forward.answer;
    uint32_t now_s = (uint32_t)(now_us / 1000000);
    uint8_t none[SERVE_ANSWER_USUAL];
    struct cache_hit hit;
    struct key key;
    key_copy(&key, &question->key);
    key_change(&key, TYPE_A, key_flags(&key));
    if (!serve_recall(s, &key, none, sizeof none, &hit) || now_s >= hit.expiry_s ||
        !serve_recall(s, &key, answer->value, ANSWER_SIZE_MAX, &hit))
        return false;
    answer->len = hit.value_len;
    uint32_t age_s = now_s > hit.birth_s ? now_s - hit.birth_s : 0;
    bool withheld = answer_is_withheld(answer->value, answer->len);
    dns64_answer(s, now_us, question, age_s);
    if (withheld && question->state == QUESTION_ANSWERED)
        answer_withhold(answer);
    return true;
}

// What was true of the waiters' old question is true of their new one: when they get what is over,
// and when they have waited for long enough.
static void waiters_inherit(struct serve *s, uint64_t now_us, struct question *second,
                            const struct question *first)
{
    struct waiting *to = serve_waiting(s, second);
    const struct waiting *from = serve_waiting(s, first);
    const struct waiter *oldest = (const struct waiter *)second->askers;
    to->has_stale |= from->has_stale;
    to->stale_due |= from->stale_due;
    if (!to->has_stale || !oldest || timer_running(&to->patience))
        return;
    uint64_t due_us = oldest->since_us + s->stale_after_us;
    to->patience.kind = TIMER_PATIENCE;
    wheel_start(&s->forward.wheel, &to->patience, due_us > now_us ? due_us : now_us);
}

// Lets the waiters of a question wait for the second one. False: there is no room for it.
static bool dns64_ask(struct serve *s, uint64_t now_us, struct question *question)
{
    struct forward *f = &s->forward;
    struct key key;
    second_key(&key, &question->key);
    struct question *second = question_find(&f->questions, &key);
    bool fresh = !second;
    if (fresh)
        second = question_add(&f->questions, &key);
    if (!second)
        return false;
    if (fresh) {
        second->zone = question->zone;
        serve_waiting(s, second)->refresh = serve_waiting(s, question)->refresh;
    }
    uint64_t deadline_us = question->deadline_us;
    askers_move(&f->questions, second, question);
    waiters_inherit(s, now_us, second, question);
    f->answer_in_use &= question->state != QUESTION_ANSWERED;
    *serve_waiting(s, question) = (struct waiting){0};
    question_free(&f->questions, question);
    if (!fresh) {
        forward_joined(f, now_us, second);
        return true;
    }
    forward_start(f, now_us, second);
    // Clients wait as long as they would for one question, but this one must have some time.
    if (deadline_us < now_us + DNS64_TIME_MIN_US)
        deadline_us = now_us + DNS64_TIME_MIN_US;
    if (deadline_us < second->deadline_us)
        second->deadline_us = deadline_us;
    return true;
}

// What do the clients of this question have so far?
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
           !(key_flags(&question->key) & KEY_DNS64) &&
           policy_wants_dns64(&s->policy, now_us, question, clients_of(s, question),
                              &s->forward.answer);
}

// Ends the second question as the first.
static void dns64_end(struct serve *s, uint64_t now_us, struct question *question,
                      enum policy_outcome outcome)
{
    if (question->state == QUESTION_ANSWERED && outcome == POLICY_KEEP)
        dns64_answer(s, now_us, question, 0);
    if (outcome == POLICY_EMPTIED && dns64_take_back(s, now_us, question))
        answer_withhold(&s->forward.answer);
    dns64_forget(s, question);
}

bool serve_filter(struct serve *s, uint64_t now_us, struct question *question)
{
    bool second = key_flags(&question->key) & KEY_DNS64;
    if (second)
        key_change(&question->key, TYPE_AAAA, key_flags(&question->key) & (KEY_DO | KEY_CD));
    enum policy_outcome outcome = policy_after(&s->policy, now_us, question,
                                               clients_of(s, question), &s->forward.answer, second);
    if (outcome == POLICY_REPLACED)
        serve_count(s, COUNTER_blocked_aliases);
    else if (outcome == POLICY_EMPTIED)
        serve_count(s, COUNTER_rebinds);
    if (second)
        dns64_end(s, now_us, question, outcome);
    if (outcome != POLICY_DNS64_WANT)
        return false;
    if (question->state != QUESTION_ANSWERED)
        return dns64_ask(s, now_us, question);
    dns64_save(s, now_us, question);
    if (!dns64_recall(s, now_us, question))
        return dns64_ask(s, now_us, question);
    dns64_forget(s, question);
    return false;
}
