// SPDX-License-Identifier: MIT
#pragma once
#include "core/serve/state.h"

// Popular answers: how their home recognises them, by its own hits and by hints of other workers,
// and how they are refreshed before they expire. core/forward/refresh.h has their table.

// A popularity hint of another worker, for an answer whose home is here; `out` has room for a
// reply.
void serve_hint_receive(struct serve *s, uint64_t now_us, struct lookup *lookup, uint8_t *out);

// One of the first hits of an answer, whose value is at `value`.
void serve_hit_learn(struct serve *s, struct lookup *lookup, const uint8_t *value,
                     const struct cache_hit *hit);

// A popular answer is about to expire: fetches it again.
void serve_refresh_due(struct serve *s, uint64_t now_us, struct refresh *refresh);
