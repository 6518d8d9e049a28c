// SPDX-License-Identifier: MIT
#pragma once
#include "core/serve/state.h"

// What a worker says of itself: options of its replies, names of class CH, and the small answer to
// a question for all types.

// Lets the reply to a query carry what it asks for apart from a cookie, behind a cookie if there is
// one; `options` must live as long as the query.
void serve_options(const struct serve *s, struct query *query, struct reply_options *options);

// Writes the answer to a question in class CH, about this server itself (POLICY_IDENTITY). Returns
// its length; 0: it is none that may be answered.
[[nodiscard]] size_t serve_chaos(const struct serve *s, const struct query *query, uint8_t *out);

// Writes the answer to a question for all types of a name that is not to be looked up (POLICY_ANY):
// one record, or the request to come over TCP. Returns its length.
[[nodiscard]] size_t serve_any(const struct serve *s, const struct query *query, uint8_t *out);
