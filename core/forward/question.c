// SPDX-License-Identifier: MIT
#include "core/forward/question.h"

// A question in the pending table has not ended: it has its timer running. One that has ended is
// out of the table and has no attempts and no timer.

void question_finish(struct forward *f, uint64_t now_us, struct pending *pending,
                     enum pending_end end)
{
    wheel_stop(&f->wheel, &pending->timer);
    while (pending->attempts)
        attempt_leave(f, now_us, pending->attempts, end == PENDING_ANSWERED);
    f->probe_count -= pending->probe;
    pending_unlink(&f->pending, pending);
    pending->end = (uint8_t)end;
    f->answer_taken |= end == PENDING_ANSWERED;
    *f->ended_end = pending;
    f->ended_end = &pending->next_ended;
}

void question_fail(struct forward *f, uint64_t now_us, struct pending *pending)
{
    if (!pending->heard_rcode)
        pending->rcode = RCODE_SERVFAIL;
    // What was asked apart for those who asked has not failed for others.
    pending->unasked |= pending->apart && !pending->heard_rcode;
    question_finish(f, now_us, pending, PENDING_FAILED);
}

void question_wait_until(struct forward *f, struct pending *pending, uint64_t due_us)
{
    pending->timer.kind = TIMER_QUESTION;
    pending->idle = false;
    wheel_start(&f->wheel, &pending->timer,
                due_us < pending->deadline_us ? due_us : pending->deadline_us);
}

bool question_is_mixed_case(const struct pending *pending)
{
    uint8_t name[NAME_MAX_LEN];
    size_t len = key_name_len(&pending->key);
    memcpy(name, key_name(&pending->key), len);
    name_case_apply(&pending->spelling, name, len);
    return memcmp(name, key_name(&pending->key), len) != 0;
}

bool question_has_others(const struct forward *f, uint64_t now_us, const struct pending *pending,
                         int choice)
{
    for (int i = 0; i < pending->zone->upstream_count; i++) {
        if (i != choice && pending->tcp_sends[i] == 0 && !pending_has(pending->out, i) &&
            attempt_may_ask_stream(f, now_us, pending, i))
            return true;
    }
    return false;
}

// A reply over TCP is late after a while, whether or not its connection is to blame for that.
static bool is_late(const struct attempt *attempt, uint64_t now_us)
{
    return attempt->overdue || (attempt->tcp && attempt->sent_us != 0 &&
                                now_us - attempt->sent_us >= QUESTION_STREAM_US);
}

bool question_is_expected(const struct pending *pending, uint64_t now_us)
{
    const struct attempt *a = pending->attempts;
    while (a && (a->refused || is_late(a, now_us)))
        a = a->next;
    return a != NULL;
}

const struct attempt *question_latest(const struct pending *pending)
{
    const struct attempt *latest = pending->attempts;
    while (latest && latest->beside)
        latest = latest->next;
    return latest ? latest : pending->attempts;
}
