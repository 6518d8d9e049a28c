// SPDX-License-Identifier: MIT
#pragma once
#include "core/serve/state.h"

// Clients that wait for a question: how long, and what they are told.

// Has the waiters of a question told, by serve_waiters_drain.
void serve_tell(struct serve *s, struct question *question);

// Has a client that waits for long be given something else: what is over, or addresses made by
// DNS64.
void serve_patience_start(struct serve *s, uint64_t now_us, const struct lookup *lookup,
                          struct question *question);

// The clients of a question have waited long enough: they get what is over, if that is still there,
// and the question goes on without them.
void serve_stale_due(struct serve *s, uint64_t now_us, struct question *question);

// Tells the next waiter of those questions that have something to tell; false: all know.
[[nodiscard]] bool serve_waiters_drain(struct serve *s, uint64_t now_us, struct outgoing *outgoing);
