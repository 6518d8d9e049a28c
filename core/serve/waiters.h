// SPDX-License-Identifier: MIT
#pragma once
#include "core/serve/state.h"

// Clients that wait for a question: how long, and what they are told.

// Has the waiters of a question told, by serve_waiters_drain.
void serve_tell(struct serve *s, struct question *question);

// Has a client that waits for long be given something else: a stale answer, or addresses made by
// DNS64.
void serve_patience_start(struct serve *s, uint64_t now_us, const struct lookup *lookup,
                          struct waiting *waiting);

// All upstreams are reported unreachable: clients get a stale answer now, where there is one.
void serve_patience_hasten(struct serve *s, uint64_t now_us, const struct question *question);

// The clients of a question have waited long enough: they get a stale answer, if it is still there,
// and the question goes on without them.
void serve_patience_due(struct serve *s, uint64_t now_us, struct waiting *waiting);

// Tells the next waiter of those questions that have something to tell; false: all know.
[[nodiscard]] bool serve_waiters_drain(struct serve *s, uint64_t now_us, struct outgoing *outgoing);
