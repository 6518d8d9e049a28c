// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>

// Runs the world of one seed from the start of an engine to its end: reloads and upgrades it while
// clients ask, and looks at what is left at the end.
void operator_run(void);

// Has a queue between workers been full, so that queries have no reply?
[[nodiscard]] bool operator_excuses(void);
