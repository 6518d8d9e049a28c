// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>
#include <stdint.h>

// How a DNS message travels between a client and this server, or between this server and an
// upstream. What differs by transport is one table.

enum transport {
    TRANSPORT_UDP,  // RFC 1035 4.2.1; to an upstream with TCP for truncated replies
    TRANSPORT_TCP,  // RFC 7766
    TRANSPORT_DOT,  // DNS over TLS, RFC 7858
    TRANSPORT_DOH,  // DNS over HTTPS, RFC 8484
    TRANSPORT_DOQ,  // DNS over QUIC, RFC 9250
    TRANSPORT_DOH3, // the same as DoH over HTTP/3 (RFC 9114)
    TRANSPORT_XDP,  // UDP that is answered in the driver
    TRANSPORTS,
};

struct transport_traits {
    const char *label;  // as in metrics
    const char *title;  // as in a sentence
    const char *scheme; // of an upstream in the settings; NULL: not for upstreams
    uint16_t port;      // the default port
    bool encrypted;     // so servers have names
};

extern const struct transport_traits transport_traits[TRANSPORTS];

// True if it has connections: messages may have 65,535 octets, their source address is proven, and
// an off-path forger cannot inject one.
static inline bool transport_has_connections(enum transport transport)
{
    const unsigned with = 1u << TRANSPORT_TCP | 1u << TRANSPORT_DOT | 1u << TRANSPORT_DOH |
                          1u << TRANSPORT_DOQ | 1u << TRANSPORT_DOH3;
    return with >> transport & 1;
}
