// SPDX-License-Identifier: MIT
#pragma once
#include "core/serve/state.h"

// The answers of the cache: looked up, and cached when a question has ended. What was made by rules
// that are no longer in force is not there for whoever asks here (core/policy/generation.h), nor as
// a stale answer.

#define SERVE_ANSWER_USUAL 512 // octets of most answers: room to look at one without its records

// Copies what is cached under a key, expired or not.
[[nodiscard]] bool serve_recall(const struct serve *s, const struct key *key, uint8_t *out,
                                size_t size, struct cache_hit *hit);

// The same without counting as a hit.
[[nodiscard]] bool serve_peek(const struct serve *s, const struct key *key, uint8_t *out,
                              size_t size, struct cache_hit *hit);

// Recalls the denial of its name.
[[nodiscard]] bool serve_recall_denial(const struct serve *s, const struct key *key, uint8_t *out,
                                       size_t size, struct cache_hit *hit);

// Keeps the forwarder's answer to a question that has ended with one.
void serve_keep(struct serve *s, uint64_t now_us, const struct question *question);
