// SPDX-License-Identifier: MIT
#pragma once
#include "core/serve/state.h"

// What becomes of questions that have ended.

// Takes the questions that have ended: what was answered is kept, what failed is remembered, and
// the clients that wait are told with the next draining.
void serve_ended_process(struct serve *s, uint64_t now_us);

// The same of the next one that has ended with its answer in hand, for serve_drain alone, once all
// others have been told: what a reply delivers must find f->answer free. False: there is none.
[[nodiscard]] bool serve_in_hand_process(struct serve *s, uint64_t now_us);
