// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What the daemon says of itself, on stderr: one line an event, as logfmt or JSON. The service
// manager keeps it and adds the time. Nothing is said per packet, but where the settings ask for
// the answers to clients (query_log.h).

// In the order of the words of log.level and log.format in options.def.
enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_LOGFMT, LOG_JSON };

// Any thread may write and set. Starts as {0}: lines are then written by who has them, who waits
// for whoever reads. With log_start they go through a queue, and nobody waits any more.
struct log {
    uint32_t level;
    uint32_t format;
    struct log_queue *queue; // NULL: not started; atomic
};

// Starts the thread that writes. 0 or -ENOMEM.
[[nodiscard]] int log_start(struct log *log);

// Waits up to `limit_ms` until all is written. False: it is not.
[[nodiscard]] bool log_flush(const struct log *log, unsigned limit_ms);

// Ends the thread, when all is written and nobody writes any more.
void log_end(struct log *log);

// Lines left out because who reads was slow. For any thread.
[[nodiscard]] uint64_t log_lost(const struct log *log);

// Is there room for a line of log_always? Who asks may come again later.
[[nodiscard]] bool log_has_room(const struct log *log);

void log_set(struct log *log, uint32_t level, uint32_t format);

struct log_field {
    const char *key; // NULL ends a list
    const char *value;
};

// Writes lines that are none of a log, before log_start: as all lines until then they are lost
// where the reader of stderr has stopped, so that nothing waits for it.
void log_text(const char *text);

// Writes one line if `level` is at or above the log's, with one write so that lines of several
// threads stay whole. A line ends after 4 KiB. Where there is no room in the queue it is lost.
void log_write(const struct log *log, enum log_level level, const char *message,
               const struct log_field *fields);

// The same, whatever the log's level.
void log_always(const struct log *log, const char *message, const struct log_field *fields);

// log_write with one field whose value is formatted.
void log_writef(const struct log *log, enum log_level level, const char *message, const char *key,
                const char *format, ...) __attribute__((format(printf, 5, 6)));
