// SPDX-License-Identifier: MIT
#pragma once
#include "core/serve/state.h"

// What this worker's part of the cache keeps of answers: looked up, and kept when a question has
// ended.

// Copies what is kept under a key, dead or alive.
[[nodiscard]] bool serve_recall(const struct serve *s, const struct key *key, uint8_t *out,
                                size_t size, struct cache_hit *hit);

// The same without counting as a hit.
[[nodiscard]] bool serve_peek(const struct serve *s, const struct key *key, uint8_t *out,
                              size_t size, struct cache_hit *hit);

// Recalls the denial of its name.
[[nodiscard]] bool serve_recall_denial(const struct serve *s, const struct key *key, uint8_t *out,
                                       size_t size, struct cache_hit *hit);

// Keeps the forwarder's answer to a question that has ended with one.
void serve_keep(struct serve *s, uint64_t now_us, const struct pending *pending);
