// SPDX-License-Identifier: MIT
#include "core/serve/stale.h"

#include "core/serve/answer.h"
#include "core/serve/reply.h"

bool serve_is_stale(const struct serve *s, uint32_t now_s, const struct cache_hit *hit)
{
    return now_s - hit->expiry_s < s->stale_max_s;
}

// Copies what has expired but may still be given (RFC 8767): an answer to the question, or a denial
// of its name. There may be both, as a denial may have come with another type; then the younger one
// counts.
bool serve_recall_stale(const struct serve *s, uint64_t now_us, const struct key *key, uint8_t *out,
                        size_t size, struct cache_hit *hit)
{
    uint32_t now_s = (uint32_t)(now_us / 1000000);
    struct cache_hit exact;
    bool has_exact = serve_recall(s, key, out, size, &exact) && serve_is_stale(s, now_s, &exact);
    bool denied = serve_recall_denial(s, key, out, size, hit) && serve_is_stale(s, now_s, hit);
    if (denied && (!has_exact || exact.birth_s < hit->birth_s))
        return true;
    if (!has_exact || !serve_recall(s, key, out, size, hit))
        return false;
    // It may lead to what has been blocked since.
    return !s->config.local || hit->value_len > size ||
           !local_blocks_chain(s->config.local, key, out, hit->value_len);
}

bool serve_answered_stale(struct serve *s, uint64_t now_us, struct lookup *lookup, uint8_t **out)
{
    struct cache_hit hit;
    size_t room = serve_room_for(s, &lookup->item->client);
    if (!lookup->stale || !serve_recall_stale(s, now_us, &lookup->key, *out, room, &hit))
        return false;
    struct answer_giving giving = {.turn = s->turn++, .stale = true};
    size_t len = answer_give(*out, room, hit.value_len, &lookup->query, &giving, &s->limits);
    serve_lookup_answered(s, lookup, out, len, COUNTER_answers_stale);
    return true;
}
