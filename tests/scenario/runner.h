// SPDX-License-Identifier: MIT
#pragma once
#include "tests/support/beside.h"

#include <stddef.h>

// Plays scenarios as the command line says (runner.c has its usage), each in a process of its own
// and with several seeds, with `beside` (or NULL) beside their workers, and says in TAP how it
// went, but for the plan. Sets how many were played, and returns how many of them failed.
size_t runner_run(int argc, char **argv, struct beside *beside, size_t *count);
