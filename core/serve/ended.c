// SPDX-License-Identifier: MIT
#include "core/serve/ended.h"

#include "core/serve/answer.h"
#include "core/serve/dns64.h"
#include "core/serve/waiters.h"

// Of a probe, which may be asked at a worker that is not its name's home, nothing is kept.
void serve_ended_take(struct serve *s, uint64_t now_us)
{
    struct forward *f = &s->forward;
    struct question *question;
    while ((question = forward_take_ended(f))) {
        wheel_stop(&f->wheel, &question->stale_timer);
        if (question->probe) {
            serve_tell(s, question);
            continue;
        }
        if (serve_filter(s, now_us, question))
            continue;
        if (question->end == QUESTION_ANSWERED) {
            serve_keep(s, now_us, question);
            failure_forget(&s->failures, question->key.hash);
        } else if (question->unreachable && !question->heard_rcode) {
            failure_add_gone(&s->failures, question->key.hash, question->era, now_us);
        } else if (!question->abandoned && !question->unasked) {
            failure_add(&s->failures, question->key.hash, question->rcode, !question->heard_rcode,
                        question->era, question->has_stale ? FAILURE_STALE_US : 0, now_us);
        }
        question->tell_stale = question->end == QUESTION_FAILED && question->has_stale;
        serve_tell(s, question);
    }
}
