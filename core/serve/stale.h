// SPDX-License-Identifier: MIT
#pragma once
#include "core/serve/state.h"

// Stale answers, which are given when no upstream answers in time (RFC 8767).

// True if an expired answer may still be given as a stale one.
[[nodiscard]] bool serve_is_stale(const struct serve *s, uint32_t now_s,
                                  const struct cache_hit *hit);

// Copies the stale answer to a question; false: there is none.
[[nodiscard]] bool serve_recall_stale(const struct serve *s, uint64_t now_us, const struct key *key,
                                      uint8_t *out, size_t size, struct cache_hit *hit);

// Answers a query with it; false: there is none any more.
[[nodiscard]] bool serve_answered_stale(struct serve *s, uint64_t now_us, struct lookup *lookup,
                                        uint8_t **out);
