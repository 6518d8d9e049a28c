// SPDX-License-Identifier: MIT
#include "core/serve/refresh.h"

#include "core/serve/answer.h"
#include "core/serve/subquestion.h"

// Popular answers: how they are recognised, and how they are refreshed before they expire.

// Adds a popular answer to those that are refreshed before they expire.
static void popular_note(struct serve *s, const struct lookup *lookup, const uint8_t *value,
                         const struct cache_hit *hit)
{
    bool full;
    uint8_t network = serve_network_hash(s, &lookup->item->client);
    struct refresh *refresh =
        refresh_note(&s->refreshes, &lookup->key, network, hit->birth_s, hit->expiry_s, &full);
    if (full)
        serve_count(s, COUNTER_refreshes_full);
    if (!refresh)
        return;
    // A refresh that was used is refunded.
    if (hit->value_len <= serve_room_for(s, &lookup->item->client) &&
        answer_is_refreshed(value, hit->value_len)) {
        budget_give(&s->refresh_budget, BUDGET_SEND);
        budget_give(&s->refresh_budgets[network], BUDGET_SEND);
    }
    refresh->timer.kind = TIMER_REFRESH;
    wheel_start(&s->forward.wheel, &refresh->timer, refresh->due_us);
}

// A popularity hint of another worker, for an answer whose home is here. It may be evicted by now,
// or replaced by a newer one. Or that worker found it good, but made under other rules.
[[gnu::noinline]] void serve_hint_receive(struct serve *s, uint64_t now_us, struct lookup *lookup,
                                          uint8_t *out)
{
    struct cache_hit hit;
    struct key denial;
    size_t room = serve_room_for(s, &lookup->item->client);
    lookup->item->verdict = SERVE_HINTED;
    key_make_denial(&denial, &lookup->key);
    if (serve_peek(s, &lookup->key, out, room, &hit)) {
        serve_restamp(s, lookup->item, &lookup->key, out, room, &hit);
        if (now_us / 1000000 < hit.expiry_s && hit.asked >= REFRESH_HITS)
            popular_note(s, lookup, out, &hit);
    } else if (serve_peek(s, &denial, out, room, &hit)) {
        serve_restamp(s, lookup->item, &denial, out, room, &hit);
    }
}

// The first hit of a refreshed answer shows that the refresh was used, and the third of any answer
// that it is popular, which its home has to know.
[[gnu::noinline]] void serve_hit_learn(struct serve *s, struct lookup *lookup, const uint8_t *value,
                                       const struct cache_hit *hit)
{
    struct serve_item *item = lookup->item;
    if (hit->asked == 0 && hit->value_len <= serve_room_for(s, &item->client) &&
        answer_is_refreshed(value, hit->value_len))
        serve_count(s, COUNTER_refreshes_used);
    if (hit->asked + 1 != REFRESH_HITS || !s->config.settings->cache_prefetch)
        return;
    uint32_t shard = cache_shard_of(s->config.cache, lookup->key.hash);
    item->owner = (uint16_t)(shard % s->config.worker_count);
    if (item->owner == s->config.worker)
        popular_note(s, lookup, value, hit);
    else
        item->hint = true;
}

// A popular answer is about to expire: fetches it again if it is still the same, as far as the
// budget allows.
void serve_refresh_due(struct serve *s, uint64_t now_us, struct refresh *refresh)
{
    struct forward *f = &s->forward;
    if (now_us < refresh->due_us) {
        wheel_start(&f->wheel, &refresh->timer, refresh->due_us);
        return;
    }
    struct key key;
    struct cache_hit hit;
    uint8_t value[SERVE_ANSWER_USUAL];
    uint32_t birth_s = refresh->birth_s, expiry_s = refresh->expiry_s;
    struct budget *network = &s->refresh_budgets[refresh->network]; // that made it popular
    key_copy(&key, &refresh->key);
    refresh_forget(&s->refreshes, refresh);
    const struct zone *zone = serve_zone_of(s, &key);
    bool same = serve_peek(s, &key, value, sizeof value, &hit) && hit.birth_s == birth_s &&
                hit.expiry_s == expiry_s;
    if (!same || !zone || s->keeps_none || question_find(&f->questions, &key) ||
        forward_is_down(f, now_us, zone) ||
        failure_find(&s->failures, key.hash, f->recoveries, now_us))
        return;
    struct question *question = NULL;
    if (f->questions.open_count < f->questions.size / 2 &&
        budget_spend_both(&s->refresh_budget, network))
        question = question_add(&f->questions, &key);
    if (!question) {
        serve_count(s, COUNTER_refreshes_forgone);
        return;
    }
    serve_count(s, COUNTER_refreshes);
    question->zone = zone;
    serve_waiting(s, question)->refresh = true;
    serve_question_start(s, now_us, question);
}
