// SPDX-License-Identifier: MIT
#pragma once
#include "tests/scenario/script.h"
#include "tests/support/beside.h"

// Plays a scenario from its first line to its last. Returns if all that it says is so; else it ends
// the process as script_fail does. `trace` prints what happens;
// `beside` is what is compared with the workers, or NULL.
void play(struct script *script, bool trace, struct beside *beside);
