// SPDX-License-Identifier: MIT
#pragma once
#include "tests/xdp/world.h"

// The upstream of the world: what it answers is drawn at random, but of kinds that an answer from
// memory can be of: addresses, many of them, aliases, long texts, signatures, denials.

#define UPSTREAM_REPLY_MAX 4096

// Writes the reply to a query that the worker has sent. Returns its length.
size_t upstream_reply(struct world *world, const uint8_t *query, size_t len,
                      uint8_t reply[static UPSTREAM_REPLY_MAX]);
