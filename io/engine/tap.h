// SPDX-License-Identifier: MIT
#pragma once
#include "io/engine/handover.h"

// What a worker tells of the answers it gives, for whoever writes it down (a log of queries,
// dnstap): a copy of each, or of one in so many, in a bounded ring. The worker never waits: what
// has no room is left out and counted. One other thread takes.

#define TAP_SIZE (1u << 20) // octets of each worker's ring

struct tap {
    uint32_t every; // one answer in so many is told; 0: none. Atomic, set by another thread
    uint32_t left;  // answers until the next one; the worker's own, as the next
    struct handover ring;
};

// What stands in front of a reply's octets. Times are on the worker's clock: the wall's at the
// start, carried on.
struct tapped {
    uint64_t since_us; // the query came
    uint64_t now_us;   // the reply went
    struct address at; // where it was asked, with the port
    uint8_t source;    // enum counter: one of ouzel_answers_total
};

#define TAPPED_REPLY_MAX (UINT16_MAX - sizeof(struct tapped))

// Is the next answer to be told?
static inline bool tap_wants(struct tap *tap)
{
    uint32_t every = __atomic_load_n(&tap->every, __ATOMIC_ACQUIRE);
    if (every == 0)
        return false;
    if (tap->left > 0 && tap->left < every) {
        tap->left--;
        return false;
    }
    tap->left = every - 1;
    return true;
}

// Copies a reply and what is said of it. False: there was no room.
[[nodiscard]] static inline bool tap_put(struct tap *tap, const struct tapped *tapped,
                                         const struct client *client, const uint8_t *reply,
                                         size_t len)
{
    struct handed *handed = len <= TAPPED_REPLY_MAX
                                ? handover_room(&tap->ring, (uint16_t)(sizeof *tapped + len))
                                : NULL;
    if (!handed)
        return false;
    handed->client = *client;
    handed->kind = HANDED_TAPPED;
    memcpy(handed->bytes, tapped, sizeof *tapped);
    memcpy(handed->bytes + sizeof *tapped, reply, len);
    handover_show(&tap->ring, handed);
    return true;
}
