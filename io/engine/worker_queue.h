// SPDX-License-Identifier: MIT
#pragma once
#include "core/serve/serve.h"

#include <assert.h>

// The queue from one worker to one other, a bounded ring: queries for the home of their questions,
// and answers to clients whose TCP connections the other worker has. One thread writes and one
// reads, and neither waits for the other (Lamport 1983). Entries have the length that they need and
// lie one behind the other, so a burst of thousands fits. An answer log (answer_log.h) is such a
// queue as well, read by a thread that is no worker.

struct worker_queue {
    _Alignas(64) uint32_t put;   // octets written so far, the writer's
    _Alignas(64) uint32_t taken; // octets read and released, the reader's
    _Alignas(64) uint8_t *bytes;
    uint32_t size; // a power of two
};

enum queued_kind {
    QUEUED_QUERY,
    QUEUED_HINT,
    QUEUED_ANSWER,
    QUEUED_NO_REPLY, // to a query that came over a TCP connection of the reader
    QUEUED_LOGGED,
};

struct queued {
    struct client client;
    uint16_t len; // 0: a filler, up to the end of the ring
    uint8_t kind; // enum queued_kind
    uint8_t bytes[];
};

static inline void worker_queue_init(struct worker_queue *ring, uint8_t *bytes, uint32_t size)
{
    assert(bytes && size > 0 && (size & (size - 1)) == 0);
    *ring = (struct worker_queue){.bytes = bytes, .size = size};
}

static inline uint32_t queued_size(size_t len)
{
    return (uint32_t)(sizeof(struct queued) + len + 7) & ~7u;
}

static inline struct queued *queued_at(const struct worker_queue *ring, uint32_t count)
{
    return (struct queued *)(void *)(ring->bytes + (count & (ring->size - 1)));
}

// Room for an entry of `len` octets, to be filled and then published by worker_queue_show; NULL:
// the queue is full.
static inline struct queued *worker_queue_room(struct worker_queue *ring, uint16_t len)
{
    assert(len > 0); // 0 marks a filler
    uint32_t put = __atomic_load_n(&ring->put, __ATOMIC_RELAXED);
    uint32_t room = ring->size - (put - __atomic_load_n(&ring->taken, __ATOMIC_ACQUIRE));
    uint32_t to_end = ring->size - (put & (ring->size - 1));
    uint32_t need = queued_size(len);
    uint32_t skip = to_end < need ? to_end : 0;
    if (room < need + skip)
        return NULL;
    if (skip >= sizeof(struct queued))
        queued_at(ring, put)->len = 0;
    struct queued *queued = queued_at(ring, put + skip);
    queued->len = len;
    return queued;
}

static inline void worker_queue_show(struct worker_queue *ring, const struct queued *queued)
{
    uint32_t put = __atomic_load_n(&ring->put, __ATOMIC_RELAXED);
    uint32_t skip = ((uint32_t)((const uint8_t *)queued - ring->bytes) - put) & (ring->size - 1);
    __atomic_store_n(&ring->put, put + skip + queued_size(queued->len), __ATOMIC_RELEASE);
}

// Copies an entry into the queue. False: it is full.
[[nodiscard]] static inline bool worker_queue_put(struct worker_queue *ring, enum queued_kind kind,
                                                  const struct client *client, const uint8_t *bytes,
                                                  uint16_t len)
{
    struct queued *queued = worker_queue_room(ring, len);
    if (!queued)
        return false;
    queued->client = *client;
    queued->kind = (uint8_t)kind;
    memcpy(queued->bytes, bytes, len);
    worker_queue_show(ring, queued);
    return true;
}

// The place of the reader. What it has read stays valid until worker_queue_release.
struct worker_queue_cursor {
    uint32_t at;
    uint32_t end;
};

static inline struct worker_queue_cursor worker_queue_begin(const struct worker_queue *ring)
{
    return (struct worker_queue_cursor){
        .at = __atomic_load_n(&ring->taken, __ATOMIC_RELAXED),
        .end = __atomic_load_n(&ring->put, __ATOMIC_ACQUIRE),
    };
}

// The next entry; NULL: there is none.
static inline const struct queued *worker_queue_next(const struct worker_queue *ring,
                                                     struct worker_queue_cursor *cursor)
{
    if (cursor->at == cursor->end)
        return NULL;
    uint32_t to_end = ring->size - (cursor->at & (ring->size - 1));
    if (to_end < sizeof(struct queued) || queued_at(ring, cursor->at)->len == 0)
        cursor->at += to_end;
    const struct queued *queued = queued_at(ring, cursor->at);
    cursor->at += queued_size(queued->len);
    assert(cursor->end - cursor->at < ring->size); // or an entry was published in part
    return queued;
}

// Frees the room of the entries that the cursor has passed.
static inline void worker_queue_release(struct worker_queue *ring,
                                        const struct worker_queue_cursor *cursor)
{
    __atomic_store_n(&ring->taken, cursor->at, __ATOMIC_RELEASE);
}
