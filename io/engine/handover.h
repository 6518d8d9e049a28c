// SPDX-License-Identifier: MIT
#pragma once
#include "core/serve.h"
#include "io/engine/udp.h"

// A bounded ring by which one worker hands queries to one other, the home of their questions.
// Exactly one thread puts and exactly one takes; neither waits for the other (Lamport 1983).

#define HANDOVER_SLOTS 512 // a power of two

struct handed_query {
    struct client client;
    uint16_t len;
    uint8_t bytes[UDP_QUERY_MAX];
};

struct handover {
    _Alignas(64) uint32_t put; // written by the one that puts
    _Alignas(64) uint32_t taken;
    _Alignas(64) struct handed_query slots[HANDOVER_SLOTS];
};

// Copies a query into the ring; false when it is full.
[[nodiscard]] static inline bool handover_put(struct handover *ring, const struct serve_item *item)
{
    uint32_t put = __atomic_load_n(&ring->put, __ATOMIC_RELAXED);
    if (put - __atomic_load_n(&ring->taken, __ATOMIC_ACQUIRE) == HANDOVER_SLOTS)
        return false;
    struct handed_query *slot = &ring->slots[put % HANDOVER_SLOTS];
    slot->client = item->client;
    slot->len = item->in_len;
    memcpy(slot->bytes, item->in, item->in_len);
    __atomic_store_n(&ring->put, put + 1, __ATOMIC_RELEASE);
    return true;
}

// How many wait to be taken, and the i-th of them; they stay valid until handover_take.
static inline uint32_t handover_waiting(const struct handover *ring)
{
    return __atomic_load_n(&ring->put, __ATOMIC_ACQUIRE) -
           __atomic_load_n(&ring->taken, __ATOMIC_RELAXED);
}

static inline const struct handed_query *handover_peek(const struct handover *ring, uint32_t i)
{
    return &ring->slots[(__atomic_load_n(&ring->taken, __ATOMIC_RELAXED) + i) % HANDOVER_SLOTS];
}

static inline void handover_take(struct handover *ring, uint32_t count)
{
    uint32_t taken = __atomic_load_n(&ring->taken, __ATOMIC_RELAXED);
    __atomic_store_n(&ring->taken, taken + count, __ATOMIC_RELEASE);
}
