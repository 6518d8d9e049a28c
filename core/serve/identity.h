// SPDX-License-Identifier: MIT
#pragma once
#include "core/serve/state.h"

// The identity of this server: options of its replies, names of class CH, and the small answer to a
// query for ANY.

// Adds to a reply the options that its query asks for, except a cookie, and after it; `options`
// must live as long as the query.
void serve_options(const struct serve *s, struct query *query, struct reply_options *options);

// Writes the answer to a query of class CH, which is about this server (POLICY_IDENTITY). Returns
// its length; 0: it must not be answered.
[[nodiscard]] size_t serve_chaos(const struct serve *s, const struct query *query, uint8_t *out);

// Writes the answer to a query for ANY that is not looked up (POLICY_ANY): one record, or TC to
// have the client use TCP. Returns its length.
[[nodiscard]] size_t serve_any(const struct serve *s, const struct query *query, uint8_t *out);
