// SPDX-License-Identifier: MIT
#include "core/serve/ended.h"

#include "core/serve/answer.h"
#include "core/serve/dns64.h"
#include "core/serve/waiters.h"

// Of a probe, which may be asked at a worker that is not its name's home, nothing is kept.
void serve_ended_take(struct serve *s, uint64_t now_us)
{
    struct forward *f = &s->forward;
    struct pending *pending;
    while ((pending = forward_take_ended(f))) {
        wheel_stop(&f->wheel, &pending->stale_timer);
        if (pending->probe) {
            serve_tell(s, pending);
            continue;
        }
        if (serve_filter(s, now_us, pending))
            continue;
        if (pending->end == PENDING_ANSWERED) {
            serve_keep(s, now_us, pending);
            failure_forget(&s->failures, pending->key.hash);
        } else if (pending->unreachable && !pending->heard_rcode) {
            failure_add_gone(&s->failures, pending->key.hash, pending->era, now_us);
        } else if (!pending->abandoned && !pending->unasked) {
            failure_add(&s->failures, pending->key.hash, pending->rcode, !pending->heard_rcode,
                        pending->era, pending->has_stale ? FAILURE_STALE_US : 0, now_us);
        }
        pending->tell_stale = pending->end == PENDING_FAILED && pending->has_stale;
        serve_tell(s, pending);
    }
}
