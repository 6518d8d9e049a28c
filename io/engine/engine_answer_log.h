// SPDX-License-Identifier: MIT
#pragma once
#include "io/engine/answer_log.h"
#include "io/engine/engine.h"

// The answer logs of all workers (answer_log.h).

// Has the workers log one answer in `every` from now on; 0: none. 0 or -ENOMEM.
[[nodiscard]] int engine_answer_log_set(struct engine *engine, uint32_t every);

// Calls `consume` for each entry, which is valid during the call, and frees its room. Where that
// returns false, this entry and those behind it stay for the next time. For one thread at a time.
// Returns whether any entry was consumed.
bool engine_answer_log_read(struct engine *engine,
                            bool (*consume)(void *context, const struct logged_answer *logged,
                                            const struct client *client, const uint8_t *reply,
                                            size_t len),
                            void *context);
