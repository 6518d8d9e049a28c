// SPDX-License-Identifier: MIT
#include "io/engine/engine_answer_log.h"

#include "io/engine/engine_state.h"
#include "io/engine/worker.h"

#include <errno.h>
#include <stdlib.h>

int engine_answer_log_set(struct engine *engine, uint32_t every)
{
    // Allocated when it is first wanted, and freed with the engine.
    if (every > 0 && !engine->answer_log_bytes) {
        uint8_t *bytes = malloc((size_t)engine->worker_count * ANSWER_LOG_SIZE);
        if (!bytes)
            return -ENOMEM;
        __atomic_store_n(&engine->answer_log_bytes, bytes, __ATOMIC_RELAXED);
    }
    for (unsigned i = 0; i < engine->worker_count; i++) {
        struct answer_log *log = worker_answer_log(engine->workers[i]);
        if (every > 0 && !log->ring.bytes)
            worker_queue_init(&log->ring, engine->answer_log_bytes + (size_t)i * ANSWER_LOG_SIZE,
                              ANSWER_LOG_SIZE);
        __atomic_store_n(&log->every, every, __ATOMIC_RELEASE);
    }
    return 0;
}

bool engine_answer_log_read(struct engine *engine,
                            bool (*consume)(void *, const struct logged_answer *,
                                            const struct client *, const uint8_t *, size_t),
                            void *context)
{
    bool any = false, more = true;
    for (unsigned i = 0; i < engine->worker_count && more && engine->answer_log_bytes; i++) {
        struct worker_queue *ring = &worker_answer_log(engine->workers[i])->ring;
        struct worker_queue_cursor cursor = worker_queue_begin(ring), before = cursor;
        const struct queued *queued;
        while (more && (queued = worker_queue_next(ring, &cursor))) {
            struct logged_answer logged;
            memcpy(&logged, queued->bytes, sizeof logged);
            more = consume(context, &logged, &queued->client, queued->bytes + sizeof logged,
                           queued->len - sizeof logged);
            if (more)
                before = cursor;
        }
        any |= before.at != worker_queue_begin(ring).at;
        worker_queue_release(ring, &before);
    }
    return any;
}
