// SPDX-License-Identifier: MIT
#pragma once
#include "core/serve/state.h"

// What a worker says of itself: options of its replies, names of class CH, and the small answer to
// a question for all types.

// Lets the reply to a query carry what it asks for apart from a cookie, behind a cookie if there is
// one; `options` must live as long as the query.
void serve_options(const struct serve *s, struct query *query, struct reply_options *options);

// Writes the answer to a question about this server itself (class CH). Returns its length; 0: it is
// none that may be answered.
[[nodiscard]] size_t serve_chaos(const struct serve *s, const struct query *query, uint8_t *out);

// Writes the answer to a question for all types of a name, which it must be. Returns its length; 0:
// it is to be looked for like any other.
[[nodiscard]] size_t serve_any(const struct serve *s, const struct query *query, uint8_t *out);
