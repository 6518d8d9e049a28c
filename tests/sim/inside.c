// SPDX-License-Identifier: MIT
// The simulator inspects a worker's state, which no other code outside of core/serve does.
#include "core/serve/state.h"

#include "tests/sim/sim.h"

// Whether the tables hold together: each thing stands where the others say it does, nothing is
// counted wrongly, nothing is lost. The numbers of attempts and shares are
// core/forward/question_table.c's.

enum { ATTEMPTS_PER_QUESTION = 4, SHARES_PER_QUESTION = 8 };

const struct forward *inside_forward(const struct serve *serve)
{
    return &serve->forward;
}

const struct question *inside_told(const struct serve *serve)
{
    return serve->told;
}

uint32_t inside_slot(const struct serve *serve, const struct question *question)
{
    return (uint32_t)(question - (const struct question *)serve_tables(serve));
}

const struct waiting *inside_waiting(const struct serve *serve, const struct question *question)
{
    return serve_waiting(serve, question);
}

bool inside_fails(const struct serve *serve, uint64_t hash)
{
    const struct failure_table *table = &serve->failures;
    for (uint32_t i = 0; i < 4 * table->bucket_count; i++) {
        if (table->entries[i].hash == hash)
            return true;
    }
    return false;
}

struct count {
    uint32_t questions, waiters, attempts;
    uint32_t charged; // attempts
    uint32_t in_flight[ZONE_TABLE_UPSTREAMS_MAX];
    uint32_t at_ports, at_streams;
};

static const char *attempt_check(const struct forward *f, const struct attempt *a, struct count *n)
{
    n->attempts++;
    n->charged += a->share != SHARE_NONE;
    bool sent = a->sent_us != 0;
    if (sent + a->queued + a->deferred != 1 || (a->deferred && !attempt_has_connection(a)))
        return "an attempt is not one of sent, queued and held";
    n->in_flight[a->upstream] += sent;
    if (a->slot == UINT16_MAX)
        return "an attempt has no port";
    const struct attempt *at;
    if (attempt_has_connection(a)) {
        n->at_streams++;
        at = f->connections.slots[a->slot].attempts;
    } else {
        n->at_ports++;
        at = f->source_ports.slots[a->slot].attempts;
    }
    while (at && at != a)
        at = at->next_at_slot;
    return at ? NULL : "an attempt does not stand at its port";
}

static const char *pending_check(const struct forward *f, const struct question *p, struct count *n)
{
    uint32_t waiters = 0;
    n->questions++;
    for (const struct asker *a = p->askers; a; a = a->next)
        waiters++;
    n->waiters += waiters;
    if (waiters != p->asker_count)
        return "a question's waiters are counted wrongly";
    for (const struct attempt *a = p->attempts; a; a = a->next) {
        const char *why = a->question == p ? attempt_check(f, a, n) : "an attempt is another's";
        if (why)
            return why;
    }
    return NULL;
}

static const char *orphans_check(const struct forward *f, struct count *n)
{
    const struct attempt *before = NULL;
    for (const struct attempt *a = f->questions.oldest_orphan; a; before = a, a = a->next) {
        if (a->question || a->before != before || !timer_running(&a->timer) || a->queued)
            return "an orphan is not alone, out of order, or without a timer";
        const char *why = attempt_check(f, a, n);
        if (why)
            return why;
    }
    return before == f->questions.youngest_orphan ? NULL : "the youngest orphan is another";
}

static const char *ports_check(const struct forward *f, const struct count *n)
{
    uint32_t attempts = 0, open = 0;
    for (uint16_t i = 0; i < f->source_ports.size; i++) {
        open += f->source_ports.slots[i].open;
        for (const struct attempt *a = f->source_ports.slots[i].attempts; a; a = a->next_at_slot) {
            attempts++;
            if (!f->source_ports.slots[i].open || a->slot != i || attempt_has_connection(a) ||
                a->upstream != f->source_ports.slots[i].upstream)
                return "a source port has an attempt that is not its own";
        }
    }
    if (open + f->source_ports.free_count != f->source_ports.size || attempts != n->at_ports)
        return "source ports or their attempts are counted wrongly";
    return NULL;
}

static const char *streams_check(const struct forward *f, const struct count *n)
{
    uint32_t attempts = 0, open = 0, closing = 0;
    for (uint16_t i = 0; i < f->connections.size; i++) {
        const struct connection *connection = &f->connections.slots[i];
        uint32_t here = 0, held = 0;
        open += connection->open;
        closing += connection->closing;
        for (const struct attempt *a = connection->attempts; a; a = a->next_at_slot) {
            here++;
            held += a->deferred;
            if (!connection->open || connection->closing || a->slot != i ||
                !attempt_has_connection(a) || a->upstream != connection->upstream)
                return "a connection has an attempt that is not its own";
        }
        if (here != connection->in_flight || held != connection->deferred ||
            here > CONNECTION_IN_FLIGHT)
            return "a connection's attempts are counted wrongly";
        attempts += here;
    }
    if (open != f->connections.open_count || closing != f->connections.closing_count ||
        attempts != n->at_streams)
        return "connections or their attempts are counted wrongly";
    return NULL;
}

static const char *refreshes_check(const struct serve *s)
{
    const struct refresh_table *table = &s->refreshes;
    uint32_t noted = 0, left = 0;
    for (uint32_t i = 0; i <= table->chain_mask; i++) {
        for (const struct refresh *r = table->chains[i]; r; r = r->next) {
            noted++;
            if (!timer_running(&r->timer) || (r->key.hash & table->chain_mask) != i)
                return "an entry of the refresh table has no timer or is in a wrong chain";
        }
    }
    for (const struct refresh *r = table->free; r; r = r->next)
        left++;
    return noted + left == table->chain_mask + 1 ? NULL : "entries of the refresh table are lost";
}

static const char *free_check(const struct question_table *table,
                              const struct waiter_table *waiting, const struct count *n)
{
    uint32_t questions = 0, waiters = 0, attempts = 0, held = 0, apart = 0;
    for (const struct question *p = table->free; p; p = p->next)
        questions++;
    for (const struct waiter *w = waiting->free; w; w = (const struct waiter *)w->asker.next)
        waiters++;
    for (const struct attempt *a = table->free_attempts; a; a = a->next)
        attempts++;
    for (uint32_t i = 0; i < SHARES_PER_QUESTION * table->size; i++) {
        held += table->shares.shares[i].held;
        apart += table->shares.shares[i].apart;
    }
    if (n->questions != table->count || n->questions + questions != table->size)
        return "questions are counted wrongly";
    if (n->waiters != table->asker_count || held != n->waiters ||
        n->waiters + waiters != QUESTION_ASKERS * table->size)
        return "waiting clients are counted wrongly";
    if (n->attempts + attempts != ATTEMPTS_PER_QUESTION * table->size)
        return "attempts are lost";
    return apart == n->charged ? NULL : "attempts are charged wrongly";
}

const char *inside_check(const struct serve *s)
{
    const struct forward *f = &s->forward;
    struct count n = {0};
    const char *why = NULL;
    uint32_t open = 0;
    for (const struct question *p = f->questions.oldest; p && !why; p = p->younger) {
        why = pending_check(f, p, &n);
        open++;
        if (!why && (!question_is_open(p) || !timer_running(&p->timer)))
            why = "a question has ended and can be joined, or has no timer";
    }
    for (const struct question *p = s->told; p && !why; p = serve_waiting(s, p)->next_told) {
        if (!question_is_open(p))
            why = p->attempts ? "a question has ended and has attempts" : pending_check(f, p, &n);
    }
    if (!why && (open != f->questions.open_count || f->ended || f->hopeless))
        why = "open questions are counted wrongly";
    if (!why)
        why = orphans_check(f, &n);
    if (!why)
        why = ports_check(f, &n);
    if (!why)
        why = streams_check(f, &n);
    if (!why)
        why = free_check(&f->questions, &s->waiters, &n);
    if (!why)
        why = refreshes_check(s);
    for (size_t i = 0; i < f->config.zone_table->upstream_count && !why; i++) {
        if (f->upstreams[i].in_flight != n.in_flight[i])
            why = "what is in flight to an upstream is counted wrongly";
    }
    return why;
}
