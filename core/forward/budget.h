// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>
#include <stdint.h>

// How many sends there may be beyond one for each question: a token bucket that each question fills
// by a part of a send (a twentieth for resends, 5 %) and each extra send empties by a whole one. A
// resend is refunded when the send before it proves lost, as the upstream answered others. So
// resends keep up with any loss, while an outage, in which nothing proves lost, cannot multiply the
// sends.

#define BUDGET_SEND 20u // units of the bucket for one send

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

// Spends a send of both, or of neither.
static inline bool budget_spend_both(struct budget *a, struct budget *b)
{
    return a->units >= BUDGET_SEND && b->units >= BUDGET_SEND && budget_spend(a) && budget_spend(b);
}
