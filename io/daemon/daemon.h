// SPDX-License-Identifier: MIT
#pragma once

// The daemon as a whole: the settings in force, the engine, the log, and what an operator may have
// it do while it runs (orders.h). That comes from the main thread (a signal) or from the control
// socket's; they take turns.
//
// Neither of the two threads waits for a file, a disk or another process: what may have to is a
// task, which has a thread of its own.

// Runs `ouzel serve` with this command line until a signal or a failure ends it; returns the exit
// status.
int daemon_run(int argc, char **argv);
