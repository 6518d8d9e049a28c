// SPDX-License-Identifier: MIT
#pragma once

// Runs the world of one seed from the start of an engine to its end: reloads and upgrades it while
// clients ask, and looks at what is left at the end.
void operator_run(void);
