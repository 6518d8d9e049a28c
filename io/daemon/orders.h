// SPDX-License-Identifier: MIT
#pragma once
#include "io/edge/control.h"

// The orders of an operator to the running daemon. Their context is the daemon (daemon_state.h). An
// order reports what it did, or why it failed, and logs what it has changed. Orders run in the
// thread of the control socket, which waits for no file, disk or other process: what may wait is a
// task (tasks.h).

extern const struct order orders[]; // a row without a name ends them
