// SPDX-License-Identifier: MIT
#pragma once
#include "io/net/net_engine.h"
#include "io/net/packet_info.h"

// Datagrams that go through one system call. A receive batch belongs to a group of buffers and also
// keeps those that are free; what the kernel needs to know of a buffer is written once for each
// datagram that it has held. A send batch is filled, sent, and empty again.

enum { MMSG_BATCH = 64 };

struct receive_batch {
    struct net_group *group;
    uint16_t *free; // buffers: the one that was returned last comes first, as it is warm
    unsigned free_count;
    unsigned first, end; // the messages between these have buffers
    uint16_t buffers[MMSG_BATCH];
    struct mmsghdr messages[MMSG_BATCH];
    struct iovec parts[MMSG_BATCH];
};

// 0 or -ENOMEM. The group must live as long.
[[nodiscard]] int receive_batch_init(struct receive_batch *batch, struct net_group *group);
void receive_batch_free(struct receive_batch *batch);

// Takes the buffers that were returned to the group.
void receive_batch_returned(struct receive_batch *batch);

// Is a buffer free?
static inline bool receive_batch_has_buffer(const struct receive_batch *batch)
{
    return batch->free_count > 0 || batch->end > batch->first;
}

// Receives up to `max` datagrams, and fills as many events but for their tags; all say `more`.
// `local`: with the address each was sent to. A buffer must be free. Returns how many, or a
// negative errno. `dry`: there are no more.
[[nodiscard]] int receive_batch_run(struct receive_batch *batch, int fd, bool local,
                                    struct net_event *events, unsigned max, bool *dry);

// Receives octets of a connection; fills the event but for its tag. A buffer must be free. Returns
// how many, 0 at the end, or a negative errno.
[[nodiscard]] int receive_batch_octets(struct receive_batch *batch, int fd, struct net_event *event,
                                       bool *dry);

struct send_batch {
    unsigned count;
    const struct net_request *requests[MMSG_BATCH];
    struct mmsghdr messages[MMSG_BATCH];
    struct iovec parts[MMSG_BATCH];
    _Alignas(struct cmsghdr) uint8_t options[MMSG_BATCH][PACKET_INFO_ROOM];
};

// Adds a NET_SEND_TO or NET_SEND_FROM; there must be room.
void send_batch_add(struct send_batch *batch, const struct net_request *request);

// Sends all from a socket, but for what cannot be sent: `failed` is called for each of these.
void send_batch_run(struct send_batch *batch, int fd,
                    void (*failed)(void *context, uint64_t tag, int error), void *context);
