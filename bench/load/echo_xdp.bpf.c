// SPDX-License-Identifier: MIT
#include <stdint.h>

// The lowest floor: answers in the place of a server before there is a socket, a queue or even a
// packet of the kernel's own kind. A query over IPv4 to the port goes back from where it came, with
// QR set; all else passes. bench/load/echo_xdp.c attaches it.
//
// It needs no header but this: what libbpf and the kernel want is little enough to stand here.

#define SECTION(name) __attribute__((section(name), used))

enum {
    XDP_PASS = 2,
    XDP_TX = 3,
    ETHERTYPE_IPV4 = 0x0800,
    VERSION_AND_LEN = 0x45, // without options
    OFFSET_OR_MORE = 0x3fff,
    PROTOCOL_UDP = 17,
    QR = 0x80,
};

// As linux/bpf.h has it, so far as it is read here.
struct xdp_md {
    uint32_t data;
    uint32_t data_end;
};

struct packet {
    uint16_t mac_to[3];
    uint16_t mac_from[3];
    uint16_t ethertype;
    uint8_t version_and_len;
    uint8_t service;
    uint16_t len;
    uint16_t id;
    uint16_t fragment;
    uint8_t ttl;
    uint8_t protocol;
    uint16_t checksum;
    uint32_t from;
    uint32_t to;
    uint16_t port_from;
    uint16_t port_to;
    uint16_t udp_len;
    uint16_t udp_checksum;
    uint16_t dns_id;
    uint8_t dns_flags;
    uint8_t dns_rest[9];
} __attribute__((packed));

const volatile uint16_t port = 53; // set before it is loaded

const char licence[] SECTION("license") = "MIT";

static inline uint16_t swapped(uint16_t number)
{
    return (uint16_t)(number << 8 | number >> 8);
}

#define SWAP(a, b)                \
    do {                          \
        __typeof__(a) kept = (a); \
        (a) = (b);                \
        (b) = kept;               \
    } while (0)

static inline void turn_round(struct packet *packet)
{
    for (unsigned i = 0; i < 3; i++)
        SWAP(packet->mac_to[i], packet->mac_from[i]);
    SWAP(packet->from, packet->to);
    SWAP(packet->port_from, packet->port_to);
}

// Two echoes must not keep a packet going for ever: what is an answer already passes.
SECTION("xdp") int echo(struct xdp_md *at)
{
    struct packet *packet = (void *)(uintptr_t)at->data;
    if ((const void *)(packet + 1) > (const void *)(uintptr_t)at->data_end)
        return XDP_PASS;
    if (packet->ethertype != swapped(ETHERTYPE_IPV4) ||
        packet->version_and_len != VERSION_AND_LEN || packet->protocol != PROTOCOL_UDP ||
        packet->fragment & swapped(OFFSET_OR_MORE) || packet->port_to != swapped(port) ||
        packet->dns_flags & QR)
        return XDP_PASS;
    turn_round(packet);
    packet->dns_flags |= QR;
    // None, as is right over IPv4 (RFC 768): a sender on the same machine leaves the checksum to a
    // card that is not there, so what stands here need not be one that could be mended.
    packet->udp_checksum = 0;
    return XDP_TX;
}
