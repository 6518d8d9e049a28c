// SPDX-License-Identifier: MIT
#pragma once
#include "io/edge/control.h"

// What an operator may have the daemon do while it runs, and ask of it. The context of the orders
// is the daemon (daemon_state.h). An order tells what it did, or why it did not, in lines to its
// report, and in the log where it has changed something. They come from the thread of the control
// socket, which waits for no file, no disk and no other process: what may have to is a task
// (tasks.h).

extern const struct order orders[]; // a row without a name ends them
