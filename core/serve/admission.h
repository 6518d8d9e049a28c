// SPDX-License-Identifier: MIT
#pragma once
#include "core/serve/state.h"

// Whether a datagram is a query that may be answered.

// Reads a datagram and decides whether an answer is to be looked for; if not, the item is done.
[[nodiscard]] bool serve_admit(struct serve *s, struct serve_item *item, struct lookup *lookup,
                               uint8_t **out);
