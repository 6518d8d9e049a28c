// SPDX-License-Identifier: MIT
#pragma once
#include "core/serve/state.h"

// A query without a cached answer: it joins the question that is sent upstream.

// Answers it with a stale answer or a cached failure, adds the client to its question, hands it to
// its home, or drops it.
void serve_miss(struct serve *s, uint64_t now_us, struct lookup *lookup, uint8_t **out);
