// SPDX-License-Identifier: MIT
#pragma once
#include "io/edge/json.h"
#include "io/edge/local_files.h"
#include "io/engine/engine.h"

#include <stdio.h>

// What the workers know, put together and told to a person (lines with columns) or to a program
// (JSON). From any thread, as the workers are asked one look after the other; report_question only
// while no reload goes on, as it reads the settings. False: a worker has ended, and the report says
// so.

// An upstream, as all workers together know it: alive if any has found it so, failing if all those
// see it fail, as fast and as lossy as on average of those that know.
struct upstream_state {
    struct serve_upstream all;
    unsigned alive, dead, failing, known; // workers
    uint64_t now_us;
};

// Those that a zone names. NULL: a worker has ended, or there is no memory; else to be freed.
[[nodiscard]] struct upstream_state *report_states(struct engine *engine, size_t *count);

// As a list of JSON.
void report_states_json(const struct upstream_state *states, size_t count, const char *key,
                        struct json *json);

[[nodiscard]] bool report_upstreams(struct engine *engine, bool json, FILE *to);

// What is asked for most, by whom, and what fails most, in the last minutes.
[[nodiscard]] bool report_top(struct engine *engine, bool json, FILE *to);

// A question that is asked about.
struct report_question {
    const struct name *name;
    uint16_t type;
    const struct address *client; // NULL: nobody's
    // Of a name that a list blocks: where it stands there, and if not, why that is not known.
    struct local_line listed;
    const char *unlisted;
};

// What would come of it now (enum serve_outcome); -1: a worker has ended.
[[nodiscard]] int report_outcome(struct engine *engine, const struct report_question *question);

[[nodiscard]] bool report_question(struct engine *engine, const struct report_question *question,
                                   bool json, FILE *to);
