// SPDX-License-Identifier: MIT
#pragma once
#include "core/address.h"
#include "core/transport.h"

// Where a query came from: all that is needed to send the answer back.
struct client {
    struct address from;
    uint8_t local[16]; // where it was sent to, if the listen address is a wildcard (RFC 2181 4)
    uint16_t listener; // index of the listen address it arrived at
    uint8_t transport; // enum transport
    // Where that has connections:
    uint16_t worker;     // that holds it
    uint32_t connection; // its slot there
    uint32_t generation; // which use of the slot
};

// What the driver's program answers never gets here, so all but UDP have connections.
static inline bool client_has_connection(const struct client *client)
{
    return client->transport != TRANSPORT_UDP;
}
