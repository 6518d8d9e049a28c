// SPDX-License-Identifier: MIT
#pragma once
#include <assert.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// One worker's io_uring, and the only place that knows liburing. Requests are queued and go to the
// kernel together with the next wait, in one io_uring_enter.
//
// Sends are made without waiting (MSG_DONTWAIT), so each is over when the call that submits it
// returns: its octets are free again after ring_wait or ring_submit, and only a failed one makes an
// event. Receives are multishot: they make events until one says that there are no more.

struct ring; // opaque

struct ring_event {
    uint64_t tag;   // as given with the request
    int32_t result; // octets, or a negative errno
    uint32_t flags; // for the three below
};

// The octets lie in a buffer, which is to be given back.
static inline bool ring_event_has_buffer(const struct ring_event *event)
{
    return event->flags & 1; // IORING_CQE_F_BUFFER
}

static inline uint16_t ring_event_buffer(const struct ring_event *event)
{
    assert(ring_event_has_buffer(event));
    return (uint16_t)(event->flags >> 16); // IORING_CQE_BUFFER_SHIFT
}

// The request stays armed.
static inline bool ring_event_more(const struct ring_event *event)
{
    return event->flags & 2; // IORING_CQE_F_MORE
}

enum { RING_GROUPS = 3 }; // of provided buffers

// Makes a ring with room for `entries` queued requests (a power of two); `files` is the number of
// registered file places. It belongs to the thread that calls ring_start. Returns 0 or a negative
// errno; ring_why turns that into a sentence which says what to change.
[[nodiscard]] int ring_open(struct ring **ring, unsigned entries, unsigned files);
[[nodiscard]] const char *ring_why(int error);
void ring_close(struct ring *ring);

// To be called once by the thread that will use the ring, before anything below.
[[nodiscard]] int ring_start(struct ring *ring);
int ring_fd(const struct ring *ring);

// Registers `count` buffers (a power of two) of `size` octets (a multiple of 64) as group `group`.
[[nodiscard]] int ring_buffers(struct ring *ring, unsigned group, unsigned count, size_t size);

// Takes the buffer of an event that has one, which is lent from then on: its octets are the
// caller's until it is given back. Buffers reach the kernel with the next submission: what that
// sends must not refer to them.
uint16_t ring_buffer_take(struct ring *ring, unsigned group, const struct ring_event *event);
[[nodiscard]] uint8_t *ring_buffer(const struct ring *ring, unsigned group, uint16_t buffer);
void ring_buffer_return(struct ring *ring, unsigned group, uint16_t buffer);

// Puts a descriptor in a registered place; -1 empties it. What is queued goes to the kernel first,
// so that it meets the place as it was.
[[nodiscard]] int ring_file(struct ring *ring, unsigned place, int fd);

// Receives datagrams with their senders' addresses from a registered file; `local`: also with the
// address each was sent to, which the socket must have been told to give (udp_listen does).
void ring_receive_from(struct ring *ring, unsigned place, unsigned group, bool local, uint64_t tag);

// What such a receive left in its buffer, behind RING_DATAGRAM_HEAD octets at most.
#define RING_DATAGRAM_HEAD 96
struct datagram {
    const struct sockaddr *from;
    const void *local; // a struct in_addr or in6_addr; NULL: it was not asked for
    const uint8_t *bytes;
    size_t len;
    bool cut; // it was longer than the buffer
};
[[nodiscard]] bool ring_datagram(struct ring *ring, const struct ring_event *event, unsigned group,
                                 bool local, struct datagram *datagram);

// Receives datagrams from a connected socket.
void ring_receive(struct ring *ring, int fd, unsigned group, uint64_t tag);

// Receives once from a connected TCP socket: makes one event, with the octets that fit into one
// buffer.
void ring_stream_receive(struct ring *ring, int fd, unsigned group, uint64_t tag);

// Ends the request with that tag.
void ring_cancel(struct ring *ring, uint64_t tag, uint64_t own_tag);

// Closes a descriptor, in order with what is queued: requests for it that were queued before still
// find it, and its number belongs to nobody else until they have. Receives that are armed hold the
// socket beyond that; cancel them before. Every descriptor that a request of this ring may name is
// closed in this way. An event, with a negative errno, is made only if it fails.
#define RING_CLOSES_MAX 32 // descriptors that may wait for that; then all that is queued goes first
void ring_close_fd(struct ring *ring, int fd, uint64_t tag);

void ring_send_to(struct ring *ring, unsigned place, const void *bytes, size_t len,
                  const struct sockaddr *to, uint64_t tag);

// The same from a local address of the caller's choice. The form is written to `room`, which must
// stay as long as the octets do.
#define RING_FORM_SIZE 192
void ring_send_from(struct ring *ring, unsigned place, const void *bytes, size_t len,
                    const struct sockaddr *to, const uint8_t local[16], void *room, uint64_t tag);
void ring_send(struct ring *ring, int fd, const void *bytes, size_t len, uint64_t tag);

// Accepts connections; each event's result is a descriptor.
void ring_accept(struct ring *ring, int fd, uint64_t tag);

// Connects a TCP socket; the address must stay until the event.
void ring_connect(struct ring *ring, int fd, const struct sockaddr *to, unsigned to_len,
                  uint64_t tag);

// Sends on a connected TCP socket and makes an event in any case; the octets must stay until then.
void ring_stream_send(struct ring *ring, int fd, const void *bytes, size_t len, uint64_t tag);

// Makes an event with `event_tag` in another ring; `tag` is for our own if that fails.
void ring_wake(struct ring *ring, int other_fd, uint64_t event_tag, uint64_t tag);

// Makes one event when a descriptor has something to read.
void ring_watch(struct ring *ring, int fd, uint64_t tag);

// Cancels every request and lets go of the registered files, so that a socket which is closed after
// this is gone at once and not when the kernel gets round to the ring.
void ring_end(struct ring *ring);

// Hands all that is queued to the kernel.
[[nodiscard]] int ring_submit(struct ring *ring);

// Hands all that is queued to the kernel and waits for an event, at most timeout_us
// (UINT64_MAX: for ever). Returns the number of events, 0 after a timeout, or a negative errno.
[[nodiscard]] int ring_wait(struct ring *ring, uint64_t timeout_us, struct ring_event *events,
                            unsigned event_max);
