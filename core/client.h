// SPDX-License-Identifier: MIT
#pragma once
#include "core/address.h"

#include <stdbool.h>

// Where a query came from: all that is needed to send the answer back.
struct client {
    struct address from;
    uint8_t local[16]; // where it was sent to, if the listen address is a wildcard (RFC 2181 4)
    uint16_t listener; // index of the listen address it arrived at
    bool tcp;          // came over a connection, which worker `worker` holds in that slot
    uint16_t worker;
    uint32_t connection;
    uint32_t generation; // which use of the slot
};
