// SPDX-License-Identifier: MIT
#pragma once
#include "core/serve/serve.h"

#include <assert.h>

// A bounded ring by which one worker hands to one other: queries to the home of their questions,
// and answers to clients whose TCP connections the other one holds. Exactly one thread puts and
// exactly one takes; neither waits for the other (Lamport 1983). They lie one behind the other,
// each as long as it is, so that a burst of thousands fits. An answer log (answer_log.h) is such a
// ring as well, read by a thread that is no worker.

#define HANDOVER_SIZE     (1u << 20) // octets that a worker's rings have together
#define HANDOVER_SIZE_MIN (1u << 18) // and one at least: the longest answer fits wherever it begins

struct handover {
    _Alignas(64) uint32_t put; // octets, written by the one that puts
    _Alignas(64) uint32_t taken;
    _Alignas(64) uint8_t *bytes;
    uint32_t size; // a power of two
};

enum handed_kind {
    HANDED_QUERY,
    HANDED_HINT,
    HANDED_ANSWER,
    HANDED_NO_REPLY, // to a query over TCP that came from there
    HANDED_LOGGED,
};

struct handed {
    struct client client;
    uint16_t len; // 0: the rest of the ring up to its end is empty
    uint8_t kind; // enum handed_kind
    uint8_t bytes[];
};

static inline void handover_init(struct handover *ring, uint8_t *bytes, uint32_t size)
{
    assert(bytes && size > 0 && (size & (size - 1)) == 0);
    *ring = (struct handover){.bytes = bytes, .size = size};
}

static inline uint32_t handed_size(size_t len)
{
    return (uint32_t)(sizeof(struct handed) + len + 7) & ~7u;
}

static inline struct handed *handed_at(const struct handover *ring, uint32_t count)
{
    return (struct handed *)(void *)(ring->bytes + (count & (ring->size - 1)));
}

// Room in the ring for so many octets, to be filled and then shown; NULL when it is full.
static inline struct handed *handover_room(struct handover *ring, uint16_t len)
{
    assert(len > 0); // nothing marks the rest of the ring
    uint32_t put = __atomic_load_n(&ring->put, __ATOMIC_RELAXED);
    uint32_t room = ring->size - (put - __atomic_load_n(&ring->taken, __ATOMIC_ACQUIRE));
    uint32_t to_end = ring->size - (put & (ring->size - 1));
    uint32_t need = handed_size(len);
    uint32_t skip = to_end < need ? to_end : 0;
    if (room < need + skip)
        return NULL;
    if (skip >= sizeof(struct handed))
        handed_at(ring, put)->len = 0;
    struct handed *handed = handed_at(ring, put + skip);
    handed->len = len;
    return handed;
}

static inline void handover_show(struct handover *ring, const struct handed *handed)
{
    uint32_t put = __atomic_load_n(&ring->put, __ATOMIC_RELAXED);
    uint32_t skip = ((uint32_t)((const uint8_t *)handed - ring->bytes) - put) & (ring->size - 1);
    __atomic_store_n(&ring->put, put + skip + handed_size(handed->len), __ATOMIC_RELEASE);
}

// Copies something into the ring; false when it is full.
[[nodiscard]] static inline bool handover_put(struct handover *ring, enum handed_kind kind,
                                              const struct client *client, const uint8_t *bytes,
                                              uint16_t len)
{
    struct handed *handed = handover_room(ring, len);
    if (!handed)
        return false;
    handed->client = *client;
    handed->kind = (uint8_t)kind;
    memcpy(handed->bytes, bytes, len);
    handover_show(ring, handed);
    return true;
}

// Where a reader stands; what it has seen stays valid until handover_release.
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

// The next one, or NULL.
static inline const struct handed *handover_next(const struct handover *ring,
                                                 struct handover_cursor *cursor)
{
    if (cursor->at == cursor->end)
        return NULL;
    uint32_t to_end = ring->size - (cursor->at & (ring->size - 1));
    if (to_end < sizeof(struct handed) || handed_at(ring, cursor->at)->len == 0)
        cursor->at += to_end;
    const struct handed *handed = handed_at(ring, cursor->at);
    cursor->at += handed_size(handed->len);
    assert(cursor->end - cursor->at < ring->size); // or it was not shown as a whole
    return handed;
}

// Gives back the room of all that the cursor has passed.
static inline void handover_release(struct handover *ring, const struct handover_cursor *cursor)
{
    __atomic_store_n(&ring->taken, cursor->at, __ATOMIC_RELEASE);
}
