// SPDX-License-Identifier: MIT
#pragma once
#include "io/engine/worker.h"

// A worker's thread. A simulation, which gives several workers their turns in one thread, links its
// own.

// Starts it, and ends it: worker_stop returns when the thread has ended. Both return 0 or a
// negative errno; worker_stop that with which the thread ended early.
[[nodiscard]] int worker_start(struct worker *worker);
int worker_stop(struct worker *worker);
