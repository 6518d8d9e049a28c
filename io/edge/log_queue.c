// SPDX-License-Identifier: MIT
#include "io/edge/log_queue.h"

#include "io/edge/thread.h"
#include "io/net/clock.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE_SIZE = 4096, LINE_SIZE = 512 };

// Octets from `tail` to `head` are waiting; both only grow.
struct log_queue {
    pthread_mutex_t lock;
    pthread_cond_t changed; // there is something to write, or all is written
    pthread_t thread;
    int fd;
    bool ends;
    uint64_t head, tail;
    uint64_t lost, lost_told;
    char bytes[LOG_QUEUE_SIZE];
};

// Writes a piece, however long that takes. What cannot be written at all is lost.
static void piece_write(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t written = write(fd, bytes, len);
        if (written > 0) {
            bytes += written;
            len -= (size_t)written;
        } else if (written < 0 && errno == EAGAIN) {
            (void)poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
        } else if (written == 0 || errno != EINTR) {
            return;
        }
    }
}

// The next octets in a row; whole lines where a piece has room for them, so that lines of other
// processes come between them and not within.
static size_t piece_copy(const struct log_queue *q, char piece[static PIECE_SIZE])
{
    size_t place = q->tail % LOG_QUEUE_SIZE, len = (size_t)(q->head - q->tail);
    len = len < PIECE_SIZE ? len : PIECE_SIZE;
    size_t first = len < LOG_QUEUE_SIZE - place ? len : LOG_QUEUE_SIZE - place;
    memcpy(piece, q->bytes + place, first);
    memcpy(piece + first, q->bytes, len - first);
    const char *end = memrchr(piece, '\n', len);
    return end ? (size_t)(end - piece) + 1 : len;
}

static void *thread_main(void *argument)
{
    struct log_queue *q = argument;
    char piece[PIECE_SIZE];
    pthread_setname_np(pthread_self(), "log");
    pthread_mutex_lock(&q->lock);
    while (!q->ends || q->head != q->tail) {
        if (q->head == q->tail) {
            pthread_cond_wait(&q->changed, &q->lock);
            continue;
        }
        size_t len = piece_copy(q, piece);
        pthread_mutex_unlock(&q->lock);
        piece_write(q->fd, piece, len);
        pthread_mutex_lock(&q->lock);
        q->tail += len;
        if (q->head == q->tail)
            pthread_cond_broadcast(&q->changed);
    }
    pthread_mutex_unlock(&q->lock);
    return NULL;
}

struct log_queue *log_queue_open(int fd)
{
    struct log_queue *q = malloc(sizeof *q);
    if (!q)
        return NULL;
    memset(q, 0, offsetof(struct log_queue, bytes));
    q->fd = fd;
    thread_condition_init(&q->changed);
    pthread_mutex_init(&q->lock, NULL);
    if (pthread_create(&q->thread, NULL, thread_main, q) == 0)
        return q;
    free(q);
    return NULL;
}

static size_t room_of(const struct log_queue *q)
{
    assert(q->tail <= q->head && q->head - q->tail <= LOG_QUEUE_SIZE);
    return LOG_QUEUE_SIZE - (size_t)(q->head - q->tail);
}

bool log_queue_has_room(struct log_queue *q, size_t len)
{
    pthread_mutex_lock(&q->lock);
    bool has = room_of(q) >= len + LOG_QUEUE_RESERVE;
    pthread_mutex_unlock(&q->lock);
    return has;
}

static void octets_put(struct log_queue *q, const char *octets, size_t len)
{
    assert(len <= room_of(q));
    size_t place = q->head % LOG_QUEUE_SIZE;
    size_t first = len < LOG_QUEUE_SIZE - place ? len : LOG_QUEUE_SIZE - place;
    memcpy(q->bytes + place, octets, first);
    memcpy(q->bytes, octets + first, len - first);
    q->head += len;
}

void log_queue_put(struct log_queue *q, const char *line, size_t len,
                   size_t (*lost_line)(const void *, uint64_t, char *, size_t), const void *context)
{
    char told[LINE_SIZE];
    pthread_mutex_lock(&q->lock);
    bool room = room_of(q) >= len + sizeof told;
    if (room && q->lost > q->lost_told) {
        octets_put(q, told, lost_line(context, q->lost - q->lost_told, told, sizeof told));
        q->lost_told = q->lost;
    }
    if (room)
        octets_put(q, line, len);
    else
        __atomic_store_n(&q->lost, q->lost + 1, __ATOMIC_RELAXED);
    pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->lock);
}

uint64_t log_queue_lost(const struct log_queue *q)
{
    return __atomic_load_n(&q->lost, __ATOMIC_RELAXED);
}

bool log_queue_flush(struct log_queue *q, unsigned limit_ms)
{
    struct timespec until = clock_moment(now_ms() + limit_ms);
    pthread_mutex_lock(&q->lock);
    while (q->head != q->tail && pthread_cond_timedwait(&q->changed, &q->lock, &until) == 0)
        continue;
    bool written = q->head == q->tail;
    pthread_mutex_unlock(&q->lock);
    return written;
}

void log_queue_close(struct log_queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->ends = true;
    pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->lock);
    pthread_join(q->thread, NULL);
    pthread_mutex_destroy(&q->lock);
    pthread_cond_destroy(&q->changed);
    free(q);
}
