// SPDX-License-Identifier: MIT
#include "tests/sim/sim.h"

#include <stdlib.h>

// What workers ask of upstreams. Which questions a worker has is looked up inside of it after each
// verb, as nothing outside shows when one without clients begins and ends; all that is then sent is
// held against what is known of the question from outside.

enum {
    LOOKS_PER_CHECK = 16,
    TABLES_CHECK_MAX = 64,
    EARLY_US = 10000,
    SILENCE_US = 250000,
    SLOW_US = 1500000, // that answers of a slow server may take
    FAIL_TAKES_US = 5000000
};

// --- questions that begin and end --------------------------------------------------------------

static bool name_is(const struct sim *sim, unsigned n, const uint8_t *name, size_t len)
{
    const struct strict_name *known = &sim->names[n].name;
    return known->len == len && memcmp(known->bytes, name, len) == 0;
}

static int name_index(const struct sim *sim, const uint8_t *name, size_t len)
{
    for (unsigned n = 0; n < sim->params.names; n++) {
        if (name_is(sim, n, name, len))
            return (int)n;
    }
    for (unsigned z = 0; z < sim->params.zones; z++) {
        if (name_is(sim, NAMES_MAX + z, name, len))
            return (int)(NAMES_MAX + z);
    }
    return -1;
}

int asking_question(const struct sim *sim, const uint8_t *key, size_t len)
{
    unsigned type = (unsigned)(key[0] << 8 | key[1]);
    int name = name_index(sim, key + KEY_HEAD_LEN, len - KEY_HEAD_LEN);
    for (int t = 0; name >= 0 && t < TYPES_MAX; t++) {
        if (sim->types[t] == type)
            return (name * TYPES_MAX + t) * FLAGS_MAX + key[4] % FLAGS_MAX;
    }
    return -1;
}

unsigned asking_home(const struct sim *sim, const struct asking *asking)
{
    return cache_shard_of(&sim->cache, asking->hash) % sim->params.workers;
}

// A refresh is for what was asked for three times in its life, and comes near its end.
static const char *refresh_check(const struct sim *sim, const struct kept *kept,
                                 const struct question *question)
{
    uint64_t life_s = kept->expiry_s - kept->birth_s, now_s = sim->now_us / 1000000;
    uint64_t lead_us = life_s * 1000000 / REFRESH_SHARE;
    lead_us = lead_us < REFRESH_LEAD_MIN_US ? REFRESH_LEAD_MIN_US : lead_us;
    lead_us = lead_us > REFRESH_LEAD_MAX_US ? REFRESH_LEAD_MAX_US : lead_us;
    // What becomes popular in its last moment may be over when its worker comes to it, which
    // another worker may have had to tell.
    uint64_t due_us = kept->expiry_s * 1000000 - lead_us;
    uint64_t told_us = worker_patience(sim, kept->popular_us + sim->params.handed_us);
    due_us = kept->popular_us > due_us ? told_us : due_us;
    if (!sim->settings.cache_prefetch)
        return "is refreshed though that is turned off";
    // Else it has expired by then only where the clock has leapt.
    if (!kept->served || (now_s >= kept->expiry_s && sim->now_us > worker_patience(sim, due_us)))
        return "is refreshed, and there is nothing that lives";
    if (kept->hasty)
        return NULL;
    if (kept->hits < REFRESH_HITS)
        return "is refreshed without having been asked for three times";
    if (sim->now_us + lead_us < kept->expiry_s * 1000000)
        return "is refreshed too early";
    return question->asker_count > 0 ? "is refreshed, and clients wait for it" : NULL;
}

static bool failure_surely_kept(const struct sim *sim, const struct node *node, uint64_t hash)
{
    uint64_t buckets = sim->params.pending_max * 2 / 4;
    buckets = buckets ? buckets : 1;
    return node->failures[((hash & UINT32_MAX) * buckets) >> 32] <= 4;
}

static void begins(struct sim *sim, unsigned worker, const struct question *question, uint32_t slot)
{
    struct node *node = &sim->nodes[worker];
    int number = asking_question(sim, question->key.bytes, question->key.len);
    if (number < 0 || sim->asking_count == ASKINGS_MAX) {
        sim_fail(sim,
                 number < 0 ? "worker %u has a question that no client asked"
                            : "the simulator's table of askings is full, at worker %u",
                 worker);
        return;
    }
    struct topic *q = &sim->questions[number];
    bool refresh = inside_waiting(node->serve, question)->refresh;
    const char *why = refresh ? refresh_check(sim, &q->kept, question) : NULL;
    bool kept = q->kept.served && question->started_us / 1000000 < q->kept.expiry_s;
    bool plain = !refresh && !question->probe;
    bool fails = sim->now_us < q->fail_until_us &&
                 (!q->fail_network || q->fail_recoveries == node->forward->recoveries);
    if (q->asking && plain)
        why = "is asked twice at a time";
    else if (!question->probe && fails && failure_surely_kept(sim, node, question->key.hash))
        why = "is asked again though it failed a moment ago";
    else if (plain && kept && memory_whole(sim))
        why = "is asked though its answer lives";
    if (why)
        sim_fail(sim, "%s %s", sim_question_text(sim, (uint32_t)number), why);
    sim_trace(sim, "worker %u begins to ask%s: %s", worker,
              refresh           ? " again"
              : question->probe ? " for a sign of life"
                                : "",
              sim_question_text(sim, (uint32_t)number));
    sim->tally.refreshes += refresh;
    node->began++;
    node->slot_asking[slot] = ++sim->asking_count;
    // Of a probe, which may be at another worker than others who ask for an SOA, only that one
    // knows.
    if (!question->probe)
        q->asking = sim->asking_count;
    sim->askings[sim->asking_count - 1] = (struct asking){
        .hash = question->key.hash,
        .question = (uint32_t)number,
        .began_us = question->started_us,
        .worker = (uint8_t)worker,
        .refresh = refresh,
        .probe = question->probe,
    };
}

// Remembers a failure as RFC 9520 3.2 and core/forward/failure.h have it.
static void fails(const struct sim *sim, struct node *node, struct topic *q,
                  const struct question *question)
{
    uint64_t lasts_us = FAILURE_MIN_US;
    uint64_t least_us = inside_waiting(node->serve, question)->has_stale ? FAILURE_STALE_US : 0;
    if (q->fail_until_us && sim->now_us < q->fail_until_us + q->fail_lasts_us + FAIL_TAKES_US)
        lasts_us = 2 * q->fail_lasts_us;
    lasts_us = lasts_us < FAILURE_MAX_US ? lasts_us : FAILURE_MAX_US;
    if (!q->fail_counted) {
        uint64_t buckets = sim->params.pending_max * 2 / 4;
        node->failures[((question->key.hash & UINT32_MAX) * (buckets ? buckets : 1)) >> 32]++;
    }
    bool gone = question->state == QUESTION_UNREACHABLE;
    if (gone)
        lasts_us = FAILURE_MIN_US;
    q->fail_counted = true;
    q->fail_lasts_us = lasts_us;
    q->fail_until_us = sim->now_us + (gone                  ? FAILURE_GONE_US
                                      : lasts_us > least_us ? lasts_us
                                                            : least_us);
    bool refused = question->state == QUESTION_REFUSED;
    q->fail_rcode = refused ? question->rcode : RCODE_SERVFAIL;
    q->fail_network = !refused;
    q->fail_recoveries = question->recoveries;
}

// Has a server been silent to it for as long as any may take?
static bool was_silent(const struct sim *sim, const struct node *node, uint32_t slot)
{
    for (uint32_t i = sim->sent_count; i-- > 0;) {
        const struct sent *sent = &sim->sent[i];
        if (sent->asking == node->slot_asking[slot] - 1 && sent->answered_us == NEVER &&
            sent->at_us + SLOW_US <= sim->now_us)
            return true;
    }
    return false;
}

static void ends(struct sim *sim, unsigned worker, const struct question *question, uint32_t slot)
{
    static const char *const texts[] = {"goes on", "is answered", "has failed", "is given up"};
    struct node *node = &sim->nodes[worker];
    struct asking *asking = &sim->askings[node->slot_asking[slot] - 1];
    struct topic *q = &sim->questions[asking->question];
    asking->ended_us = sim->now_us;
    asking->rcode = question->rcode;
    asking->heard_rcode = question->rcode != RCODE_NOERROR;
    if (q->asking == node->slot_asking[slot]) {
        q->ended = q->asking;
        q->asking = 0;
    }
    if (question->state == QUESTION_ANSWERED) {
        asking->end = ASKING_ANSWERED;
        if (!asking->probe)
            q->fail_until_us = 0;
        if (!asking->answer)
            sim_fail(sim, "%s is answered without a reply",
                     sim_question_text(sim, asking->question));
    } else if (question->state == QUESTION_ABANDONED) {
        asking->end = ASKING_ABANDONED;
    } else {
        asking->end = ASKING_FAILED;
        if (!asking->probe && question->state != QUESTION_UNASKED)
            fails(sim, node, q, question);
        else if (!asking->probe && !question->truncated && !question->tcp_only &&
                 !question->apart && was_silent(sim, node, slot))
            sim_fail(sim, "%s is not remembered, though a server was silent to it",
                     sim_question_text(sim, asking->question));
    }
    sim_trace(sim, "%s %s", sim_question_text(sim, asking->question), texts[asking->end]);
}

// Is each upstream of the zone dead because the network has said so?
static bool zone_gone(const struct sim *sim, unsigned worker, const struct zone *zone)
{
    const struct upstream *upstreams = sim->nodes[worker].forward->upstreams;
    for (int i = 0; i < zone->upstream_count; i++) {
        if (!upstreams[zone->upstreams[i]].gone)
            return false;
    }
    return true;
}

static void goes_on(struct sim *sim, struct asking *asking, const struct question *question)
{
    asking->gone |= zone_gone(sim, asking->worker, question->zone);
    if (question->tcp_only && !asking->tcp_only)
        asking->credits++;
    asking->tcp_only = question->tcp_only;
    asking->released |= asking->apart && !question->apart;
    asking->apart = question->apart;
    uint64_t end_us = asking->began_us + (asking->probe ? PROBE_US : DEADLINE_US);
    if (sim->now_us > worker_patience(sim, end_us))
        sim_fail(sim, "%s is still asked %llu us after it began",
                 sim_question_text(sim, asking->question),
                 (unsigned long long)(sim->now_us - asking->began_us));
}

// Is there a reason to take this server for dead? What the network said, silence to the first that
// it was ever asked, or to three in a row for a while, with a question of our own among them.
static bool silent(const struct sim *sim, unsigned worker, unsigned server)
{
    const struct heard *heard = &sim->nodes[worker].heard[server];
    unsigned count = 0;
    bool long_ago = false, probed = false;
    if (heard->gone)
        return true;
    for (uint32_t i = sim->sent_count; i-- > 0;) {
        const struct sent *sent = &sim->sent[i];
        if (sent->worker != worker || sent->server != server || sent->tcp ||
            sent->answered_us != NEVER || sent->at_us < heard->reply_sent_us ||
            sent->at_us + EARLY_US > sim->now_us)
            continue;
        count++;
        long_ago |= sent->at_us + SILENCE_US <= sim->now_us;
        probed |= sent->probe;
    }
    return heard->answers == 0 ? count > 0 : count >= 3 && long_ago && probed;
}

static void deaths_look(struct sim *sim, unsigned worker)
{
    struct node *node = &sim->nodes[worker];
    for (unsigned i = 0; i < sim->params.servers; i++) {
        struct heard *heard = &node->heard[i];
        int upstream = sim->servers[i].upstream;
        bool dead = upstream >= 0 && node->forward->upstreams[upstream].health == UPSTREAM_DEAD;
        if (dead && !heard->dead) {
            heard->dead_us = sim->now_us;
            heard->probe_us = 0;
            sim_trace(sim, "worker %u takes server %u for dead", worker, i);
            if (!silent(sim, worker, i))
                sim_fail(sim, "worker %u takes server %u for dead without a reason", worker, i);
        }
        heard->dead = dead;
    }
}

void asking_look(struct sim *sim, unsigned worker)
{
    struct node *node = &sim->nodes[worker];
    bool seen[PENDING_MAX] = {false};
    const struct question *question;
    for (question = inside_told(node->serve); question && !sim->failed;
         question = inside_waiting(node->serve, question)->next_told) {
        uint32_t slot = inside_slot(node->serve, question);
        if (question_is_open(question))
            continue;
        seen[slot] = true;
        if (!node->slot_asking[slot])
            begins(sim, worker, question, slot);
        if (node->slot_asking[slot] && !sim->askings[node->slot_asking[slot] - 1].end)
            ends(sim, worker, question, slot);
    }
    for (question = node->forward->questions.oldest; question && !sim->failed;
         question = question->younger) {
        uint32_t slot = inside_slot(node->serve, question);
        seen[slot] = true;
        if (!node->slot_asking[slot])
            begins(sim, worker, question, slot);
        if (node->slot_asking[slot])
            goes_on(sim, &sim->askings[node->slot_asking[slot] - 1], question);
    }
    for (uint32_t slot = 0; slot < sim->params.pending_max; slot++) {
        if (!seen[slot] && node->slot_asking[slot] &&
            !sim->askings[node->slot_asking[slot] - 1].end)
            sim_fail(sim, "worker %u has lost a question", worker);
        if (!seen[slot])
            node->slot_asking[slot] = 0;
    }
    if (node->forward->questions.open_count > node->open_most)
        node->open_most = node->forward->questions.open_count;
    deaths_look(sim, worker);
    if (++node->looks % LOOKS_PER_CHECK == 0 && sim->params.pending_max <= TABLES_CHECK_MAX) {
        const char *why = inside_check(node->serve);
        if (why)
            sim_fail(sim, "worker %u: %s", worker, why);
    }
}

uint32_t asking_of_client(const struct sim *sim, unsigned worker, uint32_t question,
                          uint32_t number)
{
    const struct node *node = &sim->nodes[worker];
    const struct question *lists[] = {node->forward->questions.oldest, inside_told(node->serve)};
    for (unsigned i = 0; i < 2; i++) {
        for (const struct question *p = lists[i]; p;
             p = i ? inside_waiting(node->serve, p)->next_told : p->younger) {
            uint32_t asking = node->slot_asking[inside_slot(node->serve, p)];
            if (!asking || sim->askings[asking - 1].question != question)
                continue;
            for (const struct asker *a = p->askers; a; a = a->next) {
                if (((const struct waiter *)a)->client.listener == number)
                    return asking;
            }
        }
    }
    return 0;
}

// --- source ports ------------------------------------------------------------------------------

static int server_of(const struct sim *sim, const struct address *address)
{
    for (unsigned i = 0; i < sim->params.servers; i++) {
        if (address_equal(&sim->servers[i].address, address))
            return (int)i;
    }
    return -1;
}

static bool number_taken(const struct sim *sim, uint16_t number)
{
    return sim->ports_taken[number / 64] >> number % 64 & 1;
}

static void number_flip(struct sim *sim, uint16_t number)
{
    sim->ports_taken[number / 64] ^= (uint64_t)1 << number % 64;
}

void asking_open(struct sim *sim, unsigned worker, const struct outgoing *out)
{
    struct node *node = &sim->nodes[worker];
    struct slot *slot = &node->slots[out->slot];
    int server = server_of(sim, &out->upstream->address);
    sim->tally.opens++;
    if (slot->state != SLOT_FREE || out->source_port < 1024 || server < 0) {
        sim_fail(sim, "worker %u opens port %u wrongly: number %u, server %d, state %u", worker,
                 out->slot, out->source_port, server, slot->state);
        return;
    }
    slot->state = SLOT_FAILED;
    if (number_taken(sim, out->source_port) || dice_chance(&sim->dice, sim->params.refuse_pm)) {
        sim_trace(sim, "worker %u cannot open port %u (%u)", worker, out->slot, out->source_port);
        sim->tally.refusals++;
        serve_source_port_refused(node->serve, sim->now_us, out->slot);
    } else if (dice_chance(&sim->dice, sim->params.connect_fail_pm)) {
        sim_trace(sim, "worker %u cannot connect port %u", worker, out->slot);
        sim->tally.unreachables++;
        node->heard[server].gone = true;
        serve_unreachable(node->serve, sim->now_us, out->slot);
    } else {
        sim_trace(sim, "worker %u opens port %u (%u) to server %d", worker, out->slot,
                  out->source_port, server);
        slot->state = SLOT_OPEN;
        slot->generation++;
        slot->number = out->source_port;
        slot->server = (uint8_t)server;
        slot->sent_count = 0;
        number_flip(sim, slot->number);
    }
    asking_look(sim, worker);
}

void asking_close(struct sim *sim, unsigned worker, uint16_t port)
{
    struct slot *slot = &sim->nodes[worker].slots[port];
    sim_trace(sim, "worker %u closes port %u", worker, port);
    sim->tally.closes++;
    if (slot->state == SLOT_FREE)
        sim_fail(sim, "worker %u closes port %u, which is not open", worker, port);
    if (slot->state == SLOT_OPEN)
        number_flip(sim, slot->number);
    slot->state = SLOT_FREE;
}

void asking_connect(struct sim *sim, unsigned worker, const struct outgoing *out)
{
    struct node *node = &sim->nodes[worker];
    int server = server_of(sim, &out->upstream->address);
    sim->tally.connects++;
    if (server < 0 || node->wires[out->slot].open) {
        sim_fail(sim, "worker %u opens connection %u wrongly, to server %d", worker, out->slot,
                 server);
        return;
    }
    sim_trace(sim, "worker %u opens connection %u to server %d", worker, out->slot, server);
    if (!dice_chance(&sim->dice, sim->params.connect_fail_pm)) {
        tcp_connect(sim, worker, out->slot, (unsigned)server);
        return;
    }
    sim->tally.ends++;
    serve_closed(node->serve, sim->now_us, out->slot);
    asking_look(sim, worker);
}

void asking_disconnect(struct sim *sim, unsigned worker, uint16_t slot)
{
    sim_trace(sim, "worker %u closes connection %u", worker, slot);
    if (!sim->nodes[worker].wires[slot].open)
        sim_fail(sim, "worker %u closes connection %u, which is not open", worker, slot);
    sim->tally.disconnects++;
    asking_credit_all(sim, worker, slot, true);
    tcp_disconnect(sim, worker, slot);
}

// --- sends -------------------------------------------------------------------------------------

static const uint32_t *sends_of(const struct sim *sim, unsigned worker, uint16_t port, bool tcp,
                                unsigned *count)
{
    const struct slot *slot = &sim->nodes[worker].slots[port];
    const struct wire *wire = &sim->nodes[worker].wires[port % STREAMS_MAX];
    unsigned most = tcp ? WIRE_SENDS_MAX : PORT_SENDS_MAX;
    *count = tcp ? wire->sent_count : slot->sent_count;
    *count = *count < most ? *count : most;
    return tcp ? wire->sent : slot->sent;
}

uint32_t asking_sent_find(const struct sim *sim, unsigned worker, uint16_t port, bool tcp,
                          uint16_t id)
{
    unsigned count;
    const uint32_t *sends = sends_of(sim, worker, port, tcp, &count);
    uint32_t found = 0;
    for (unsigned i = 0; i < count; i++) {
        if (sim->sent[sends[i]].id == id && sends[i] + 1 > found)
            found = sends[i] + 1;
    }
    return found;
}

void asking_credit_all(struct sim *sim, unsigned worker, uint16_t port, bool tcp)
{
    unsigned count;
    const uint32_t *sends = sends_of(sim, worker, port, tcp, &count);
    for (unsigned i = 0; i < count; i++) {
        struct asking *asking = &sim->askings[sim->sent[sends[i]].asking];
        bool lost = sim->sent[sends[i]].answered_us == NEVER && !asking->end;
        asking->credits += lost;
        // What others made a connection end with does not count, within bounds.
        if (lost && tcp && asking->losses < LOSSES_MAX) {
            asking->losses++;
            asking->tcp_sends[sim->sent[sends[i]].server] -=
                asking->tcp_sends[sim->sent[sends[i]].server] > 0;
        }
    }
}

// A cookie has its own part for each server, lest they know us again by it (RFC 7873 6).
static const char *cookie_check(struct sim *sim, unsigned worker, int server, const uint8_t *option,
                                unsigned len)
{
    struct node *node = &sim->nodes[worker];
    unsigned cookie_len = len ? len - 4 : 0;
    bool cookie = len >= 12 && option[1] == 10 && option[3] == cookie_len &&
                  (cookie_len == 8 || (cookie_len >= 16 && cookie_len <= 40));
    bool objected = sim_counted(node, COUNTER_replies_edns) > 0;
    if (cookie != (len > 0) || (cookie && !sim->settings.upstream_cookies) ||
        (!cookie && sim->settings.upstream_cookies && !objected))
        return "its cookie is missing, wrong, or not wanted";
    for (unsigned i = 0; cookie && i < sim->params.servers; i++) {
        struct heard *heard = &node->heard[i];
        bool same = memcmp(heard->cookie, option + 4, 8) == 0;
        if (heard->has_cookie && same != ((int)i == server))
            return "its cookie is not that server's";
    }
    if (cookie)
        memcpy(node->heard[server].cookie, option + 4, 8);
    node->heard[server].has_cookie |= cookie;
    return NULL;
}

// Is this the question, as an upstream may be asked it? The header, the name in whatever case,
// and an OPT record with nothing but a cookie, or none where EDNS was not understood.
static const char *query_check(struct sim *sim, unsigned worker, int server, struct strict *m,
                               uint32_t question, bool plain)
{
    struct strict_record opt = {0};
    unsigned cd = m->flags[1] & 0x10 ? 2 : 0;
    if (m->counts[0] != 1 || m->counts[1] != 0 || m->counts[2] != 0 || m->counts[3] != !plain)
        return "it is not one question and one OPT record";
    if (m->flags[0] != 0x01 || (m->flags[1] & ~0x10) || m->class != 1)
        return "its header or class is wrong";
    if (!strict_equal(&question_qname(sim, question)->name, &m->question) ||
        m->type != question_type(sim, question) || cd != (question & 2))
        return "it is another question";
    if (!sim->settings.upstream_random_case &&
        memcmp(m->question.bytes, question_qname(sim, question)->name.bytes, m->question.len) != 0)
        return "it has mixed case though that is turned off";
    if (plain)
        return sim_counted(&sim->nodes[worker], COUNTER_replies_edns) > 0
                   ? NULL
                   : "it has no OPT record, and no server has rejected one";
    if (!strict_next(m, &opt) || opt.type != TYPE_OPT || strict_rest(m))
        return "it has no OPT record, or something else";
    unsigned expected = question & 1 ? 0x8000 : 0;
    if (opt.class != UPSTREAM_UDP_SIZE || opt.ttl != expected || opt.owner.len != 1)
        return "its OPT record is wrong";
    return cookie_check(sim, worker, server, m->bytes + opt.data_at, opt.data_len);
}

// A server that has failed is asked again in lower case, once but for what it says to that.
static bool lowered(const struct sim *sim, const struct asking *asking, const struct strict *m,
                    int server, bool tcp)
{
    const struct strict_name *name = &question_qname(sim, asking->question)->name;
    const struct heard *heard = &sim->nodes[asking->worker].heard[server];
    return memcmp(name->bytes, m->question.bytes, name->len) == 0 && (tcp || heard->has_cookie);
}

static const char *send_check(const struct sim *sim, unsigned worker, struct asking *asking,
                              const struct outgoing *out, const struct strict *m, bool tcp)
{
    const struct node *node = &sim->nodes[worker];
    const struct qname *qname = question_qname(sim, asking->question);
    int server = server_of(sim, &out->upstream->address);
    if (tcp && (!node->wires[out->slot].open || node->wires[out->slot].server != server))
        return "its connection is not open, or leads elsewhere";
    if (!tcp && node->slots[out->slot].state != SLOT_OPEN)
        return "its port is not open";
    if (!tcp && (node->slots[out->slot].number != out->source_port ||
                 node->slots[out->slot].server != server))
        return "its port leads elsewhere";
    if (asking->end != ASKING_OPEN || asking->worker != worker)
        return "it has ended, or another worker is its home";
    if (asking->failed >> server & 1 && !lowered(sim, asking, m, server, tcp))
        return "that server has refused or failed already";
    uint8_t *sends = tcp ? asking->tcp_sends : asking->sends;
    unsigned rounds = tcp && asking->released ? 2 : 1;
    if (++sends[server] > rounds * SENDS_PER_SERVER_MAX + (tcp ? asking->other_ways[server] : 0))
        return "that server had it three times already";
    for (unsigned i = 0; qname->zone >= 0 && i < sim->zones[qname->zone].server_count; i++) {
        if (sim->zones[qname->zone].servers[i] == server)
            return NULL;
    }
    return "the zone_table does not send it there";
}

static uint32_t sent_add(struct sim *sim, unsigned worker, const struct outgoing *out, bool tcp,
                         uint32_t asking, uint16_t id)
{
    struct node *node = &sim->nodes[worker];
    struct slot *slot = &node->slots[out->slot];
    struct wire *wire = &node->wires[out->slot % STREAMS_MAX];
    uint32_t number = sim->sent_count++;
    sim->sent[number] = (struct sent){
        .at_us = sim->now_us,
        .answered_us = NEVER,
        .asking = asking,
        .port = out->slot,
        .id = id,
        .worker = (uint8_t)worker,
        .server = (uint8_t)server_of(sim, &out->upstream->address),
        .tcp = tcp,
        .probe = sim->askings[asking].probe,
    };
    if (tcp)
        wire->sent[wire->sent_count++ % WIRE_SENDS_MAX] = number;
    else
        slot->sent[slot->sent_count++ % PORT_SENDS_MAX] = number;
    return number;
}

// Which asking it belongs to is looked up inside, as without EDNS it does not show.
static uint32_t asking_of_send(const struct sim *sim, unsigned worker, const struct outgoing *out,
                               uint16_t id, bool *plain)
{
    const struct node *node = &sim->nodes[worker];
    const struct forward *f = node->forward;
    const struct attempt *attempt = out->kind == OUTGOING_MESSAGE
                                        ? connection_find(&f->connections, out->slot, id)
                                        : source_port_find(&f->source_ports, out->slot, id);
    *plain = attempt && attempt->plain;
    return attempt && attempt->question
               ? node->slot_asking[inside_slot(node->serve, attempt->question)]
               : 0;
}

static void query_carry(struct sim *sim, unsigned worker, const struct outgoing *out,
                        const uint8_t *bytes, size_t len, uint32_t question)
{
    struct slot *slot = &sim->nodes[worker].slots[out->slot];
    if (out->kind == OUTGOING_MESSAGE) {
        tcp_send(sim, worker, out->slot, question, bytes, len);
        return;
    }
    struct event event = {
        .kind = EVENT_ASKED,
        .worker = (uint8_t)worker,
        .server = slot->server,
        .port = out->slot,
        .generation = slot->generation,
        .number = question,
        .packet = packet_make(bytes, len),
    };
    link_carry(sim, &sim->servers[slot->server].there, &event, 0);
}

void asking_send(struct sim *sim, unsigned worker, const struct outgoing *out)
{
    struct strict m;
    bool tcp = out->kind == OUTGOING_MESSAGE, plain = false;
    size_t head = tcp ? 2 : 0;
    const uint8_t *bytes = out->bytes + head;
    size_t len = out->len - head;
    sim->tally.sends += !tcp;
    sim->tally.tcp_sends += tcp;
    const char *why = strict_open(&m, bytes, len) ? NULL : m.why;
    if (tcp && (size_t)(out->bytes[0] << 8 | out->bytes[1]) != len)
        why = "the length in front is wrong";
    uint32_t number = why ? 0 : asking_of_send(sim, worker, out, m.id, &plain);
    if (!number || sim->sent_count == SENDS_MAX) {
        sim_fail(sim, "worker %u sends what it has no question for: %s", worker, why ? why : "");
        return;
    }
    struct asking *asking = &sim->askings[number - 1];
    int server = server_of(sim, &out->upstream->address);
    why = server < 0 ? "there is no such upstream" : NULL;
    if (!why)
        why = query_check(sim, worker, server, &m, asking->question, plain);
    if (!why)
        why = send_check(sim, worker, asking, out, &m, tcp);
    if (why) {
        sim_fail(sim, "worker %u sends %s to an upstream: %s", worker,
                 sim_question_text(sim, asking->question), why);
        return;
    }
    uint32_t sent = sent_add(sim, worker, out, tcp, number - 1, m.id);
    sim_trace(sim, "worker %u asks server %u from %s %u, ID %u%s: %s", worker,
              sim->sent[sent].server, tcp ? "connection" : "port", out->slot, m.id,
              plain ? ", plain" : "", sim_question_text(sim, asking->question));
    sim->tally.resends += asking->last_send_us != 0;
    budget_sent(sim, &sim->sent[sent], asking);
    asking->last_send_us = sim->now_us;
    asking->last_server = sim->sent[sent].server;
    query_carry(sim, worker, out, bytes, len, asking->question);
}
