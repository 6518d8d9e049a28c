// SPDX-License-Identifier: MIT
#include "core/serve/ended.h"

#include "core/serve/answer.h"
#include "core/serve/subquestion.h"
#include "core/serve/waiters.h"

// Caches the failure of a question, where it holds for the next client as well.
static void failure_keep(struct serve *s, uint64_t now_us, const struct question *question)
{
    uint64_t hash = question->key.hash;
    uint64_t least_us = serve_waiting(s, question)->has_stale ? FAILURE_STALE_US : 0;
    switch (question->state) {
    case QUESTION_UNREACHABLE:
        failure_add_gone(&s->failures, hash, question->recoveries, now_us);
        break;
    case QUESTION_REFUSED:
        failure_add(&s->failures, hash, question->rcode, false, question->recoveries, least_us,
                    now_us);
        break;
    case QUESTION_SILENT:
        failure_add(&s->failures, hash, RCODE_SERVFAIL, true, question->recoveries, least_us,
                    now_us);
        break;
    default:
        break;
    }
}

static void ended(struct serve *s, uint64_t now_us, struct question *question)
{
    struct waiting *waiting = serve_waiting(s, question);
    // Of a probe, which may be asked at a worker that is not its name's home, nothing is kept.
    if (question->probe) {
        serve_tell(s, question);
        return;
    }
    if (serve_goes_on(s, now_us, question))
        return;
    wheel_stop(&s->forward.wheel, &waiting->patience);
    if (question->state == QUESTION_ANSWERED) {
        serve_keep(s, now_us, question);
        failure_forget(&s->failures, question->key.hash);
    } else {
        failure_keep(s, now_us, question);
    }
    waiting->tell_stale = question_has_failed(question) && waiting->has_stale;
    serve_tell(s, question);
}

void serve_ended_process(struct serve *s, uint64_t now_us)
{
    struct forward *f = &s->forward;
    struct question *question;
    for (;;) {
        while ((question = forward_next_hopeless(f)))
            serve_patience_hasten(s, now_us, question);
        question = forward_next_ended(f);
        if (!question)
            return;
        ended(s, now_us, question);
    }
}

bool serve_in_hand_process(struct serve *s, uint64_t now_us)
{
    struct question *question = forward_next_in_hand(&s->forward);
    if (!question)
        return false;
    ended(s, now_us, question);
    return true;
}
