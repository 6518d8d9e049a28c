// SPDX-License-Identifier: MIT
#pragma once
#include "core/serve/state.h"

// Answers whose time has passed, which are given where there is nothing better (RFC 8767).

// May it still be given, although it is over?
[[nodiscard]] bool serve_is_stale(const struct serve *s, uint32_t now_s,
                                  const struct cache_hit *hit);

// Copies what is over but may be given for want of better.
[[nodiscard]] bool serve_recall_stale(const struct serve *s, uint64_t now_us, const struct key *key,
                                      uint8_t *out, size_t size, struct cache_hit *hit);

// Answers a query with that; false: it is gone.
[[nodiscard]] bool serve_answered_stale(struct serve *s, uint64_t now_us, struct lookup *lookup,
                                        uint8_t **out);
