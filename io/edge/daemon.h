// SPDX-License-Identifier: MIT
#pragma once
#include "io/engine/engine.h"

#include <stdio.h>

// The daemon as a whole: the settings in force, the engine, the log, and what an operator may have
// it do while it runs. Those calls come from the main thread (a signal) or from that of the control
// socket; they take turns.

struct daemon; // opaque

// Runs `ouzel serve` with this command line until a signal or a failure ends it; returns the exit
// status.
int daemon_run(int argc, char **argv);

// Each of these tells what it did, or why it did not, in lines to `report`, and in the log. False:
// it did not, and nothing has changed.

// Reads the settings and all files that they name anew, and puts them in force.
bool daemon_reload(struct daemon *daemon, FILE *report);

// Writes the answers to the file that cache.snapshot names.
bool daemon_snapshot(struct daemon *daemon, FILE *report);
