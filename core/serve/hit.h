// SPDX-License-Identifier: MIT
#pragma once
#include "core/serve/state.h"

// A query that may be answered at once: from local names or from memory.

// Finds the answer to a query whose lookup has been begun, or gives it to miss.h.
void serve_find(struct serve *s, uint64_t now_us, struct lookup *lookup, uint8_t **out);
