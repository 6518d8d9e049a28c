// SPDX-License-Identifier: MIT
#pragma once
#include "io/engine/aligned.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Where a worker writes what it sends: the octets themselves, and what the kernel needs to send
// them. Requests refer to them where they lie, so what was taken stays as it is until the next
// submission (net.h: a send is over when the call that submits it returns); then the buffer is
// empty again.
//
// Octets are written where nothing was taken yet (send_buffer_room), and taken when it is known how
// many there are; only what was taken may be referred to. So nothing is ever written that a queued
// request refers to, in whatever order replies are made.

struct send_buffer {
    uint8_t *bytes;
    size_t size;
    size_t taken;
};

// Room for `len` octets, which are not taken by this; NULL: what was taken has to be submitted
// first.
static inline uint8_t *send_buffer_room(const struct send_buffer *buffer, size_t len)
{
    return buffer->size - buffer->taken >= len ? buffer->bytes + buffer->taken : NULL;
}

// Takes the first `len` octets of the room. What follows is aligned for any of the kernel's forms.
static inline void *send_buffer_reserve(struct send_buffer *buffer, size_t len)
{
    uint8_t *bytes = buffer->bytes + buffer->taken;
    size_t size = aligned(len);
    assert(size <= buffer->size - buffer->taken);
    buffer->taken += size;
    return bytes;
}

// Were these octets taken? A request that refers to others would send what is written there later.
static inline bool send_buffer_holds(const struct send_buffer *buffer, const void *bytes,
                                     size_t len)
{
    size_t at = (size_t)((const uint8_t *)bytes - buffer->bytes);
    return at < buffer->taken && len <= buffer->taken - at;
}

// All that was taken has been submitted.
static inline void send_buffer_empty(struct send_buffer *buffer)
{
    buffer->taken = 0;
}
