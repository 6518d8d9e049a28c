// SPDX-License-Identifier: MIT
#pragma once
#include "tests/support/warm.h"

// The steps of an answer from memory, each alone and for each of the warm questions: what micro
// times and hit_steps has counted. Each is called as the daemon calls it; what joins them there is
// not among them.

struct steps;

// Reads all questions, makes their keys and looks up their answers once, so that each step has what
// the one before it makes. Ends the program with a message if memory is short.
struct steps *steps_make(struct warm *warm);
void steps_free(struct steps *steps);

void step_parse(struct steps *steps);  // query_read
void step_key(struct steps *steps);    // key_make
void step_lookup(struct steps *steps); // the three stages of a lookup, as serve_queries makes them
void step_patch(struct steps *steps);  // answer_give; each answer is first copied as it was cached

struct step {
    const char *name;
    void (*do_all)(struct steps *steps);
};

extern const struct step steps_all[4];
