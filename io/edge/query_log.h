// SPDX-License-Identifier: MIT
#pragma once
#include "io/edge/log.h"
#include "io/engine/engine.h"

// Answers to clients, one line or one dnstap message each, where the settings ask for it
// (queries.log, queries.dnstap, queries.one-in). A thread of its own takes what the workers tell
// (io/engine/tap.h); where it cannot keep up they leave out and count.

struct query_log; // opaque

// Starts the thread, which rests until query_log_set. NULL: there is no memory or no thread.
[[nodiscard]] struct query_log *query_log_open(struct engine *engine, const struct log *log);

// Goes by these settings from now on. 0; or a negative errno with a sentence in `why`: as before.
#define QUERY_LOG_WHY_SIZE 400
[[nodiscard]] int query_log_set(struct query_log *query_log, const struct settings *settings,
                                char why[static QUERY_LOG_WHY_SIZE]);

// Once the workers have ended: what they have told is written.
void query_log_close(struct query_log *query_log);
