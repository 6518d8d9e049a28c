// SPDX-License-Identifier: MIT
#pragma once
#include "core/forward/connection.h"

// Messages from upstreams: which attempt one answers, whether it counts, and what it does to the
// question.

// One arrived at a source port.
void reply_datagram(struct forward *f, uint64_t now_us, uint16_t slot, const uint8_t *in,
                    size_t len);

// One arrived on a connection.
void reply_message(struct forward *f, uint64_t now_us, uint16_t index, const uint8_t *in,
                   size_t len);
