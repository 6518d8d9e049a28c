// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>

// Clients over UDP. Each asks in bursts of up to 64 queries from one port, and knows what it has
// asked: each datagram that the network brought to the engine may have one reply.

void askers_begin(unsigned count);

// True if all have said all, and are no longer waiting.
[[nodiscard]] bool askers_done(void);
void askers_end(void);
