// SPDX-License-Identifier: MIT
#pragma once
#include "io/engine/engine.h"

struct rules; // engine_state.h

// What is made of the settings, as one immutable whole that all workers read, and how others take
// its place while they run.

// Makes the first. 0 or a negative errno, with a sentence in `why`.
[[nodiscard]] int rules_make_first(struct engine *engine, char why[static ENGINE_WHY_SIZE]);

// Of it and of all before it.
void rules_free(struct rules *rules);

// Puts other settings and local names in force, between two batches of each worker. Those before
// must live on for SERVE_RELOAD_REST_US. What cannot change while the engine runs is not looked at.
// 0; a negative errno with one sentence in `why`, and nothing has changed; or ENGINE_RELOAD_PARTLY:
// they are in force, but `why` says what a worker could not do.
#define ENGINE_RELOAD_PARTLY 1
[[nodiscard]] int engine_reload(struct engine *engine, const struct settings *settings,
                                const struct local *local, char why[static ENGINE_WHY_SIZE]);
