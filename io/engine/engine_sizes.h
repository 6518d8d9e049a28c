// SPDX-License-Identifier: MIT
#pragma once
#include "io/engine/clients.h"

// Sizes of tables that no setting gives. A simulation links its own, so that they get full.

// Questions of one worker that may be in flight, a power of two.
[[nodiscard]] uint32_t engine_sizes_questions(void);

// Octets of the queue from each worker to each other one, a power of two: the longest answer always
// fits.
[[nodiscard]] uint32_t engine_sizes_queue(unsigned worker_count);

// What may be held for the connections of one worker's clients.
[[nodiscard]] struct clients_held engine_sizes_held(void);
