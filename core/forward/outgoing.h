// SPDX-License-Identifier: MIT
#pragma once
#include "core/client.h"
#include "core/endpoint.h"

// What the worker is to send, open or close. serve_drain hands it out, one thing at a time.

enum outgoing_kind {
    OUTGOING_REPLY, // send to a client
    OUTGOING_OPEN, // open the UDP socket of `slot`, bound to `source_port`, connected to `upstream`
    OUTGOING_QUERY,   // send from the socket of `slot`
    OUTGOING_CLOSE,   // close the socket of `slot`, if it is open; the slot may be used again
    OUTGOING_CONNECT, // open a TCP connection to `upstream` in `slot`
    OUTGOING_MESSAGE, // send on the connection of `slot` as soon as it is established; the octets
                      // begin with the message's length (RFC 1035 4.2.2)
    OUTGOING_DISCONNECT, // close the connection of `slot`; the slot may be used again
};

struct outgoing {
    uint8_t *bytes; // in: a buffer of SERVE_MESSAGE_ROOM octets where clients may use TCP, else of
                    // serve_reply_room
    size_t len;     // out: octets written there
    enum outgoing_kind kind;
    struct client client; // OUTGOING_REPLY, as the next two
    uint64_t since_us;    // when the query arrived
    uint8_t source;       // enum counter: the one of ouzel_answers_total that counted it
    uint16_t slot;        // of the source port, or of the connection; each counts from 0
    uint16_t source_port; // OUTGOING_OPEN
    const struct endpoint *upstream;
};
