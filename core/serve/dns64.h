// SPDX-License-Identifier: MIT
#pragma once
#include "core/serve/state.h"

// The second question of DNS64 (RFC 6147), and what else becomes of an upstream's answer.

#define SERVE_DNS64_AFTER_US 2000000u

// Looks at a question that has just ended, before its answer is kept. True: it goes on as another
// one, and is not to be touched any more.
[[nodiscard]] bool serve_filter(struct serve *s, uint64_t now_us, struct question *question);

// Has an AAAA question waited so long that its waiters are to have addresses made of IPv4 ones? To
// be asked when its stale timer has fired and there is nothing stale.
[[nodiscard]] bool serve_dns64_is_due(struct serve *s, uint64_t now_us,
                                      const struct question *question);

// The key of what the clients of a question have asked: its own, or that of an AAAA question or of
// one that was begun by other rules, which is written to `room`.
const struct key *serve_client_key(const struct question *question, struct key *room);
