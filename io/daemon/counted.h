// SPDX-License-Identifier: MIT
#pragma once
#include "io/daemon/packet.h"
#include "io/engine/engine.h"

// What one process has counted, told to the one in its place by the names of the metrics, so that
// no total goes back.

// Sends what the engine has counted beyond what was told (`told`), and keeps account of that. 0 or
// a negative errno.
[[nodiscard]] int counted_send(int fd, struct counters *told, const struct engine *engine);

// Adds what a packet of kind PACKET_COUNTED tells.
void counted_apply(struct counters *counted, const struct packet *packet);
