// SPDX-License-Identifier: MIT
#include "tests/sim/sim.h"

#include <stdlib.h>

// A forger that can send in the servers' names but does not see what is sent to them. Its replies
// carry a mark in their data. It may know anything, but not everything at once: a reply that ouzel
// would be right to accept is not delivered (forged_right). The same goes for servers that lie.

static void put16(uint8_t *out, size_t *at, unsigned v)
{
    out[(*at)++] = (uint8_t)(v >> 8);
    out[(*at)++] = (uint8_t)v;
}

// Data that is well-formed for its type and holds the mark.
static size_t marked_data(uint8_t *out, uint16_t type)
{
    static const uint8_t name[] = "\10" FORGED_MARK; // its final NUL is the root
    size_t names = type == 6 ? 2 : type == 2 || type == 5 || type == 12 || type == 15 || type == 33;
    size_t at = type == 15 ? 2 : type == 33 ? 6 : 0;
    memset(out, 0, at);
    for (size_t i = 0; i < names; i++) {
        memcpy(out + at, name, sizeof name);
        at += sizeof name;
    }
    if (names == 1)
        return at;
    for (unsigned i = 0; i < 3; i++)
        memcpy(out + at + 8u * i, FORGED_MARK, 8);
    return at + (type == 6 ? 20 : type == 28 ? 16 : 8);
}

size_t forged_write(uint8_t out[static PACKET_MAX], uint16_t id, const struct strict_name *name,
                    uint16_t type, uint16_t class)
{
    size_t at = 0;
    put16(out, &at, id);
    put16(out, &at, 0x8080);
    put16(out, &at, 1);
    put16(out, &at, 1);
    put16(out, &at, 0);
    put16(out, &at, 0);
    memcpy(out + at, name->bytes, name->len);
    at += name->len;
    put16(out, &at, type);
    put16(out, &at, class);
    put16(out, &at, 0xc00c);
    put16(out, &at, type);
    put16(out, &at, class);
    put16(out, &at, 1);
    put16(out, &at, 0);
    size_t len_at = at;
    put16(out, &at, 0);
    at += marked_data(out + at, type);
    put16(out, &len_at, (unsigned)(at - len_at - 2));
    return at;
}

// A name that no client asks for, of the same length or longer by a label.
struct strict_name forged_name(struct dice *d, const struct strict_name *name)
{
    if (name->len > 1 && dice_chance(d, 500)) {
        struct strict_name same = *name;
        same.bytes[same.bytes[0]] ^= 0x80;
        return same;
    }
    struct strict_name other = {.len = 2};
    bool longer = name->len < STRICT_NAME_MAX - 2;
    other.bytes[0] = 1;
    other.bytes[1] = 'x';
    const struct strict_name *behind = longer ? name : &(struct strict_name){.len = 1};
    memcpy(other.bytes + 2, behind->bytes, behind->len);
    other.len = (uint8_t)(2 + behind->len);
    return other;
}

// Does the case of this name count against a reply, or the lack of a cookie?
static bool case_counts(const struct attempt *attempt, const struct strict *m)
{
    const struct question *question = attempt->question;
    uint8_t name[STRICT_NAME_MAX];
    strict_lower(name, m->question.bytes, m->question.len);
    if (attempt->random_case)
        name_case_apply(&question->name_case, name, m->question.len);
    return attempt->random_case && memcmp(name, m->question.bytes, m->question.len) != 0;
}

static bool cookie_counts(const struct sim *sim, unsigned worker, const struct attempt *attempt)
{
    const struct upstream *u = &sim->nodes[worker].forward->upstreams[attempt->upstream];
    return attempt->cookied && upstream_cookie_len(u, sim->now_us) > 0;
}

bool forged_right(const struct sim *sim, unsigned worker, uint16_t port, bool tcp,
                  const struct packet *packet)
{
    struct strict m;
    const struct forward *f = sim->nodes[worker].forward;
    if (!strict_open(&m, packet->bytes, packet->len) || m.question.len == 0 || m.class != 1 ||
        (m.flags[0] & 0xf8) != 0x80)
        return false;
    const struct attempt *attempt = tcp ? connection_find(&f->connections, port, m.id)
                                        : source_port_find(&f->source_ports, port, m.id);
    if (!attempt || !attempt->question)
        return false;
    const struct key *key = &attempt->question->key;
    uint8_t name[STRICT_NAME_MAX];
    strict_lower(name, m.question.bytes, m.question.len);
    if (key_type(key) != m.type || key_name_len(key) != m.question.len ||
        memcmp(key_name(key), name, m.question.len) != 0)
        return false;
    return tcp || (!case_counts(attempt, &m) && !cookie_counts(sim, worker, attempt));
}

// A slot from which something was sent; NULL where the dice find none.
static struct slot *slot_find(struct sim *sim, unsigned *worker, uint16_t *port)
{
    for (unsigned i = 0; i < 8; i++) {
        *worker = dice_below(&sim->dice, sim->params.workers);
        *port = (uint16_t)dice_below(&sim->dice, sim->params.source_ports_max);
        struct slot *slot = &sim->nodes[*worker].slots[*port];
        if (slot->state == SLOT_OPEN && slot->sent_count > 0)
            return slot;
    }
    return NULL;
}

// Gives a name another case, or the one that it was asked in.
static void recase(struct sim *sim, const struct sent *sent, struct strict_name *name)
{
    const struct forward *f = sim->nodes[sent->worker].forward;
    const struct attempt *attempt = source_port_find(&f->source_ports, sent->port, sent->id);
    bool right = dice_chance(&sim->dice, 300);
    for (unsigned i = 0; i < name->len; i++) {
        uint8_t c = name->bytes[i];
        if (c >= 'a' && c <= 'z' && dice_chance(&sim->dice, 500))
            name->bytes[i] = (uint8_t)(c - 0x20);
    }
    if (!right || !attempt || !attempt->question || !attempt->random_case)
        return;
    strict_lower(name->bytes, name->bytes, name->len);
    name_case_apply(&attempt->question->name_case, name->bytes, name->len);
}

static void spoof_once(struct sim *sim)
{
    struct dice *d = &sim->dice;
    unsigned worker;
    uint16_t port;
    const struct slot *slot = slot_find(sim, &worker, &port);
    if (!slot)
        return;
    unsigned sent_count = slot->sent_count < PORT_SENDS_MAX ? slot->sent_count : PORT_SENDS_MAX;
    const struct sent *sent = &sim->sent[slot->sent[dice_below(d, sent_count)]];
    uint32_t question = sim->askings[sent->asking].question;
    struct strict_name name = question_qname(sim, question)->name;
    uint16_t id = sent->id, type = question_type(sim, question), class = 1;
    recase(sim, sent, &name);
    switch (dice_below(d, 6)) {
    case 0: // knows the port and the question
        id = (uint16_t)dice_below(d, 65536);
        break;
    case 1: // knows port and ID
        name = forged_name(d, &name);
        break;
    case 2:
        type = (uint16_t)(type + 1000);
        break;
    case 3: // knows ID and question
        if (!slot_find(sim, &worker, &port))
            return;
        break;
    case 4: // knows all but the 0x20 case, or the cookie
        break;
    default: // knows little
        id = (uint16_t)(id ^ 1u << dice_below(d, 16));
        name = sim->names[dice_below(d, sim->params.names)].name;
        break;
    }
    uint8_t out[PACKET_MAX];
    struct packet *packet = packet_make(out, forged_write(out, id, &name, type, class));
    sim->tally.forged++;
    world_reply(sim, worker, port, false, packet, 0);
    free(packet);
}

void spoof_blind(struct sim *sim)
{
    unsigned worker;
    uint16_t port;
    const struct slot *slot = slot_find(sim, &worker, &port);
    uint8_t out[PACKET_MAX];
    struct dice *d = &sim->dice;
    sim->tally.forged++;
    if (!slot)
        return;
    unsigned sent_count = slot->sent_count < PORT_SENDS_MAX ? slot->sent_count : PORT_SENDS_MAX;
    const struct sent *sent = &sim->sent[slot->sent[dice_below(d, sent_count)]];
    uint32_t question = sim->askings[sent->asking].question;
    uint16_t id = (uint16_t)dice_below(d, 65536);
    size_t len = forged_write(out, id, &question_qname(sim, question)->name,
                              question_type(sim, question), 1);
    struct packet *packet = packet_make(out, len);
    world_reply(sim, worker, port, false, packet, 0);
    free(packet);
}

// Says of a source port that it leads nowhere.
static void spoof_unreachable(struct sim *sim)
{
    struct dice d = dice_for(sim->seed, 0x1c3a0000u + sim->steps);
    unsigned worker = dice_below(&d, sim->params.workers);
    for (uint16_t i = 0; i < sim->params.source_ports_max; i++) {
        const struct slot *slot = &sim->nodes[worker].slots[i];
        if (slot->state == SLOT_OPEN && dice_chance(&d, 200)) {
            world_unreachable(sim, worker, i);
            return;
        }
    }
}

void spoof(struct sim *sim)
{
    if (sim->params.icmp)
        spoof_unreachable(sim);

    for (unsigned i = dice_between(&sim->dice, 1, 4); i > 0; i--)
        spoof_once(sim);
    if (world_busy(sim))
        event_push(sim, &(struct event){.kind = EVENT_SPOOF},
                   sim->now_us + 1 + dice_below(&sim->dice, 2 * sim->params.spoof_us));
}
