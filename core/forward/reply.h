// SPDX-License-Identifier: MIT
#pragma once
#include "core/forward/connection.h"

// A message has come from an upstream. Which attempt it answers, whether it counts, and what comes
// of it for the question.

// At a source port.
void reply_datagram(struct forward *f, uint64_t now_us, uint16_t slot, const uint8_t *in,
                    size_t len);

// On a connection.
void reply_message(struct forward *f, uint64_t now_us, uint16_t index, const uint8_t *in,
                   size_t len);
