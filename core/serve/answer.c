// SPDX-License-Identifier: MIT
#include "core/serve/answer.h"

// What has no room is looked at in another copy: its end says by which rules it was made.
static bool long_holds(const struct serve *s, const struct key *key)
{
    uint8_t value[ANSWER_SIZE_MAX];
    struct cache_key cache_key = key_for_cache(key);
    struct cache_hit hit;
    return cache_peek(s->config.cache, &cache_key, value, sizeof value, &hit) == CACHE_HIT &&
           policy_holds(&s->policy, key, value, hit.value_len);
}

static bool holds(const struct serve *s, const struct key *key, const uint8_t *value, size_t size,
                  const struct cache_hit *hit)
{
    return hit->value_len <= size ? policy_holds(&s->policy, key, value, hit->value_len)
                                  : long_holds(s, key);
}

bool serve_recall(const struct serve *s, const struct key *key, uint8_t *out, size_t size,
                  struct cache_hit *hit)
{
    struct cache_key cache_key = key_for_cache(key);
    return cache_lookup(s->config.cache, &cache_key, out, size, hit) == CACHE_HIT &&
           holds(s, key, out, size, hit);
}

bool serve_peek(const struct serve *s, const struct key *key, uint8_t *out, size_t size,
                struct cache_hit *hit)
{
    struct cache_key cache_key = key_for_cache(key);
    return cache_peek(s->config.cache, &cache_key, out, size, hit) == CACHE_HIT &&
           holds(s, key, out, size, hit);
}

bool serve_recall_denial(const struct serve *s, const struct key *key, uint8_t *out, size_t size,
                         struct cache_hit *hit)
{
    struct key denial;
    key_make_denial(&denial, key);
    return serve_recall(s, &denial, out, size, hit);
}

void serve_restamp(struct serve *s, struct serve_item *item, const struct key *key,
                   const uint8_t *value, size_t size, const struct cache_hit *hit)
{
    struct cache_key cache_key = key_for_cache(key);
    uint32_t generation = s->policy.generation;
    uint32_t shard = cache_shard_of(s->config.cache, key->hash);
    uint32_t owner = shard % s->config.worker_count;
    if (hit->value_len > size || answer_generation(value, hit->value_len) == generation ||
        policy_overrules(&s->policy, key, value, hit->value_len))
        return;
    if (owner != s->config.worker) {
        item->owner = (uint16_t)owner;
        item->hint = true;
    } else if (!s->keeps_none) {
        // A mixture of both numbers is a third one at worst, under which its zone decides again.
        cache_overwrite(s->config.cache, &cache_key, answer_generation_at(hit->value_len),
                        &generation, sizeof generation);
    }
}

// Of an answer to the question and a denial of its name only what came last stays, so that it does
// not matter which is looked up first. Answers to other types go on until they are over. What may
// not be kept, although it is an answer, still ends what is known so far.
void serve_keep(struct serve *s, uint64_t now_us, const struct question *question)
{
    uint32_t now_s = (uint32_t)(now_us / 1000000);
    struct answer *answer = &s->forward.answer;
    struct key denial;
    // What an upstream of before has said ends nothing that is known now. And a subquestion may be
    // asked away from its name's home, where alone its answer could be cached.
    uint32_t shard = cache_shard_of(s->config.cache, question->key.hash);
    if (s->keeps_none || shard % s->config.worker_count != s->config.worker ||
        !policy_seal(&s->policy, question, answer))
        return;
    key_make_denial(&denial, &question->key);
    struct cache_key own = key_for_cache(&question->key), of_name = key_for_cache(&denial);
    struct cache_inserted inserted;
    uint32_t birth_s = now_s;
    if (serve_waiting(s, question)->refresh) {
        answer_mark_refreshed(answer);
        if (answer->lifetime_s < REFRESH_SHORT_S)
            birth_s = (uint32_t)((now_us + 999999) / 1000000);
    }
    struct cache_value value = {
        .bytes = answer->value,
        .len = answer->len,
        .birth_s = birth_s,
        .expiry_s = birth_s + answer->lifetime_s,
    };
    bool kept =
        answer->lifetime_s > 0 && cache_insert(s->config.cache, answer->denies ? &of_name : &own,
                                               &value, now_s, &inserted) == 0;
    if (!kept || answer->denies)
        cache_remove(s->config.cache, &own);
    if (!kept || !answer->denies)
        cache_remove(s->config.cache, &of_name);
    if (!kept)
        return;
    serve_count(s, COUNTER_cache_inserted);
    counter_add(s->config.counters, COUNTER_cache_evicted, inserted.evicted);
    counter_add(s->config.counters, COUNTER_cache_expired, inserted.expired);
}
