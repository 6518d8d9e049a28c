// SPDX-License-Identifier: MIT
#pragma once
#include "io/engine/engine.h"

struct rules; // engine_state.h

// The rules made from the settings, one immutable object that all workers read, and how a newer one
// supersedes it while they run.

// Makes the first. 0 or a negative errno, with a sentence in `why`.
[[nodiscard]] int rules_make_first(struct engine *engine, char why[static ENGINE_WHY_SIZE]);

// Frees the rules in force and all older ones.
void rules_free(struct rules *rules);

// Applies other settings and local names, between two batches of each worker; not those that need a
// restart. The old ones must live on for SERVE_RELOAD_REST_US.
// 0; a negative errno with one sentence in `why`, and nothing has changed; or ENGINE_RELOAD_PARTLY:
// they are in force, but `why` says what a worker could not do.
#define ENGINE_RELOAD_PARTLY 1
[[nodiscard]] int engine_reload(struct engine *engine, const struct settings *settings,
                                const struct local *local, char why[static ENGINE_WHY_SIZE]);
