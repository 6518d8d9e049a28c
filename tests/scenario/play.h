// SPDX-License-Identifier: MIT
#pragma once
#include "tests/scenario/script.h"

// Plays a scenario from its first line to its last. Returns if all that it says is so; else it ends
// the process as script_fail does. `trace` prints what happens.
void play(struct script *script, bool trace);
