// SPDX-License-Identifier: MIT
#pragma once
#include "io/net/net_engine.h"

// The third engine (io/net/net_engine.h), whose kernel is simulated. It does whatever io/net/net.h
// allows, as the seed decides, and fails the seed where its caller does what that forbids.

extern const struct net_engine net_simulated;

void engine_begin(void);

// Does the thread of this net have anything to do? The moment when it does without an event.
[[nodiscard]] bool engine_is_awake(struct net *net);
[[nodiscard]] uint64_t engine_deadline(const struct net *net);

// Its worker has taken a turn.
void engine_turn_ends(struct net *net);

// Something has happened that these nets may wait for; a bit for each.
void engine_stir(uint32_t nets);

// Does a request that is queued or armed name this descriptor?
[[nodiscard]] bool engine_names(int fd);

// Fails the seed where a net still hears clients, all of which were told not to.
void engine_check_deaf(void);

// Fails the seed where a net that rests has not all of its buffers back.
void engine_check_buffers(void);
