// SPDX-License-Identifier: MIT
#include "core/transport.h"

#include <stddef.h>

#define SENDS_MAX 3

const struct transport_traits transport_traits[TRANSPORTS] = {
    [TRANSPORT_UDP] = {"udp", "UDP", "udp://", 53, SENDS_MAX},
    [TRANSPORT_TCP] = {"tcp", "TCP", "tcp://", 53, SENDS_MAX, .connection = true, .proven = true},
    [TRANSPORT_DOT] = {"dot", "DNS over TLS", "tls://", 853, SENDS_MAX, true, true, true},
    [TRANSPORT_DOH] = {"doh", "DNS over HTTPS", "https://", 443, SENDS_MAX, true, true, true},
    [TRANSPORT_DOQ] = {"doq", "DNS over QUIC", "quic://", 853, SENDS_MAX, true, true, true},
    [TRANSPORT_DOH3] = {"doh3", "DNS over HTTP/3", "h3://", 443, SENDS_MAX, true, true, true},
    [TRANSPORT_XDP] = {"xdp", "UDP in the driver", NULL, 53, 0},
};
