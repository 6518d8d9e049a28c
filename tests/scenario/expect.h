// SPDX-License-Identifier: MIT
#pragma once
#include "tests/scenario/stage.h"

// What a scenario says that happens, held against what does. All that happens has to be spoken of:
// whatever does not is reported when the scenario comes to a later moment.

struct span {
    bool given;
    uint64_t min_us; // on the stage's clock
    uint64_t max_us;
};

// "A is asked ...", "anna gets ...", "ouzel connects to A" and so on: the words behind the verb.
void expect_asked(struct stage *stage, const struct span *when, unsigned upstream,
                  struct phrase *phrase);
void expect_answer(struct stage *stage, const struct span *when, unsigned client,
                   struct phrase *phrase, const struct statement *statement);
void expect_dropped(struct stage *stage, const struct span *when, unsigned client,
                    struct phrase *phrase);
void expect_own(struct stage *stage, const struct span *when, struct phrase *phrase);
void expect_counter(struct stage *stage, const struct span *when, struct phrase *phrase);

// The event that "A is asked ... as LABEL" has named, or the last that A was asked and has not
// replied to.
[[nodiscard]] struct event *expect_labelled(struct stage *stage, const char *label);
[[nodiscard]] struct event *expect_unreplied(struct stage *stage, unsigned upstream);

// Goes on to a time, by which all that came before it must have been spoken of.
void expect_reach(struct stage *stage, const struct span *when);

// "nothing yet": and also all that came at that time.
void expect_nothing(struct stage *stage, const struct span *when);

// "until T: A is asked 40 times; ...": goes on to a time and counts all that has not been spoken
// of.
void expect_tally(struct stage *stage, uint64_t until_us, struct statement *statement);

// Nothing but the end of what stands open may come; then all counters must agree.
void expect_end(struct stage *stage, uint64_t left_waiting);
