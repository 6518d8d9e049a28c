// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>
#include <stdint.h>

// How many sends there may be beyond one for each question: a bucket that every question fills by a
// part of a send (a twentieth for resends, 5 %) and every extra send empties by a whole one. A send
// that was needed, as the one before it proved to be lost while the upstream answered others, is
// given back. So loss is made good in full, and an outage, in which nothing is proven, cannot
// multiply what is sent.

#define BUDGET_SEND 20u // of the bucket's units are one send

struct budget {
    uint32_t units;
    uint32_t units_max;
};

static inline void budget_init(struct budget *budget, uint32_t sends_max, uint32_t sends)
{
    budget->units_max = sends_max * BUDGET_SEND;
    budget->units = sends * BUDGET_SEND;
}

static inline void budget_give(struct budget *budget, uint32_t units)
{
    budget->units += units;
    if (budget->units > budget->units_max)
        budget->units = budget->units_max;
}

static inline bool budget_spend(struct budget *budget)
{
    if (budget->units < BUDGET_SEND)
        return false;
    budget->units -= BUDGET_SEND;
    return true;
}

// A send from both, or from neither.
static inline bool budget_spend_both(struct budget *a, struct budget *b)
{
    return a->units >= BUDGET_SEND && b->units >= BUDGET_SEND && budget_spend(a) && budget_spend(b);
}
