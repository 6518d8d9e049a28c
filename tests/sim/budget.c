// SPDX-License-Identifier: MIT
#include "tests/sim/sim.h"

// How much workers ask. A send beyond the first of its question needs a reason:
//
//   forced  a reply asked for it (truncated, a failure, EDNS, a cookie), a forger guesses, the
//           network reports it undeliverable, or a connection has ended
//   probe   its server is taken for dead; those keep a pace for each server
//   free    the question has waited so long that its pace alone bounds it
//   relief  its first to a server that the question has not been sent to, as the one that has it is
//           silent to all
//   budget  all others: SENDS_AT_START and one for every BUDGET_SEND questions, and one for each
//           send that proved to be lost: not answered in time, while a later one was; besides that,
//           for copies to untrusted upstreams, COPIES_AT_START and one for every BUDGET_SEND

enum {
    SENDS_AT_START = 48,
    COPIES_AT_START = 16,
    FREE_US = 400000,
    LOST_US = 200000, // before which no send is given up
    PROBE_MIN_US = 100000,
    PROBE_MAX_US = 1000000,
    PROBE_SHARE = 32,
    SLACK_US = 1000,
};

static uint32_t lost_count(const struct sim *sim, unsigned worker)
{
    const struct node *node = &sim->nodes[worker];
    uint32_t count = 0;
    for (uint32_t i = 0; i < sim->sent_count; i++) {
        const struct sent *sent = &sim->sent[i];
        bool in_time = sent->answered_us != NEVER && sent->answered_us < sent->at_us + LOST_US;
        count += sent->worker == worker && !sent->tcp && !in_time &&
                 node->heard[sent->server].reply_sent_us >= sent->at_us;
    }
    return count;
}

static void pace_check(struct sim *sim, const struct sent *sent)
{
    struct heard *heard = &sim->nodes[sent->worker].heard[sent->server];
    if (heard->dead_us + SLACK_US > sim->now_us)
        return; // it was alive when this was decided
    uint64_t pause_us = (heard->probe_us - heard->dead_us) / PROBE_SHARE;
    pause_us = pause_us > PROBE_MIN_US ? pause_us : PROBE_MIN_US;
    pause_us = pause_us < PROBE_MAX_US ? pause_us : PROBE_MAX_US;
    if (heard->probe_us && sim->now_us + SLACK_US < heard->probe_us + pause_us)
        sim_fail(sim, "worker %u tries server %u %llu us after it did so last", sent->worker,
                 sent->server, (unsigned long long)(sim->now_us - heard->probe_us));
    heard->probe_us = sim->now_us;
}

// Was the question last sent to one that has been silent to three sends or more?
static bool relieved(const struct sim *sim, const struct sent *sent, const struct asking *asking)
{
    unsigned before = asking->last_server, count = 0;
    const struct heard *heard = &sim->nodes[sent->worker].heard[before];
    if (asking->sends[sent->server] > 1 || sent->tcp)
        return false;
    for (uint32_t i = 0; i < sim->sent_count; i++) {
        const struct sent *other = &sim->sent[i];
        count += other->worker == sent->worker && other->server == before && !other->tcp &&
                 other->answered_us == NEVER && other->at_us >= heard->reply_sent_us;
    }
    return count >= UPSTREAM_OVERDUE_DEAD;
}

void budget_sent(struct sim *sim, const struct sent *sent, struct asking *asking)
{
    struct node *node = &sim->nodes[sent->worker];
    if (!sent->tcp && node->heard[sent->server].dead) {
        pace_check(sim, sent);
        return;
    }
    if (asking->last_send_us == 0)
        return;
    if (asking->credits > 0) {
        asking->credits--;
        return;
    }
    if (sim->now_us >= asking->last_send_us + FREE_US || relieved(sim, sent, asking))
        return;
    node->budgeted++;
    uint64_t units = (uint64_t)(SENDS_AT_START + COPIES_AT_START) * BUDGET_SEND + 2 * node->began;
    uint64_t taken = (uint64_t)node->budgeted * BUDGET_SEND;
    if (taken > units && taken > units + (uint64_t)lost_count(sim, sent->worker) * BUDGET_SEND)
        sim_fail(sim, "worker %u has sent %u times without a reason, %u questions, %u lost",
                 sent->worker, node->budgeted, node->began, lost_count(sim, sent->worker));
}
