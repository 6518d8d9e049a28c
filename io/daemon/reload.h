// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>
#include <stdio.h>

struct daemon;
struct generation;

// The settings and the files that they name, at the start and when they are read again.

// At the start: reads the settings, applies those of the log, and reads the files that they name.
// Returns the exit status; if that is not STATUS_FINE, all faults have been reported.
[[nodiscard]] int generation_first(struct daemon *daemon);

// Frees it and all older ones.
void generation_free(struct generation *generation);

// The task that reads all of it again, and puts it in force.
[[nodiscard]] bool daemon_reload(struct daemon *daemon, FILE *report);
