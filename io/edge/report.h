// SPDX-License-Identifier: MIT
#pragma once
#include "io/engine/engine.h"

#include <stdio.h>

// What the workers know, put together and told to a person (lines with columns) or to a program
// (JSON). From one thread at a time. False: a worker has ended, and the report says so.

[[nodiscard]] bool report_upstreams(struct engine *engine, bool json, FILE *to);

// `client` may be NULL.
[[nodiscard]] bool report_question(struct engine *engine, const struct name *name, uint16_t type,
                                   const struct address *client, bool json, FILE *to);
