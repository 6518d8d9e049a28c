// SPDX-License-Identifier: MIT
#include "io/engine/engine_tap.h"

#include "io/engine/engine_state.h"
#include "io/engine/worker.h"

#include <errno.h>
#include <stdlib.h>

int engine_tap(struct engine *engine, uint32_t every)
{
    // Taken once, when it is first wanted; kept to the end.
    if (every > 0 && !engine->tap_bytes) {
        uint8_t *bytes = malloc((size_t)engine->worker_count * TAP_SIZE);
        if (!bytes)
            return -ENOMEM;
        __atomic_store_n(&engine->tap_bytes, bytes, __ATOMIC_RELAXED);
    }
    for (unsigned i = 0; i < engine->worker_count; i++) {
        struct tap *tap = worker_tap(engine->workers[i]);
        if (every > 0 && !tap->ring.bytes)
            handover_init(&tap->ring, engine->tap_bytes + (size_t)i * TAP_SIZE, TAP_SIZE);
        __atomic_store_n(&tap->every, every, __ATOMIC_RELEASE);
    }
    return 0;
}

bool engine_tapped(struct engine *engine,
                   bool (*take)(void *, const struct tapped *, const struct client *,
                                const uint8_t *, size_t),
                   void *context)
{
    bool any = false, more = true;
    for (unsigned i = 0; i < engine->worker_count && more && engine->tap_bytes; i++) {
        struct handover *ring = &worker_tap(engine->workers[i])->ring;
        struct handover_cursor cursor = handover_begin(ring), before = cursor;
        const struct handed *handed;
        while (more && (handed = handover_next(ring, &cursor))) {
            struct tapped tapped;
            memcpy(&tapped, handed->bytes, sizeof tapped);
            more = take(context, &tapped, &handed->client, handed->bytes + sizeof tapped,
                        handed->len - sizeof tapped);
            if (more)
                before = cursor;
        }
        any |= before.at != handover_begin(ring).at;
        handover_take(ring, &before);
    }
    return any;
}
