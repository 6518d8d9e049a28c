// SPDX-License-Identifier: MIT
#pragma once
#include "core/serve/state.h"

// Questions besides the client's own: for the target of an alias, and for the A records that DNS64
// needs (RFC 6147). policy.h decides which is needed; this looks the answer up, or asks for it, and
// joins it to the answer in hand.

#define SERVE_DNS64_AFTER_US 2000000u

// Applies policy to a question that has just ended, before its answer is cached. True: it goes on
// with a subquestion, and ends again later.
[[nodiscard]] bool serve_goes_on(struct serve *s, uint64_t now_us, struct question *question);

// The zone whose upstreams answer this key: that of its name, or of its target where the name is a
// local alias. NULL: there is none.
[[nodiscard]] const struct zone *serve_zone_of(const struct serve *s, const struct key *key);

// Starts a question that was just added, with its zone set: asks upstream for it, or for its target
// where the name is a local alias.
void serve_question_start(struct serve *s, uint64_t now_us, struct question *question);

// Ends `parent` with the result of its subquestion, which has ended; forward.answer is its answer.
void serve_parent_wake(struct serve *s, uint64_t now_us, struct question *parent,
                       const struct question *sub);

// Has an AAAA question waited so long that DNS64 is to use A records instead? Called when the
// patience timer has fired and there is no stale answer.
[[nodiscard]] bool serve_dns64_is_due(struct serve *s, uint64_t now_us,
                                      const struct question *question);
