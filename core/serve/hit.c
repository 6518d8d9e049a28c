// SPDX-License-Identifier: MIT
#include "core/serve/hit.h"

#include "core/serve/identity.h"
#include "core/serve/miss.h"
#include "core/serve/stale.h"

[[gnu::noinline]] bool serve_decided(struct serve *s, struct lookup *lookup,
                                     struct policy_decision decision, uint8_t **out)
{
    enum counter source = COUNTER_answers_local;
    size_t len = decision.len;
    if (decision.verdict == POLICY_ALIAS)
        return false;
    if (decision.verdict == POLICY_ANY)
        len = serve_any(s, &lookup->query, *out);
    else if (decision.verdict != POLICY_LOCAL)
        source = COUNTER_answers_blocked;
    s->turn += decision.verdict == POLICY_LOCAL || decision.verdict == POLICY_BLOCKED;
    serve_lookup_answered(s, lookup, out, len, source);
    return true;
}

[[gnu::noinline]] bool serve_holds_still(struct serve *s, struct lookup *lookup,
                                         const uint8_t *value, const struct cache_hit *hit)
{
    if (!policy_holds(&s->policy, &lookup->key, value, hit->value_len))
        return false;
    serve_restamp(s, lookup->item, &lookup->key, value, hit->value_len, hit);
    return true;
}

[[gnu::noinline]] void serve_find_denial(struct serve *s, uint64_t now_us, struct lookup *lookup,
                                         const struct cache_hit *exact, uint8_t **out)
{
    uint32_t now_s = (uint32_t)(now_us / 1000000);
    size_t room = serve_room_for(s, &lookup->item->client);
    struct cache_hit denial;
    bool denied = serve_recall_denial(s, &lookup->key, *out, room, &denial);
    if (denied) {
        struct key key;
        key_make_denial(&key, &lookup->key);
        serve_restamp(s, lookup->item, &key, *out, room, &denial);
    }
    lookup->stale =
        (exact && serve_is_stale(s, now_s, exact)) || (denied && serve_is_stale(s, now_s, &denial));
    if (denied && now_s < denial.expiry_s)
        serve_give(s, now_s, lookup, &denial, out, room);
    else
        serve_miss(s, now_us, lookup, out);
}
