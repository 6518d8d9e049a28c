// SPDX-License-Identifier: MIT
#pragma once
#include "io/engine/worker_queue.h"

// The answer log: copies of a worker's answers, all of them or one in N, for the query log and
// dnstap. They lie in a bounded ring, which one other thread reads. The worker never waits: an
// answer that finds no room is left out and counted.

#define ANSWER_LOG_SIZE (1u << 20) // octets of each worker's ring

struct answer_log {
    uint32_t every; // one answer in so many is logged; 0: none. Atomic, set by another thread
    uint32_t left;  // answers until the next one; the worker alone uses it
    struct worker_queue ring;
};

// The head of an entry; the reply's octets follow. Times are on the worker's clock, which was the
// wall's when the process started.
struct logged_answer {
    uint64_t since_us; // when the query arrived
    uint64_t now_us;   // when the reply was sent
    struct address at; // our address and port that the query came to
    uint8_t source;    // enum counter: one of ouzel_answers_total
};

#define LOGGED_REPLY_MAX (UINT16_MAX - sizeof(struct logged_answer))

// Is the next answer to be logged?
static inline bool answer_log_wants(struct answer_log *log)
{
    uint32_t every = __atomic_load_n(&log->every, __ATOMIC_ACQUIRE);
    if (every == 0)
        return false;
    if (log->left > 0 && log->left < every) {
        log->left--;
        return false;
    }
    log->left = every - 1;
    return true;
}

// Copies a reply behind its head. False: there was no room.
[[nodiscard]] static inline bool answer_log_put(struct answer_log *log,
                                                const struct logged_answer *logged,
                                                const struct client *client, const uint8_t *reply,
                                                size_t len)
{
    struct queued *queued = len <= LOGGED_REPLY_MAX
                                ? worker_queue_room(&log->ring, (uint16_t)(sizeof *logged + len))
                                : NULL;
    if (!queued)
        return false;
    queued->client = *client;
    queued->kind = QUEUED_LOGGED;
    memcpy(queued->bytes, logged, sizeof *logged);
    memcpy(queued->bytes + sizeof *logged, reply, len);
    worker_queue_show(&log->ring, queued);
    return true;
}
