// SPDX-License-Identifier: MIT
#include "core/serve/room.h"

#include "core/forward/subquestion.h"

enum {
    SPARE_MAX = SERVE_BATCH_MAX, // places of the question table that a batch may take at once
    SPARE_SHARE = 4,             // or one part in so many of a small one
};

bool serve_room_make(struct serve *s, uint64_t now_us, const struct question *asking)
{
    struct question_table *table = &s->forward.questions;
    uint32_t spare = table->size / SPARE_SHARE < SPARE_MAX ? table->size / SPARE_SHARE : SPARE_MAX;
    if (table->open_count == 0 || table->open_count + spare < table->size)
        return true;
    struct question *question = question_to_abandon(table);
    if (question == asking)
        return false;
    serve_count(s, COUNTER_pending_abandoned);
    forward_give_up(&s->forward, now_us, question, QUESTION_ABANDONED);
    return true;
}

bool serve_hold(struct serve *s, uint64_t now_us, struct question *question,
                const struct answer *answer)
{
    struct forward *f = &s->forward;
    struct question *other;
    while (!subquestion_hold(f, now_us, question, answer)) {
        other = subquestion_to_give_up(f, &question->network, answer);
        if (!other) {
            serve_count(s, COUNTER_subquestions_full);
            return false;
        }
        serve_count(s, COUNTER_pending_abandoned);
        forward_give_up(f, now_us, other, QUESTION_ABANDONED);
    }
    return true;
}
