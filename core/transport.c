// SPDX-License-Identifier: MIT
#include "core/transport.h"

#include <stddef.h>

const struct transport_traits transport_traits[TRANSPORTS] = {
    [TRANSPORT_UDP] = {"udp", "UDP", "udp://", 53, false},
    [TRANSPORT_TCP] = {"tcp", "TCP", "tcp://", 53, false},
    [TRANSPORT_DOT] = {"dot", "DNS over TLS", "tls://", 853, true},
    [TRANSPORT_DOH] = {"doh", "DNS over HTTPS", "https://", 443, true},
    [TRANSPORT_DOQ] = {"doq", "DNS over QUIC", "quic://", 853, true},
    [TRANSPORT_DOH3] = {"doh3", "DNS over HTTP/3", "h3://", 443, true},
    [TRANSPORT_XDP] = {"xdp", "UDP in the driver", NULL, 53, false},
};
