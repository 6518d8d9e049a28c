// SPDX-License-Identifier: MIT
#pragma once
#include "core/serve/state.h"

// Cached answers: looking them up, and caching one when a question has ended. An answer that was
// made under rules no longer in force (core/policy/generation.h) counts as absent here, stale or
// not.

#define SERVE_ANSWER_USUAL 512 // octets of most answers: a buffer to read one's trailer

// Copies what is cached under a key, expired or not.
[[nodiscard]] bool serve_recall(const struct serve *s, const struct key *key, uint8_t *out,
                                size_t size, struct cache_hit *hit);

// The same without counting as a hit.
[[nodiscard]] bool serve_peek(const struct serve *s, const struct key *key, uint8_t *out,
                              size_t size, struct cache_hit *hit);

// Copies the denial of its name.
[[nodiscard]] bool serve_recall_denial(const struct serve *s, const struct key *key, uint8_t *out,
                                       size_t size, struct cache_hit *hit);

// Marks a cached answer, which was made under other rules and holds under those in force, as made
// under these, so that whoever has no rules to compare with may give it again (the XDP program).
// Where another worker writes its shard, a popularity hint of this item asks that to do it.
// `value` has `size` octets of it; one that is longer stays as it is. So does one whose name is
// answered here by now: such a hint may be late, or the query one of the few that are looked up.
void serve_restamp(struct serve *s, struct serve_item *item, const struct key *key,
                   const uint8_t *value, size_t size, const struct cache_hit *hit);

// Caches the forwarder's answer to a question that has ended with one.
void serve_keep(struct serve *s, uint64_t now_us, const struct question *question);
