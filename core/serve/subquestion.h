// SPDX-License-Identifier: MIT
#pragma once
#include "core/serve/state.h"

// Questions besides the one that a client has asked: what its alias leads to, and the second one of
// DNS64 (RFC 6147). policy.h says which is wanted; here it is looked up or asked, and what comes of
// it joined to what is in hand.

#define SERVE_DNS64_AFTER_US 2000000u

// Looks at a question that has just ended, before its answer is cached. True: it goes on, and what
// it ends with comes out of forward_next_ended.
[[nodiscard]] bool serve_goes_on(struct serve *s, uint64_t now_us, struct question *question);

// Where the questions for this key are asked: the zone of its name, or of what it leads to where it
// is a local alias. NULL: nowhere.
[[nodiscard]] const struct zone *serve_zone_of(const struct serve *s, const struct key *key);

// Begins a question that was just added, with its zone set: asks it upstream, or what it leads to
// where its name is a local alias.
void serve_question_start(struct serve *s, uint64_t now_us, struct question *question);

// The subquestion of `parent` has ended, and is still there; so is its answer.
void serve_parent_wake(struct serve *s, uint64_t now_us, struct question *parent,
                       const struct question *sub);

// Has an AAAA question waited so long that its waiters are to have addresses made of IPv4 ones? To
// be asked when its stale timer has fired and there is nothing stale.
[[nodiscard]] bool serve_dns64_is_due(struct serve *s, uint64_t now_us,
                                      const struct question *question);
