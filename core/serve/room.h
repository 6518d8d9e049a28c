// SPDX-License-Identifier: MIT
#pragma once
#include "core/serve/state.h"

// Room in the table of questions, and for answers in hand. Of the table a few places are kept free,
// as those of questions that have ended come back only with the next draining.

// Gives a question up where there is no room for another one: one that no client waits for, or else
// the one that has waited longest. What has ended by that is the caller's to process. False: it
// would be `asking` itself (or NULL), which stays.
[[nodiscard]] bool serve_room_make(struct serve *s, uint64_t now_us, const struct question *asking);

// Keeps this answer in hand for a question (subquestion_hold). Where answers of other networks have
// taken the room, one of those that hold most is given up. False: there is none.
[[nodiscard]] bool serve_hold(struct serve *s, uint64_t now_us, struct question *question,
                              const struct answer *answer);
