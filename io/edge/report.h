// SPDX-License-Identifier: MIT
#pragma once
#include "io/edge/json.h"
#include "io/edge/local_files.h"
#include "io/engine/engine.h"

#include <stdio.h>

// Reports of what the workers know, combined: for a person (lines with columns) or a program
// (JSON). Any thread may call these, but report_question only while there is no reload, as it reads
// the settings. False: a worker has ended, and the report says so.

// An upstream as all workers together know it: alive if any of them finds it alive, failing if all
// of these find it failing, and the average of the times and losses that they know.
struct upstream_state {
    struct serve_upstream all;
    unsigned alive, dead, failing, known; // workers
    uint64_t now_us;
};

// The upstreams of all zones. NULL: a worker has ended, or there is no memory; else to be freed.
[[nodiscard]] struct upstream_state *report_states(struct engine *engine, size_t *count);

// As a JSON list.
void report_states_json(const struct upstream_state *states, size_t count, const char *key,
                        struct json *json);

[[nodiscard]] bool report_upstreams(struct engine *engine, bool json, FILE *to);

// The most frequent questions, clients and failures of the last minutes.
[[nodiscard]] bool report_top(struct engine *engine, bool json, FILE *to);

// A question to report on.
struct report_question {
    const struct name *name;
    uint16_t type;
    const struct address *client; // NULL: none
    // For a blocked name: its line in the lists, or why that is not known.
    struct local_line listed;
    const char *unlisted;
};

// How it would be answered now (enum serve_outcome); -1: a worker has ended.
[[nodiscard]] int report_outcome(struct engine *engine, const struct report_question *question);

[[nodiscard]] bool report_question(struct engine *engine, const struct report_question *question,
                                   bool json, FILE *to);
