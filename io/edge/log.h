// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The log, on stderr: one line for each event, as logfmt or JSON. The service manager stores it and
// adds the time. There are no lines for packets, except in the query log (query_log.h).

// In the order of the words of log.level and log.format in options.def.
enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_LOGFMT, LOG_JSON };

// Any thread may write and set. Starts as {0}: each thread then writes its lines itself, and waits
// for the reader. After log_start they go through a queue, and no thread waits.
struct log {
    uint32_t level;
    uint32_t format;
    struct log_queue *queue; // NULL: not started; atomic
};

// Starts the thread that writes. 0 or -ENOMEM.
[[nodiscard]] int log_start(struct log *log);

// Waits up to `limit_ms` until all is written. False: it is not.
[[nodiscard]] bool log_flush(const struct log *log, unsigned limit_ms);

// Ends the thread, after all is written. No other thread uses the log any more.
void log_end(struct log *log);

// Lines left out, as the reader was slow. For any thread.
[[nodiscard]] uint64_t log_lost(const struct log *log);

// True if there is room for a line of log_always; for callers that can try later.
[[nodiscard]] bool log_has_room(const struct log *log);

void log_set(struct log *log, uint32_t level, uint32_t format);

struct log_field {
    const char *key; // NULL ends a list
    const char *value;
};

// Writes plain lines, before log_start. Like all lines until then they are lost where the reader of
// stderr has stopped, so that nothing waits for it.
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
