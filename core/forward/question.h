// SPDX-License-Identifier: MIT
#pragma once
#include "core/forward/attempt.h"

// The life of a question: how it waits, how it ends, and what is known of it. What is sent next is
// for the schedule to say (schedule.h).

#define QUESTION_EXHAUSTED_US 50000u   // until the next try, when there was no port or attempt
#define QUESTION_TCP_US       1000000u // for a reply over TCP, which resends by itself

// Sets its timer, to the deadline at the latest.
void question_wait_until(struct forward *f, struct question *question, uint64_t due_us);

// Ends it; what was sent and not answered becomes orphans.
void question_finish(struct forward *f, uint64_t now_us, struct question *question,
                     enum question_state end);

// Ends it as failed: with what an upstream has said, or else like this (QUESTION_SILENT, or what
// stands behind it).
void question_fail(struct forward *f, uint64_t now_us, struct question *question,
                   enum question_state end);

// Has the name an upper-case letter where it is asked in mixed case?
[[nodiscard]] bool question_is_mixed_case(const struct question *question);

// May another of the zone's upstreams than the number `choice` be asked over TCP that has not been?
[[nodiscard]] bool question_has_others(const struct forward *f, uint64_t now_us,
                                       const struct question *question, int choice);

// Does it wait for a reply that has not taken too long already, or for its turn?
[[nodiscard]] bool question_is_expected(const struct question *question, uint64_t now_us);

// The latest send that it waits for: a copy only where there is nothing else. NULL: nothing is
// under way.
[[nodiscard]] const struct attempt *question_latest(const struct question *question);
