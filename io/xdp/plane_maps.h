// SPDX-License-Identifier: MIT
#pragma once
#include <stdint.h>

// What the XDP program (plane.bpf.c) and the process that loads it share: the maps' keys and
// values. It needs nothing but fixed-width integers. Octets of addresses and ports are in network
// order, all else is in the machine's.
//
//   region     the cache, a shard in each element (cache/layout.h); the program only reads it
//   config     one struct plane_config: what changes while the program runs
//   cookies    one struct plane_cookies; the program only reads it, too
//   devices    by interface index: the interfaces whose hits are answered
//   addresses  by struct plane_address: where queries are listened for
//   allowed4, allowed6   clients that may ask: longest prefix, and 1 where it is allowed
//   counters   one struct plane_counters for each CPU
//   samples    a ring of struct plane_sample: of each CPU one hit a tick, for the top names

#define PLANE_FORM 3 // raised with each change of the maps, or of the cache's layout

// Bounds of what is answered. What lies beyond is left to the sockets.
#define PLANE_ANSWER_MAX  1232 // octets of a DNS message (RFC 9715 3)
#define PLANE_TTLS_MAX    96   // records of one
#define PLANE_ROTATE_MAX  16   // addresses that take turns
#define PLANE_PADDING_MAX 64   // octets of a frame behind its packet

// A few prefixes, the longest first. The program looks through them instead of calling the kernel
// for its tries.
#define PLANE_FEW 8

struct plane_few4 {
    uint32_t ip, mask;
    uint32_t allowed;
};

struct plane_few6 {
    uint64_t ip[2], mask[2];
    uint64_t allowed;
};

struct plane_config {
    uint64_t clock_offset_ns; // from CLOCK_BOOTTIME to the clock of the cache's times
    uint32_t generation;      // of the rules in force; answers of others go up
    uint16_t udp_payload_max; // what clients are told and at most sent
    uint8_t on;               // 0: everything goes up
    uint8_t rotate;           // addresses take turns
    uint8_t few4_count;       // PLANE_FEW + 1: the tries have them
    uint8_t few6_count;
    uint8_t unused[6];
    struct plane_few4 few4[PLANE_FEW];
    struct plane_few6 few6[PLANE_FEW];
};

// What a cookie is checked with (plane_cookie.h).
struct plane_cookies {
    uint64_t key[2];      // the secret that serve makes cookies with
    uint32_t until_s;     // the clock's time from which on another does; 0: none is checked
    uint32_t age_max_s;   // of a cookie that needs no renewal
    uint32_t ahead_max_s; // of one from a clock that is ahead
    uint32_t unused;
};

struct plane_device {
    uint8_t mac[6];
    uint16_t mtu; // octets of the largest IP packet
};

struct plane_address {
    uint8_t ip[16]; // an IPv4 address has its 4 octets in front, and the rest is zero
    uint16_t port;
    uint16_t family; // 4 or 6
};

struct plane_prefix4 {
    uint32_t length;
    uint8_t ip[4];
};

struct plane_prefix6 {
    uint32_t length;
    uint8_t ip[16];
};

// Why a frame went up to the sockets, in the order in which it is looked at.
enum plane_reason {
    PLANE_ANSWERED, // it did not
    PLANE_OTHER,    // no UDP to an address and port that is listened on, as far as can be seen here
    PLANE_OFF,      // a limit is in force that the sockets keep
    PLANE_CLIENT,   // not allowed, or an address that no client has
    PLANE_CHECKSUM, // that of UDP is wrong, or missing over IPv6
    PLANE_UNUSUAL,  // no plain query: options, a cookie to be renewed, another opcode, no RD
    PLANE_MISS,     // not cached
    PLANE_RULES,    // made under other rules, or in the place of a withheld answer
    PLANE_EXPIRED,
    PLANE_FIRST, // one of the first hits, which the cache has to count
    PLANE_SIZE,  // larger than the client, the interface or this program takes
    PLANE_TORN,  // the entry was changed meanwhile
    PLANE_FRAME, // the driver left no room, or the frame could not be read
    PLANE_REASONS,
};

// A hit that stands for those of its CPU since the last one.
struct plane_sample {
    uint64_t weight;
    uint8_t ip[16]; // the client's, as in struct plane_address
    uint8_t family; // 4 or 6
    uint8_t name_len;
    uint16_t type;
    uint8_t name[256]; // in lower case
};

#define PLANE_SAMPLES_SIZE 65536 // octets of the ring: what does not fit is left out

struct plane_counters {
    uint64_t frames[PLANE_REASONS];
    uint64_t turn;    // of hits; rotates addresses
    uint64_t cookies; // valid ones, of queries that were answered
};
