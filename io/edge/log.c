// SPDX-License-Identifier: MIT
#include "io/edge/log.h"

#include "io/edge/json.h"
#include "io/edge/log_queue.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LINE_MAX_LEN = 4096, VALUE_MAX_LEN = 1024, ROOM_WAIT_MS = 20 };

struct line {
    char text[LINE_MAX_LEN];
    size_t len;
};

static const char *const level_names[] = {"error", "warning", "info", "debug"};

static void put(struct line *line, const char *text, size_t len)
{
    // The last octet is kept for the line's end.
    size_t room = sizeof line->text - 1 - line->len;
    len = len < room ? len : room;
    memcpy(line->text + line->len, text, len);
    line->len += len;
}

static void put_text(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

// Between double quotes, as JSON and logfmt both read it.
static void put_quoted(struct line *line, const char *text)
{
    char escape[JSON_ESCAPE_SIZE];
    put_text(line, "\"");
    for (; *text; text++)
        put(line, escape, json_escape(*text, escape));
    put_text(line, "\"");
}

static void put_field(struct line *line, uint32_t format, const char *key, const char *value)
{
    if (format == LOG_JSON) {
        put_text(line, line->len > 0 ? "," : "{");
        put_quoted(line, key);
        put_text(line, ":");
        put_quoted(line, value);
        return;
    }
    if (line->len > 0)
        put_text(line, " ");
    put_text(line, key);
    put_text(line, "=");
    if (*value != '\0' && strcspn(value, " \"=\\\n\t") == strlen(value))
        put_text(line, value);
    else
        put_quoted(line, value);
}

void log_set(struct log *log, uint32_t level, uint32_t format)
{
    __atomic_store_n(&log->level, level, __ATOMIC_RELAXED);
    __atomic_store_n(&log->format, format, __ATOMIC_RELAXED);
}

// Without a queue no caller waits long for a reader that has stopped: where there is room, it is
// for this much at least. What is lost then cannot be reported.
static void octets_out(const char *octets, size_t len)
{
    while (len > 0) {
        struct pollfd fd = {.fd = STDERR_FILENO, .events = POLLOUT};
        size_t piece = len < PIPE_BUF ? len : PIPE_BUF;
        ssize_t written = poll(&fd, 1, ROOM_WAIT_MS) == 1 ? write(fd.fd, octets, piece) : -1;
        if (written <= 0)
            return;
        octets += written;
        len -= (size_t)written;
    }
}

void log_text(const char *text)
{
    octets_out(text, strlen(text));
}

static void line_make(struct line *line, uint32_t format, enum log_level level, const char *message,
                      const struct log_field *fields)
{
    line->len = 0;
    put_field(line, format, "level", level_names[level]);
    put_field(line, format, "msg", message);
    for (; fields && fields->key; fields++)
        put_field(line, format, fields->key, fields->value);
    if (format == LOG_JSON)
        put_text(line, "}");
    line->text[line->len++] = '\n';
}

// The line that says how many were lost before it.
static size_t lost_line(const void *context, uint64_t lost, char *text, size_t size)
{
    const struct log *log = context;
    struct line line;
    char lines[24];
    snprintf(lines, sizeof lines, "%llu", (unsigned long long)lost);
    line_make(&line, __atomic_load_n(&log->format, __ATOMIC_RELAXED), LOG_WARNING,
              "lines of the log were lost", (struct log_field[]){{"lines", lines}, {NULL, NULL}});
    assert(line.len <= size);
    memcpy(text, line.text, line.len);
    return line.len;
}

static void line_out(const struct log *log, const struct line *line)
{
    struct log_queue *queue = __atomic_load_n(&log->queue, __ATOMIC_ACQUIRE);
    if (queue) {
        log_queue_put(queue, line->text, line->len, lost_line, log);
        return;
    }
    octets_out(line->text, line->len);
}

static void write_out(const struct log *log, enum log_level level, const char *message,
                      const struct log_field *fields)
{
    struct line line;
    line_make(&line, __atomic_load_n(&log->format, __ATOMIC_RELAXED), level, message, fields);
    line_out(log, &line);
}

int log_start(struct log *log)
{
    struct log_queue *queue = log_queue_open(STDERR_FILENO);
    __atomic_store_n(&log->queue, queue, __ATOMIC_RELEASE);
    return queue ? 0 : -ENOMEM;
}

bool log_flush(const struct log *log, unsigned limit_ms)
{
    return !log->queue || log_queue_flush(log->queue, limit_ms);
}

void log_end(struct log *log)
{
    if (log->queue)
        log_queue_close(log->queue);
    log->queue = NULL;
}

uint64_t log_lost(const struct log *log)
{
    const struct log_queue *queue = __atomic_load_n(&log->queue, __ATOMIC_ACQUIRE);
    return queue ? log_queue_lost(queue) : 0;
}

bool log_has_room(const struct log *log)
{
    struct log_queue *queue = __atomic_load_n(&log->queue, __ATOMIC_ACQUIRE);
    return !queue || log_queue_has_room(queue, LINE_MAX_LEN);
}

void log_write(const struct log *log, enum log_level level, const char *message,
               const struct log_field *fields)
{
    if ((uint32_t)level <= __atomic_load_n(&log->level, __ATOMIC_RELAXED))
        write_out(log, level, message, fields);
}

void log_always(const struct log *log, const char *message, const struct log_field *fields)
{
    write_out(log, LOG_INFO, message, fields);
}

void log_writef(const struct log *log, enum log_level level, const char *message, const char *key,
                const char *format, ...)
{
    char value[VALUE_MAX_LEN];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(value, sizeof value, format, arguments);
    va_end(arguments);
    log_write(log, level, message, (struct log_field[]){{key, value}, {NULL, NULL}});
}
