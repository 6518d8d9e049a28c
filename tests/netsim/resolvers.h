// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>

// The upstreams: what they answer is tests/mixed's. They are silent, refuse, truncate, reset and
// stop half-way as the seed wants it. A query that no client can have caused fails the seed.

enum { RESOLVERS_MAX = 3 };

void resolvers_begin(unsigned count);

// Have all connections ended?
[[nodiscard]] bool resolvers_idle(void);
void resolvers_end(void);
