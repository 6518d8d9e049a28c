// SPDX-License-Identifier: MIT
#pragma once
#include "core/serve.h"

// A bounded ring by which one worker hands queries to one other, the home of their questions.
// Exactly one thread puts and exactly one takes; neither waits for the other (Lamport 1983). The
// queries lie one behind the other, each as long as it is, so that a burst of thousands fits.

#define HANDOVER_SIZE     (1u << 20) // octets that a worker's rings have together
#define HANDOVER_SIZE_MIN (1u << 16) // and one at least

struct handover {
    _Alignas(64) uint32_t put; // octets, written by the one that puts
    _Alignas(64) uint32_t taken;
    _Alignas(64) uint8_t *bytes;
    uint32_t size; // a power of two
};

struct handed_query {
    struct client client;
    uint16_t len; // 0: the rest of the ring up to its end is empty
    uint8_t bytes[];
};

static inline void handover_init(struct handover *ring, uint8_t *bytes, uint32_t size)
{
    *ring = (struct handover){.bytes = bytes, .size = size};
}

static inline uint32_t handed_size(size_t len)
{
    return (uint32_t)(sizeof(struct handed_query) + len + 7) & ~7u;
}

static inline struct handed_query *handed_at(const struct handover *ring, uint32_t count)
{
    return (struct handed_query *)(void *)(ring->bytes + (count & (ring->size - 1)));
}

// Copies a query into the ring; false when it is full.
[[nodiscard]] static inline bool handover_put(struct handover *ring, const struct serve_item *item)
{
    uint32_t put = __atomic_load_n(&ring->put, __ATOMIC_RELAXED);
    uint32_t room = ring->size - (put - __atomic_load_n(&ring->taken, __ATOMIC_ACQUIRE));
    uint32_t to_end = ring->size - (put & (ring->size - 1));
    uint32_t need = handed_size(item->in_len);
    uint32_t skip = to_end < need ? to_end : 0;
    if (room < need + skip)
        return false;
    if (skip >= sizeof(struct handed_query))
        handed_at(ring, put)->len = 0;
    struct handed_query *handed = handed_at(ring, put + skip);
    handed->client = item->client;
    handed->len = item->in_len;
    memcpy(handed->bytes, item->in, item->in_len);
    __atomic_store_n(&ring->put, put + skip + need, __ATOMIC_RELEASE);
    return true;
}

// Where a reader stands; what it has seen stays valid until handover_take.
struct handover_cursor {
    uint32_t at;
    uint32_t end;
};

static inline struct handover_cursor handover_begin(const struct handover *ring)
{
    return (struct handover_cursor){
        .at = __atomic_load_n(&ring->taken, __ATOMIC_RELAXED),
        .end = __atomic_load_n(&ring->put, __ATOMIC_ACQUIRE),
    };
}

// The next query, or NULL.
static inline const struct handed_query *handover_next(const struct handover *ring,
                                                       struct handover_cursor *cursor)
{
    if (cursor->at == cursor->end)
        return NULL;
    uint32_t to_end = ring->size - (cursor->at & (ring->size - 1));
    if (to_end < sizeof(struct handed_query) || handed_at(ring, cursor->at)->len == 0)
        cursor->at += to_end;
    const struct handed_query *handed = handed_at(ring, cursor->at);
    cursor->at += handed_size(handed->len);
    return handed;
}

// Gives back the room of all that the cursor has passed.
static inline void handover_take(struct handover *ring, const struct handover_cursor *cursor)
{
    __atomic_store_n(&ring->taken, cursor->at, __ATOMIC_RELEASE);
}
