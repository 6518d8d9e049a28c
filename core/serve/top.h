// SPDX-License-Identifier: MIT
#pragma once
#include "core/serve/serve.h"
#include "core/top.h"

// The most frequent questions and clients of the last minutes.

// A question's key is that of struct key without flags; a client's a struct address without a port,
// cut to its network (/32 or /56).
enum serve_top_kind { TOP_QUESTIONS, TOP_CLIENTS, TOP_FAILURES, TOP_KINDS };
[[nodiscard]] const struct top *serve_top(struct serve *serve, uint64_t now_us,
                                          enum serve_top_kind kind);

// Adds `weight` to a question's count in a table of questions, or to a client's in one of clients;
// `seed` is the cache's.
void serve_top_question(struct top *top, uint64_t now_us, const struct key *key, uint64_t weight);
void serve_top_client(struct top *top, uint64_t now_us, const struct address *from, uint64_t seed,
                      uint64_t weight);

// Samples one of a batch's `count` lookups, with the weight of all since the one before, where it
// is time for that; and counts a failed question.
void serve_top_note(struct serve *s, uint64_t now_us, size_t count);
void serve_top_failed(struct serve *s, uint64_t now_us, const struct key *key);
