// SPDX-License-Identifier: MIT
#pragma once
#include "io/daemon/packet.h"
#include "io/engine/engine.h"

// The counters of a process, passed to its successor by the names of the metrics, so that no total
// goes back.

// Sends what the engine has counted beyond `told`, which was sent before, and updates that. 0 or a
// negative errno.
[[nodiscard]] int counted_send(int fd, struct counters *told, const struct engine *engine);

// Adds the counters of a packet of kind PACKET_COUNTED.
void counted_apply(struct counters *counted, const struct packet *packet);
