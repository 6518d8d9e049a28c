// SPDX-License-Identifier: MIT
#pragma once
#include "core/client.h"
#include "tests/xdp/world.h"

// Ethernet frames with a DNS message over UDP: written as a client's host would, and read as it
// would read the reply, in code of their own.

struct frame_form {
    bool ipv6;
    unsigned vlan_tags;
    unsigned padding; // octets behind the packet
    uint8_t host;     // last octet of the client's address
    uint16_t port;    // the client's
    bool no_checksum; // IPv4 alone
};

struct frame {
    uint8_t bytes[WORLD_FRAME_MAX];
    size_t len;
    size_t ip_at;
    size_t message_at;
};

// Writes a frame from a client to the world's address, with this message.
void frame_write(struct frame *frame, const struct frame_form *form, const uint8_t *message,
                 size_t len);

// The client as the worker sees it.
struct client frame_client(const struct frame_form *form);

// Checks that `reply` is a whole frame back to the sender of `query`, with right sums, and nothing
// else that differs. Returns NULL, or a word for what is wrong; then the message is at
// reply->message_at, up to its end.
const char *frame_check(const struct frame *query, const struct frame_form *form,
                        struct frame *reply);
