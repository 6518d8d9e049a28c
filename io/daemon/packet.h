// SPDX-License-Identifier: MIT
#pragma once
#include "core/address.h"
#include "core/policy/cookie.h"
#include "io/edge/file_mark.h"

#include <stddef.h>
#include <stdint.h>

// The protocol between the two processes of an upgrade (upgrade.h), over a pair of sockets: packets
// with a kind, octets and descriptors. The two programs may be of different versions: the head has
// the form of the rest, and counters are sent by name.

enum {
    PACKET_FORM = 6,      // raised with each change of what is sent but for a plane, which has a
                          // form of its own, or of the region
    PACKET_FDS_MAX = 250, // in a packet; the kernel takes 253
    PACKET_ROOM = 4096,   // octets in one
};

enum packet_kind {
    PACKET_HEAD = 1,
    PACKET_SOCKETS,
    PACKET_STATS,
    PACKET_CONTROL,
    PACKET_END,
    PACKET_READY,
    PACKET_REFUSED,
    PACKET_COUNTED,
    PACKET_GO,
    PACKET_STARTED,
    PACKET_LAST,
    PACKET_LESSONS,
    PACKET_PLANE,
};

struct packet {
    uint32_t kind;
    uint8_t bytes[PACKET_ROOM];
    size_t len;
    int fds[PACKET_FDS_MAX];
    size_t fd_count;
};

struct packet_head {
    uint32_t form;
    uint32_t worker_count;
    uint64_t clock_offset_us;
    struct cookie_source cookies;
    uint32_t sandboxed;
    uint32_t unused;
    struct file_mark control_mark;
};

// The descriptors of an address from number `first` on.
struct packet_part {
    struct address address;
    uint32_t first;
};

// 0 or a negative errno.
[[nodiscard]] int packet_send(int fd, enum packet_kind kind, const void *bytes, size_t len,
                              const int *fds, size_t fd_count);

// 0, -ETIMEDOUT, -EPIPE (the other one has ended) or another negative errno. The descriptors are
// the caller's.
[[nodiscard]] int packet_receive(int fd, struct packet *packet);

// Closes its descriptors.
void packet_drop(struct packet *packet);

// Sets how long to wait for the other process.
void packet_patience(int fd, unsigned seconds);
