// SPDX-License-Identifier: MIT
#pragma once

// The daemon as a whole: the settings in force, the engine, the log, and the orders of an operator
// (orders.h). Orders come from the main thread (a signal) or from the control socket's thread, one
// at a time.
//
// Neither thread waits for a file, a disk or another process: what may wait is a task, with a
// thread of its own.

// Runs `ouzel serve` with this command line until a signal or a failure ends it; returns the exit
// status.
int daemon_run(int argc, char **argv);
