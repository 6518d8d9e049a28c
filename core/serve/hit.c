// SPDX-License-Identifier: MIT
#include "core/serve/hit.h"

#include "core/serve/answer.h"
#include "core/serve/identity.h"
#include "core/serve/miss.h"
#include "core/serve/refresh.h"
#include "core/serve/reply.h"
#include "core/serve/stale.h"

// Answers a name whose kept answer leads to a blocked name, by lists that have come since. What has
// no room here is not seen: it is not given either, but for TC.
static bool answered_blocked(struct serve *s, uint64_t now_us, struct lookup *lookup, uint8_t **out)
{
    struct cache_hit hit;
    size_t room = serve_room_for(s, &lookup->item->client);
    bool kept = serve_peek(s, &lookup->key, *out, room, &hit);
    if (kept && hit.value_len > room)
        return false;
    if (!kept || !local_blocks_chain(s->config.local, &lookup->key, *out, hit.value_len)) {
        local_memo_keep(&s->local_memo, lookup->key.hash);
        return false;
    }
    if (now_us / 1000000 >= hit.expiry_s)
        return false;
    size_t len = local_block_answer(s->config.local, &lookup->query, &s->limits, *out);
    serve_lookup_answered(s, lookup, out, len, COUNTER_answers_blocked);
    return true;
}

// The same where it is not known to be nobody's here.
[[gnu::noinline]] static bool answered_by_local(struct serve *s, uint64_t now_us,
                                                struct lookup *lookup, uint8_t **out)
{
    enum local_source source;
    size_t len = local_answer(s->config.local, &lookup->query, &lookup->key, s->turn, &s->limits,
                              *out, &source);
    if (source == LOCAL_NOWHERE)
        return answered_blocked(s, now_us, lookup, out);
    s->turn++;
    serve_lookup_answered(s, lookup, out, len,
                          source == LOCAL_OWN ? COUNTER_answers_local : COUNTER_answers_blocked);
    return true;
}

// Answers a name that is answered here, whatever the cache or an upstream would say.
static inline bool answered_locally(struct serve *s, uint64_t now_us, struct lookup *lookup,
                                    uint8_t **out)
{
    return s->config.local && !local_memo_holds(&s->local_memo, lookup->key.hash) &&
           answered_by_local(s, now_us, lookup, out);
}

// Answers a question for all types with little, where that is wanted.
[[gnu::noinline]] static bool answered_any(struct serve *s, struct lookup *lookup, uint8_t **out)
{
    size_t len = serve_any(s, &lookup->query, *out);
    if (len == 0)
        return false;
    serve_lookup_answered(s, lookup, out, len, COUNTER_answers_local);
    return true;
}

// A hit is a lookup and a patch: the cache's copy of the answer becomes the client's in place.
static inline void give(struct serve *s, uint32_t now_s, struct lookup *lookup,
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

// Where there is no answer to the question itself, or it is over (`own` tells of it): perhaps its
// name is known not to exist. Apart, as are the other ways that few queries go.
[[gnu::noinline]] static void find_denial(struct serve *s, uint64_t now_us, struct lookup *lookup,
                                          const struct cache_hit *own, uint8_t **out)
{
    uint32_t now_s = (uint32_t)(now_us / 1000000);
    size_t room = serve_room_for(s, &lookup->item->client);
    struct cache_hit denial;
    bool denied = serve_recall_denial(s, &lookup->key, *out, room, &denial);
    lookup->stale =
        (own && serve_is_stale(s, now_s, own)) || (denied && serve_is_stale(s, now_s, &denial));
    if (denied && now_s < denial.expiry_s)
        give(s, now_s, lookup, &denial, out, room);
    else
        serve_miss(s, now_us, lookup, out);
}

void serve_find(struct serve *s, uint64_t now_us, struct lookup *lookup, uint8_t **out)
{
    uint32_t now_s = (uint32_t)(now_us / 1000000);
    size_t room = serve_room_for(s, &lookup->item->client);
    struct cache_hit hit;
    if (lookup->item->note) {
        serve_note_take(s, now_us, lookup, *out);
        return;
    }
    if (answered_locally(s, now_us, lookup, out) ||
        (lookup->query.type == TYPE_ANY && answered_any(s, lookup, out)))
        return;
    struct cache_key key = key_for_cache(&lookup->key);
    bool own = cache_seek_end(s->config.cache, &lookup->seek, &key, *out, room, &hit) ||
               serve_recall(s, &lookup->key, *out, room, &hit);
    if (!own || now_s >= hit.expiry_s) {
        find_denial(s, now_us, lookup, own ? &hit : NULL, out);
        return;
    }
    if (hit.asked < REFRESH_HITS)
        serve_hit_learn(s, lookup, *out, &hit);
    give(s, now_s, lookup, &hit, out, room);
}
