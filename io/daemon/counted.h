// SPDX-License-Identifier: MIT
#pragma once
#include "io/daemon/packet.h"
#include "io/engine/engine.h"

// The counters of a process, passed to its successor by the names of the metrics, so that no total
// goes back.

// Sends what the engine has counted beyond `told`, which was sent before, and updates that. Its
// plane counts for itself, and goes on with that where the successor takes it over; where not
// (`plane`) its counts are sent as well. 0 or a negative errno.
[[nodiscard]] int counted_send(int fd, struct counters *told, const struct engine *engine,
                               bool plane);

// Adds the counters of a packet of kind PACKET_COUNTED.
void counted_apply(struct counters *counted, const struct packet *packet);
