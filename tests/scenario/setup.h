// SPDX-License-Identifier: MIT
#pragma once
#include "tests/scenario/stage.h"

// The lines at the beginning of a scenario: settings, zones with their upstreams, clients, sizes.
// Takes one of them; false: it is none.
bool setup_take(struct stage *stage, struct phrase *phrase);
