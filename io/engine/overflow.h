// SPDX-License-Identifier: MIT
#pragma once
#include "core/share.h"
#include "io/engine/worker_queue.h"

// What found no room in the queue to another worker and must not be lost: answers to clients whose
// connections that worker has, and the news that there will be no answer. They wait here in their
// order until there is room; the worker tries again each round. Each client network has a share of
// the octets, and of the things (core/share.h). Queries do not wait here: the client asks again.
//
// One for each worker, used by its thread alone.

#define OVERFLOW_COUNT_MAX   4096
#define OVERFLOW_OCTETS_MAX  (32u << 20)
#define OVERFLOW_OCTETS_MOST (8u << 20) // of one network
#define OVERFLOW_RETRY_US    1000u

struct overflow_item; // opaque

struct overflow {
    struct overflow_item *first;
    struct overflow_item **end;
    struct share_table shares;
    void *shares_memory;
    size_t octets;
    unsigned count;
};

// 0 or a negative errno.
[[nodiscard]] int overflow_open(struct overflow *overflow);
void overflow_close(struct overflow *overflow);

// Adds a copy. False: it is above the limits, or there is no memory.
[[nodiscard]] bool overflow_add(struct overflow *overflow, enum queued_kind kind,
                                const struct client *client, const uint8_t *bytes, size_t len);

// Calls `put` for each item, and keeps those for which that returns false, as there is no room. The
// items for a worker stay in their order.
void overflow_flush(struct overflow *overflow,
                    bool (*put)(void *context, enum queued_kind kind, const struct client *client,
                                const uint8_t *bytes, size_t len),
                    void *context);
