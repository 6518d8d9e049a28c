// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>
#include <stdio.h>

struct daemon;
struct generation;

// The settings and the files that they name, at the start and when they are read again.

// At the start: reads the settings, has the log go by them, and reads the files that they name.
// Returns the exit status; where that is not STATUS_FINE all has been told.
[[nodiscard]] int generation_first(struct daemon *daemon);

// Of it and of all before it.
void generation_free(struct generation *generation);

// The task: reads all again, and puts it in force.
[[nodiscard]] bool daemon_reload(struct daemon *daemon, FILE *report);
