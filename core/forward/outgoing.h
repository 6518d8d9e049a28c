// SPDX-License-Identifier: MIT
#pragma once
#include "core/client.h"
#include "core/endpoint.h"

// What a worker is asked to do, fetched by serve_drain one thing after the other.

enum outgoing_kind {
    OUTGOING_REPLY,   // send to a client
    OUTGOING_OPEN,    // open a UDP socket for `port`: bound to `number`, connected to `upstream`
    OUTGOING_QUERY,   // send from the socket of `port`
    OUTGOING_CLOSE,   // close the socket of `port`, if it could be opened; the slot may come again
    OUTGOING_CONNECT, // open a TCP connection to `upstream` for the slot `port`
    OUTGOING_MESSAGE, // send on the connection of `port`, as soon as it is established; the
                      // octets begin with the message's length (RFC 1035 4.2.2)
    OUTGOING_DISCONNECT, // close the connection of `port`; the slot may come again
};

struct outgoing {
    uint8_t *bytes; // in: SERVE_MESSAGE_ROOM octets to write to, where there may be clients over
                    // TCP; else serve_reply_room
    size_t len;     // out
    enum outgoing_kind kind;
    struct client client; // OUTGOING_REPLY, as the next two
    uint64_t since_us;    // when the query came
    uint8_t source;       // enum counter: the one that it was counted under
    uint16_t port;
    uint16_t number;
    const struct endpoint *upstream;
};
