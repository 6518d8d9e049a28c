// SPDX-License-Identifier: MIT
#pragma once
#include "core/serve/answer.h"
#include "core/serve/refresh.h"
#include "core/serve/reply.h"

// A query that may be answered at once, from local names or from the cache. The common path is
// here; the .c has the rare ones.

// Answers as a rule has decided about the name. False: it is to be looked up all the same.
[[nodiscard]] bool serve_decided(struct serve *s, struct lookup *lookup,
                                 struct policy_decision decision, uint8_t **out);

// For a question without a fresh answer of its own (`exact`: an expired one; NULL: none): answers
// with a cached denial of its name where there is one, or gives the query to miss.h.
void serve_find_denial(struct serve *s, uint64_t now_us, struct lookup *lookup,
                       const struct cache_hit *exact, uint8_t **out);

// The same as policy_holds, for an answer of another generation; one that holds is marked as of the
// present one (serve_restamp).
[[nodiscard]] bool serve_holds_still(struct serve *s, struct lookup *lookup, const uint8_t *value,
                                     const struct cache_hit *hit);

// A hit is a lookup and a patch: the cache's copy of the answer becomes the client's in place.
static inline void serve_give(struct serve *s, uint32_t now_s, struct lookup *lookup,
                              const struct cache_hit *hit, uint8_t **out, size_t room)
{
    // Its worker's clock may have been read a moment later than ours.
    struct answer_giving giving = {
        .age_s = now_s > hit->birth_s ? now_s - hit->birth_s : 0,
        .turn = s->turn++,
    };
    size_t len = answer_give(*out, room, hit->value_len, &lookup->query, &giving, &s->limits);
    serve_lookup_answered(s, lookup, out, len, COUNTER_answers_cache);
}

// Ends the lookup that was begun, and answers the query or gives it to miss.h.
[[gnu::always_inline]] static inline void serve_find(struct serve *s, uint64_t now_us,
                                                     struct lookup *lookup, uint8_t **out)
{
    uint32_t now_s = (uint32_t)(now_us / 1000000);
    size_t room = serve_room_for(s, &lookup->item->client);
    struct cache_hit hit;
    if (lookup->item->hint) {
        serve_hint_receive(s, now_us, lookup, *out);
        return;
    }
    struct policy_decision decision =
        policy_before_name(&s->policy, now_us, &lookup->query, &lookup->key, *out, room, s->turn);
    if (decision.verdict != POLICY_LOOK_UP && serve_decided(s, lookup, decision, out))
        return;
    struct cache_key key = key_for_cache(&lookup->key);
    bool exact = (cache_seek_end(s->config.cache, &lookup->seek, &key, *out, room, &hit) &&
                  (answer_generation(*out, hit.value_len) == s->policy.generation ||
                   serve_holds_still(s, lookup, *out, &hit))) ||
                 serve_recall(s, &lookup->key, *out, room, &hit);
    if (!exact || now_s >= hit.expiry_s) {
        serve_find_denial(s, now_us, lookup, exact ? &hit : NULL, out);
        return;
    }
    if (hit.asked < REFRESH_HITS)
        serve_hit_learn(s, lookup, *out, &hit);
    serve_give(s, now_s, lookup, &hit, out, room);
}
