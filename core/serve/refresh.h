// SPDX-License-Identifier: MIT
#pragma once
#include "core/serve/state.h"

// Popular answers: how they are told, at home and by other workers, and how they are asked for
// before they expire. core/forward/refresh.h keeps the table of them.

// Another worker says that an answer whose home is here is popular; `out` has room for a reply.
void serve_hint_receive(struct serve *s, uint64_t now_us, struct lookup *lookup, uint8_t *out);

// One of an answer's first hits, whose value stands at `value`.
void serve_hit_learn(struct serve *s, struct lookup *lookup, const uint8_t *value,
                     const struct cache_hit *hit);

// The time has come to ask again for an answer that was noted as popular.
void serve_refresh_due(struct serve *s, uint64_t now_us, struct refresh *refresh);
