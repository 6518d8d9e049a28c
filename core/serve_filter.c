// SPDX-License-Identifier: MIT
#include "core/policy/dns64.h"
#include "core/policy/rebind.h"
#include "core/serve_state.h"

#include <assert.h>

// What becomes of an upstream's answer before it is kept and given to anybody: aliases that lead to
// blocked names, protection against rebinding, and DNS64.
//
// DNS64 makes a second question of the first: where an AAAA question ends without an address, its
// waiters move to an A question with KEY_DNS64 in its key, so that it is no one else's. When that
// ends it takes the first one's key, with an answer that is made of what was heard, and all goes on
// as if it had been one question.

// Puts what a blocked name is answered with in the place of an answer whose alias leads to one. It
// is kept as long as a client keeps it, so that it is not asked for each time.
static bool block_filter(struct serve *s, const struct pending *pending)
{
    const struct local *local = s->config.local;
    const struct key *key = &pending->key;
    struct answer *answer = &s->forward.answer;
    uint8_t message[UPSTREAM_QUERY_MAX], reply[MESSAGE_UDP_MIN];
    if (!local || answer->truncated || !local_blocks_chain(local, key, answer->value, answer->len))
        return false;
    struct query query = {.message = message,
                          .type = key_type(key),
                          .class = key_class(key),
                          .name_len = key_name_len(key)};
    uint8_t *end = message + MESSAGE_HEADER_LEN + key_name_len(key);
    memcpy(message + MESSAGE_HEADER_LEN, key_name(key), key_name_len(key));
    store_be16(end, key_type(key));
    store_be16(end + 2, key_class(key));
    size_t len = local_block_answer(local, &query, &s->limits, reply);
    enum reply_verdict verdict = answer_take(answer, reply, len, key, &s->limits);
    assert(verdict == REPLY_GOOD); // we have written it
    if (answer->lifetime_s == 0)   // REFUSED
        answer->lifetime_s = LOCAL_BLOCKED_TTL_S;
    answer_withhold(answer);
    serve_count(s, COUNTER_blocked_aliases);
    return true;
}

// Empties an answer with an address of the inside; where one stands in the additional section
// alone, that is left out. A forward zone other than the root is there to have such names.
static bool rebind_filter(struct serve *s, const struct pending *pending)
{
    const struct key *key = &pending->key;
    struct answer *answer = &s->forward.answer;
    enum rebind_place place = REBIND_NOWHERE;
    if (pending->zone->settings->zone.len == 1 && !answer->truncated)
        place = rebind_finds(s->config.settings, answer);
    if (place == REBIND_NOWHERE ||
        rebind_allowed(s->config.settings, key_name(key), key_name_len(key)))
        return false;
    if (place == REBIND_ADDITIONAL) {
        answer_leave_out_additional(answer);
        return false;
    }
    answer_empty(answer);
    serve_count(s, COUNTER_rebinds);
    return true;
}

// Makes the answer to the AAAA question of that to the A question, which is so old.
static void dns64_answer(struct serve *s, struct pending *pending, uint32_t age_s)
{
    struct forward *f = &s->forward;
    if (dns64_make(s->config.settings, &f->answer, &pending->key, age_s, &s->limits)) {
        serve_count(s, COUNTER_dns64);
        return;
    }
    f->answer_taken = false;
    pending->end = PENDING_FAILED;
    pending->rcode = RCODE_SERVFAIL;
}

// Takes what is known of the A question; false: nothing that lives is.
static bool dns64_recall(struct serve *s, uint64_t now_us, struct pending *pending)
{
    struct answer *answer = &s->forward.answer;
    uint32_t now_s = (uint32_t)(now_us / 1000000);
    uint8_t none[MESSAGE_HEADER_LEN];
    struct cache_hit hit;
    struct key key;
    key_copy(&key, &pending->key);
    key_change(&key, TYPE_A, key_flags(&key));
    if (!serve_recall(s, &key, none, sizeof none, &hit) || now_s >= hit.expiry_s ||
        !serve_recall(s, &key, answer->value, ANSWER_SIZE_MAX, &hit))
        return false;
    answer->len = hit.value_len;
    uint32_t age_s = now_s > hit.birth_s ? now_s - hit.birth_s : 0;
    dns64_answer(s, pending, age_s);
    return true;
}

// Lets the waiters of a question wait for the second one. False: there is no room for it.
static bool dns64_ask(struct serve *s, uint64_t now_us, struct pending *pending)
{
    struct forward *f = &s->forward;
    struct key key;
    key_copy(&key, &pending->key);
    key_change(&key, TYPE_A, key_flags(&key) | KEY_DNS64);
    struct pending *second = pending_find(&f->pending, &key);
    bool fresh = !second;
    if (fresh)
        second = pending_add(&f->pending, &key);
    if (!second)
        return false;
    if (fresh) {
        second->zone = pending->zone;
        second->refresh = pending->refresh;
        second->stale_timer.kind = TIMER_STALE;
    }
    waiters_move(second, pending);
    second->has_stale |= pending->has_stale;
    f->answer_taken &= pending->end != PENDING_ANSWERED;
    pending_free(&f->pending, pending);
    if (fresh)
        forward_start(f, now_us, second);
    return true;
}

// Is a second question to be asked? Not for whoever validates (RFC 6147 5.5), nor where the name
// does not exist; where a server has failed at AAAA, it may yet know A (5.1.2).
static bool dns64_applies(const struct serve *s, const struct pending *pending)
{
    uint8_t flags = key_flags(&pending->key);
    if (key_type(&pending->key) != TYPE_AAAA || flags == (KEY_DO | KEY_CD) || pending->probe ||
        pending->told || pending->abandoned)
        return false;
    if (pending->end == PENDING_ANSWERED)
        return dns64_is_wanted(s->config.settings, &s->forward.answer);
    return pending->heard_rcode && !pending->has_stale;
}

bool serve_filter(struct serve *s, uint64_t now_us, struct pending *pending)
{
    const struct settings *settings = s->config.settings;
    bool answered = pending->end == PENDING_ANSWERED;
    bool second = key_flags(&pending->key) & KEY_DNS64;
    if (second)
        key_change(&pending->key, TYPE_AAAA, key_flags(&pending->key) & (KEY_DO | KEY_CD));
    bool withheld = answered && block_filter(s, pending);
    withheld = withheld || (answered && settings->filter_rebind && rebind_filter(s, pending));
    if (second && answered && !withheld)
        dns64_answer(s, pending, 0);
    if (second || withheld || !settings->dns64_enable || !dns64_applies(s, pending))
        return false;
    if (answered && dns64_recall(s, now_us, pending))
        return false;
    return dns64_ask(s, now_us, pending);
}
