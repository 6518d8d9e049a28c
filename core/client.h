// SPDX-License-Identifier: MIT
#pragma once
#include "core/address.h"
#include "core/transport.h"

// Where a query came from: what is needed to send the answer back.
struct client {
    struct address from;
    uint8_t local[16]; // its destination, if the listen address is a wildcard (RFC 2181 4)
    uint16_t listener; // index of the listen address it arrived at
    uint8_t transport; // enum transport
    // For a transport with connections:
    uint16_t worker;     // the one that has the connection
    uint32_t connection; // its slot there
    uint32_t generation; // of the slot's use
};

// Queries that the XDP program answers never get here, so all transports but UDP have connections.
static inline bool client_has_connection(const struct client *client)
{
    return client->transport != TRANSPORT_UDP;
}
