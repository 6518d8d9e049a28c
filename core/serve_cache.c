// SPDX-License-Identifier: MIT
#include "core/serve_state.h"

// Copies what is kept under a key, dead or alive.
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

bool serve_is_stale(const struct serve *s, uint32_t now_s, const struct cache_hit *hit)
{
    return now_s - hit->expiry_s < s->stale_max_s;
}

// Copies what is over but may be given for want of better (RFC 8767): an answer to the question or
// a denial of its name. Both may be there, as the denial came with a question of another type; then
// what came last is nearer to the truth.
bool serve_recall_stale(const struct serve *s, uint64_t now_us, const struct key *key, uint8_t *out,
                        size_t size, struct cache_hit *hit)
{
    uint32_t now_s = (uint32_t)(now_us / 1000000);
    uint8_t none[MESSAGE_HEADER_LEN];
    struct cache_hit own;
    bool has_own = serve_recall(s, key, none, sizeof none, &own) && serve_is_stale(s, now_s, &own);
    bool denied = serve_recall_denial(s, key, out, size, hit) && serve_is_stale(s, now_s, hit);
    if (denied && (!has_own || own.birth_s < hit->birth_s))
        return true;
    if (!has_own || !serve_recall(s, key, out, size, hit))
        return false;
    // It may lead to what has been blocked since.
    return !s->config.local || hit->value_len > size ||
           !local_blocks_chain(s->config.local, key, out, hit->value_len);
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
