// SPDX-License-Identifier: MIT
#pragma once
#include "io/edge/log.h"
#include "io/engine/engine.h"

// The query log: a line or a dnstap message for each answer to a client, as the settings say
// (queries.log, queries.dnstap, queries.one-in). A thread of its own reads the workers' answer logs
// (io/engine/answer_log.h). Where it cannot keep up, workers leave answers out and count them.

struct query_log; // opaque

// Starts the thread, which waits for query_log_set. NULL: there is no memory or no thread.
[[nodiscard]] struct query_log *query_log_open(struct engine *engine, const struct log *log);

// Applies these settings. 0; or a negative errno with a sentence in `why`, and nothing changes.
#define QUERY_LOG_WHY_SIZE 400
[[nodiscard]] int query_log_set(struct query_log *query_log, const struct settings *settings,
                                char why[static QUERY_LOG_WHY_SIZE]);

// After the workers have ended: writes what is left in their logs, and ends the thread.
void query_log_close(struct query_log *query_log);
