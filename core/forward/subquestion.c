// SPDX-License-Identifier: MIT
#include "core/forward/subquestion.h"

#include <assert.h>

bool subquestion_loops(const struct question *parent, const struct question *sub)
{
    unsigned depth = 0;
    for (const struct question *next = sub; next; next = next->sub) {
        if (next == parent || ++depth > SUBQUESTION_DEPTH_MAX)
            return true;
    }
    return false;
}

void subquestion_begin(struct forward *f, uint64_t now_us, struct question *parent,
                       enum subquestion what)
{
    bool ended = !question_is_open(parent);
    assert(!parent->attempts && !(parent->subquestions & what));
    parent->subquestions |= (uint8_t)what;
    parent->waits_for = (uint8_t)what;
    parent->state = QUESTION_PARENT;
    parent->apart = false;
    if (ended)
        question_link(&f->questions, parent);
    if (parent->deadline_us < now_us + SUBQUESTION_TIME_MIN_US)
        parent->deadline_us = now_us + SUBQUESTION_TIME_MIN_US;
    parent->timer.kind = TIMER_QUESTION;
    wheel_start(&f->wheel, &parent->timer, parent->deadline_us);
}

void subquestion_wait(struct forward *f, struct question *parent, struct question *sub)
{
    assert(parent->state == QUESTION_PARENT);
    parent_add(&f->questions, sub, parent);
    forward_count(f, COUNTER_subquestions);
}

void subquestion_leave(struct forward *f, struct question *parent)
{
    if (parent->sub)
        parent_remove(&f->questions, parent);
}

bool subquestion_hold(struct forward *f, uint64_t now_us, struct question *question,
                      const struct answer *answer)
{
    unsigned hash = forward_network_hash(f, &question->network) % NETWORK_SHARES;
    uint32_t blocks = answer_store_blocks(answer), held = f->networks[hash].blocks + blocks;
    assert(question->in_hand == ANSWER_NONE);
    if (!share_is_exceeded(f->answers.used, held, f->answers.size))
        question->in_hand = answer_store_put(&f->answers, answer);
    if (question->in_hand == ANSWER_NONE)
        return false;
    f->networks[hash].blocks = held;
    question->in_hand_hash = (uint8_t)hash;
    question->in_hand_us = now_us;
    return true;
}

struct question *subquestion_to_give_up(struct forward *f, const struct network *network,
                                        const struct answer *answer)
{
    uint32_t blocks = answer_store_blocks(answer);
    uint32_t own = forward_network(f, network)->blocks + blocks;
    unsigned most = 0;
    for (unsigned i = 1; i < NETWORK_SHARES; i++) {
        if (f->networks[i].blocks > f->networks[most].blocks)
            most = i;
    }
    if (blocks <= f->answers.size - f->answers.used || f->networks[most].blocks <= own)
        return NULL;
    struct question *question = f->questions.oldest;
    while (question && (question->in_hand == ANSWER_NONE || question->in_hand_hash != most))
        question = question->younger;
    return question;
}

void subquestion_release(struct forward *f, struct question *question)
{
    if (question->in_hand == ANSWER_NONE)
        return;
    struct network_share *network = &f->networks[question->in_hand_hash];
    uint32_t blocks = answer_store_drop(&f->answers, question->in_hand);
    assert(blocks <= network->blocks);
    network->blocks -= blocks;
    question->in_hand = ANSWER_NONE;
}
