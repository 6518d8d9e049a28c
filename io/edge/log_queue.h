// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A bounded queue of lines, which a thread of its own writes to a descriptor. So no thread that
// logs waits for a reader that has stopped. Lines without room are left out and counted.

#define LOG_QUEUE_SIZE    (1u << 20) // octets
#define LOG_QUEUE_RESERVE (1u << 16) // of them, for urgent lines

struct log_queue; // opaque

// NULL: there is no memory or no thread.
[[nodiscard]] struct log_queue *log_queue_open(int fd);

// True if there is room for `len` octets without the reserve; for callers that can try later.
[[nodiscard]] bool log_queue_has_room(struct log_queue *queue, size_t len);

// Adds a whole line, or counts it as lost. Where lines were lost before this one, `lost_line`
// writes a line that says how many, and returns its length.
void log_queue_put(struct log_queue *queue, const char *line, size_t len,
                   size_t (*lost_line)(const void *context, uint64_t lost, char *text, size_t size),
                   const void *context);

// Lines lost since it was opened. For any thread.
[[nodiscard]] uint64_t log_queue_lost(const struct log_queue *queue);

// Waits up to `limit_ms` until all is written. False: it is not.
[[nodiscard]] bool log_queue_flush(struct log_queue *queue, unsigned limit_ms);

// Ends the thread when all is written. No other thread uses the queue any more.
void log_queue_close(struct log_queue *queue);
