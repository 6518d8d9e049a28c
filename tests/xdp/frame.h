// SPDX-License-Identifier: MIT
#pragma once
#include "core/client.h"
#include "tests/xdp/world.h"

// Ethernet frames with a DNS message over UDP: written as a client's host would, and read as it
// would read the reply, in code of their own.

// What is unusual about a frame, with right sums where it is not about those.
enum frame_odd {
    ODD_NOTHING,
    // Still a plain query.
    ODD_DONT_FRAGMENT,
    ODD_RESERVED_BIT,
    ODD_SERVICE, // DSCP and ECN, with IPv6 also a flow label
    // For the sockets, or for nobody.
    ODD_PLAIN, // the first that is none
    ODD_MORE_FRAGMENTS = ODD_PLAIN,
    ODD_FRAGMENT,
    ODD_OPTIONS,   // of IPv4; with IPv6 an extension header
    ODD_UDP_SHORT, // the datagram ends before its packet does
    ODD_UDP_LONG,  // and behind it
    ODD_IP_LONG,   // the packet ends behind its frame
    ODD_IP_ZERO,   // it has no length, as a jumbogram of IPv6
    ODD_IP_SUM,    // with IPv6 no UDP checksum
    ODD_UDP_PARTIAL,
    ODD_VERSION,
    ODD_PROTOCOL,
    ODD_TO_OTHER_HOST,
    ODD_TO_OTHER_ADDRESS,
    ODD_TO_OTHER_PORT,
    ODD_FROM_GROUP_OF_HOSTS,
    ODD_FROM_ITSELF,
    ODD_FROM_LOOPBACK,
    ODD_FROM_GROUP,
    ODD_FROM_NOBODY, // 0.0.0.0 and ::
    ODD_FROM_LINK,   // with IPv4 the broadcast address
    ODD_FROM_MAPPED, // with IPv4 one of class E
    ODD_COUNT,
};

struct frame_form {
    enum frame_odd odd;
    bool ipv6;
    unsigned vlan_tags;
    unsigned padding;           // octets behind the packet
    uint8_t host;               // last octet of the client's address
    uint16_t port;              // the client's
    bool no_checksum;           // IPv4 alone
    const struct address *from; // in place of `host` and `port`, of the form's family; NULL: those
};

struct frame {
    uint8_t bytes[WORLD_FRAME_MAX];
    size_t len;
    size_t ip_at;
    size_t message_at;
};

// The world's address for clients of one family.
struct address frame_server(bool ipv6);

// Writes a frame from a client to the world's address, with this message.
void frame_write(struct frame *frame, const struct frame_form *form, const uint8_t *message,
                 size_t len);

// The client as the worker sees it.
struct client frame_client(const struct frame *frame, const struct frame_form *form);

// Checks that `reply` is a whole frame back to the sender of `query`, with right sums, and nothing
// else that differs. Returns NULL, or a word for what is wrong; then the message is at
// reply->message_at, up to its end.
const char *frame_check(const struct frame *query, const struct frame_form *form,
                        struct frame *reply);
