// SPDX-License-Identifier: MIT
#pragma once
#include "tests/mixed/truth.h"

// What the upstream makes of a query; no socket is touched.

#define REPLY_MAX 65535

// Writes the reply to a query and returns its length. 0, with a sentence in `why`, where the query
// is not one that a forwarder may send.
size_t reply_write(const struct truth *truth, const uint8_t *query, size_t len, bool tcp,
                   uint8_t out[static REPLY_MAX], const char **why);
