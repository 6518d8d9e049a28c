// SPDX-License-Identifier: MIT
#pragma once
#include "core/serve/state.h"

// A query to which memory has no answer: joined to the question that asks for it upstream.

// Answers it from what is over or failed a moment ago, attaches it to its question, hands it to the
// worker that is its home, or drops it.
void serve_miss(struct serve *s, uint64_t now_us, struct lookup *lookup, uint8_t **out);
