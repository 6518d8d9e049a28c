// SPDX-License-Identifier: MIT
#include "core/serve/answer.h"

bool serve_recall(const struct serve *s, const struct key *key, uint8_t *out, size_t size,
                  struct cache_hit *hit)
{
    struct cache_key cache_key = key_for_cache(key);
    return cache_lookup(s->config.cache, &cache_key, out, size, hit) == CACHE_HIT;
}

bool serve_peek(const struct serve *s, const struct key *key, uint8_t *out, size_t size,
                struct cache_hit *hit)
{
    struct cache_key cache_key = key_for_cache(key);
    return cache_peek(s->config.cache, &cache_key, out, size, hit) == CACHE_HIT;
}

bool serve_recall_denial(const struct serve *s, const struct key *key, uint8_t *out, size_t size,
                         struct cache_hit *hit)
{
    struct key denial;
    key_make_denial(&denial, key);
    return serve_recall(s, &denial, out, size, hit);
}

// Of an answer to the question and a denial of its name only what came last stays, so that it does
// not matter which is looked up first. Answers to other types go on until they are over. What may
// not be kept, although it is an answer, still ends what is known so far.
void serve_keep(struct serve *s, uint64_t now_us, const struct pending *pending)
{
    uint32_t now_s = (uint32_t)(now_us / 1000000);
    struct answer *answer = &s->forward.answer;
    struct key denial;
    if (s->keeps_none)
        return;
    key_make_denial(&denial, &pending->key);
    struct cache_key own = key_for_cache(&pending->key), of_name = key_for_cache(&denial);
    struct cache_inserted inserted;
    uint32_t birth_s = now_s;
    if (pending->refresh) {
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
