// SPDX-License-Identifier: MIT
#pragma once
#include "io/engine/aligned.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The buffer of what a worker sends: the octets, and what the kernel needs to send them. Requests
// point into it, so reserved octets stay unchanged until the next submission (net.h: a send is over
// when the call that submits it returns). Then the buffer is empty again.
//
// Octets are written to free room (send_buffer_room), and reserved once their number is known; only
// reserved octets may be referred to. So octets of a queued request are never overwritten, in
// whatever order replies are made.

struct send_buffer {
    uint8_t *bytes;
    size_t size;
    size_t taken;
};

// Free room for `len` octets, which this does not reserve; NULL: the reserved ones must be
// submitted first.
static inline uint8_t *send_buffer_room(const struct send_buffer *buffer, size_t len)
{
    return buffer->size - buffer->taken >= len ? buffer->bytes + buffer->taken : NULL;
}

// Reserves the first `len` octets of the room. The room after them is aligned for any kernel
// struct.
static inline void *send_buffer_reserve(struct send_buffer *buffer, size_t len)
{
    uint8_t *bytes = buffer->bytes + buffer->taken;
    size_t size = aligned(len);
    assert(size <= buffer->size - buffer->taken);
    buffer->taken += size;
    return bytes;
}

// True if these octets are reserved; a request must not refer to others.
static inline bool send_buffer_holds(const struct send_buffer *buffer, const void *bytes,
                                     size_t len)
{
    size_t at = (size_t)((const uint8_t *)bytes - buffer->bytes);
    return at < buffer->taken && len <= buffer->taken - at;
}

// All reserved octets have been submitted.
static inline void send_buffer_empty(struct send_buffer *buffer)
{
    buffer->taken = 0;
}
