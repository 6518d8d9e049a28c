// SPDX-License-Identifier: MIT
#pragma once
#include "core/forward/attempt.h"

// The life of a question: how it waits and how it ends. schedule.h decides what is sent next.

#define QUESTION_EXHAUSTED_US \
    50000u                       // until the next try, where there was no source port or attempt
#define QUESTION_TCP_US 1000000u // for a reply over TCP, which resends by itself

// Sets its timer to `due_us`, or to its deadline if that is earlier.
void question_wait_until(struct forward *f, struct question *question, uint64_t due_us);

// Ends it; attempts that were sent and not answered become orphans.
void question_finish(struct forward *f, uint64_t now_us, struct question *question,
                     enum question_state end);

// Ends it as failed: with the rcode of an upstream where there was one, or else in this state
// (QUESTION_SILENT, or one of those after it).
void question_fail(struct forward *f, uint64_t now_us, struct question *question,
                   enum question_state end);

// True if its 0x20 case has an upper-case letter.
[[nodiscard]] bool question_is_mixed_case(const struct question *question);

// True if another upstream of the zone than number `choice` may be asked over TCP and has not been.
[[nodiscard]] bool question_has_others(const struct forward *f, uint64_t now_us,
                                       const struct question *question, int choice);

// True if it waits for a reply that is not late yet, or has a queued attempt.
[[nodiscard]] bool question_is_expected(const struct question *question, uint64_t now_us);

// The latest send that it waits for, a duplicate only where there is no other. NULL: nothing is
// under way.
[[nodiscard]] const struct attempt *question_latest(const struct question *question);
