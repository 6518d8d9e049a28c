// SPDX-License-Identifier: MIT
#include "core/forward/probe.h"

// SOA probes. A probe is sent once, only to the upstreams that it is about, and ends with a reply
// or when its time has passed; a later reply counts all the same. Its key is one that no client's
// question can have, so a client's query for the same SOA neither joins it nor prevents it.

enum {
    PROBES_AT_ONCE = 2, // upstreams that one asks
    PROBE_US = 90000,   // for which it waits at least
    PROBES_SHARE = 64,  // one place of the table in so many may be a probe's
};

// A probe over TCP takes longer than one over UDP, which must not wait for it: CD makes it another
// question.
static struct question *probe_add(struct forward *f, const struct zone *zone,
                                  enum transport transport)
{
    struct key key;
    key_of_name(&key, &zone->settings->zone, TYPE_SOA, f->config.key_seed);
    key_change(&key, TYPE_SOA,
               (uint8_t)(KEY_PROBE | (transport_has_connections(transport) ? KEY_CD : 0)));
    if (f->probe_count > f->questions.size / PROBES_SHARE || question_find(&f->questions, &key))
        return NULL;
    struct question *probe = question_add(&f->questions, &key);
    if (!probe)
        return NULL;
    f->probe_count++;
    probe->zone = zone;
    probe->probe = true;
    probe->kind = KIND_PROBE;
    return probe;
}

// How long an upstream may take to reply.
static uint64_t patience_us(const struct upstream *u, enum transport transport)
{
    uint64_t tail_us = u->latency.total > 0 ? 2 * (uint64_t)upstream_early_us(u) : 0;
    if (transport_has_connections(transport) || tail_us > QUESTION_TCP_US)
        return QUESTION_TCP_US;
    return tail_us > PROBE_US ? tail_us : PROBE_US;
}

// Sends it to those that are due over this transport. Returns how long they may take.
static uint64_t probe_send(struct forward *f, uint64_t now_us, struct question *probe,
                           enum transport transport)
{
    uint64_t wait_us = 0;
    for (unsigned i = 0; i < PROBES_AT_ONCE; i++) {
        int choice = upstream_probe(probe->zone, f->upstreams, transport, now_us);
        if (choice < 0 || !attempt_ask_over(f, now_us, probe, choice, transport))
            break;
        forward_count(f, COUNTER_upstream_probes);
        uint64_t us = patience_us(&f->upstreams[probe->zone->upstreams[choice]], transport);
        wait_us = us > wait_us ? us : wait_us;
    }
    return wait_us;
}

static void probe_over(struct forward *f, uint64_t now_us, const struct zone *zone,
                       enum transport transport)
{
    if (!upstream_probe_due(zone, f->upstreams, transport, now_us))
        return;
    struct question *probe = probe_add(f, zone, transport);
    if (!probe)
        return;
    probe->started_us = now_us;
    probe->recoveries = f->recoveries;
    if (f->config.random_case)
        rng_bytes(&f->rng, probe->name_case.bits, (key_name_len(&probe->key) + 7u) / 8);
    probe->deadline_us = now_us + probe_send(f, now_us, probe, transport);
    if (probe->attempts)
        question_wait_until(f, probe, probe->deadline_us);
    else
        question_finish(f, now_us, probe, QUESTION_SILENT);
}

void probe_start(struct forward *f, uint64_t now_us, const struct zone *zone)
{
    probe_over(f, now_us, zone, TRANSPORT_UDP);
    if (upstream_all_dead(zone, f->upstreams))
        probe_over(f, now_us, zone, TRANSPORT_TCP);
}

void probe_due(struct forward *f, uint64_t now_us, struct question *probe)
{
    for (struct attempt *a = probe->attempts; a; a = a->next) {
        struct upstream *u = &f->upstreams[a->upstream];
        if (a->sent_us == 0 || a->refused)
            continue;
        a->overdue = true;
        if (attempt_has_connection(a))
            upstream_tcp_overdue(u, a->sent_us);
        else
            upstream_overdue(u, KIND_PROBE, a->sent_us, now_us);
    }
    upstreams_age(probe->zone, f->upstreams, now_us);
    question_finish(f, now_us, probe, QUESTION_SILENT);
}
