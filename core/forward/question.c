// SPDX-License-Identifier: MIT
#include "core/forward/question.h"

#include "core/forward/subquestion.h"

// A question in the question table has not ended: it has its timer running. One that has ended is
// out of the table and has no attempts and no timer.

void question_finish(struct forward *f, uint64_t now_us, struct question *question,
                     enum question_state end)
{
    wheel_stop(&f->wheel, &question->timer);
    while (question->attempts)
        attempt_leave(f, now_us, question->attempts, end == QUESTION_ANSWERED);
    f->probe_count -= question->probe;
    question->state = (uint8_t)end;
    question_unlink(&f->questions, question);
    subquestion_leave(f, question);
    if (end != QUESTION_ANSWERED)
        subquestion_release(f, question);
    bool in_hand = question->in_hand != ANSWER_NONE;
    if (end == QUESTION_ANSWERED && !in_hand)
        f->answer_in_use = true;
    struct question ***link = in_hand ? &f->ended_in_hand_end : &f->ended_end;
    question->ending = true;
    **link = question;
    *link = &question->next_ended;
}

void question_fail(struct forward *f, uint64_t now_us, struct question *question,
                   enum question_state end)
{
    if (question->rcode != RCODE_NOERROR && end != QUESTION_ABANDONED)
        end = QUESTION_REFUSED;
    // What was asked apart for those who asked has not failed for others.
    else if (question->apart && end == QUESTION_SILENT)
        end = QUESTION_UNASKED;
    question_finish(f, now_us, question, end);
}

void question_wait_until(struct forward *f, struct question *question, uint64_t due_us)
{
    question->timer.kind = TIMER_QUESTION;
    question->state = QUESTION_ASKED;
    wheel_start(&f->wheel, &question->timer,
                due_us < question->deadline_us ? due_us : question->deadline_us);
}

bool question_is_mixed_case(const struct question *question)
{
    uint8_t name[NAME_MAX_LEN];
    size_t len = key_name_len(&question->key);
    memcpy(name, key_name(&question->key), len);
    name_case_apply(&question->name_case, name, len);
    return memcmp(name, key_name(&question->key), len) != 0;
}

bool question_has_others(const struct forward *f, uint64_t now_us, const struct question *question,
                         int choice)
{
    for (int i = 0; i < question->zone->upstream_count; i++) {
        if (i != choice && question->tcp_sends[i] == 0 && !choice_in(question->out, i) &&
            attempt_may_ask_tcp(f, now_us, question, i))
            return true;
    }
    return false;
}

// A reply over TCP is late after a while, whether or not its connection is to blame for that.
static bool is_late(const struct attempt *attempt, uint64_t now_us)
{
    return attempt->overdue || (attempt_has_connection(attempt) && attempt->sent_us != 0 &&
                                now_us - attempt->sent_us >= QUESTION_TCP_US);
}

bool question_is_expected(const struct question *question, uint64_t now_us)
{
    const struct attempt *a = question->attempts;
    while (a && (a->refused || is_late(a, now_us)))
        a = a->next;
    return a != NULL;
}

const struct attempt *question_latest(const struct question *question)
{
    const struct attempt *latest = question->attempts;
    while (latest && latest->duplicate)
        latest = latest->next;
    return latest ? latest : question->attempts;
}
