// SPDX-License-Identifier: MIT
#include "tests/sim/sim.h"

#include <stdlib.h>

// Upstream servers, what goes wrong with them, and a spoofer who can send from their addresses.
// What lies carries a mark in its data and never has ID, port and question all right: world_reply
// sees to that at the moment of arrival.

enum { QR = 0x80, OPCODE_STATUS = 0x10 };

static const char *const mode_texts[MODE_COUNT] = {
    "is well",       "is slow",      "is dead",         "closed its port",
    "says SERVFAIL", "says REFUSED", "says odd rcodes", "truncates",
    "sends garbage", "lies",         "says all twice",  "is never the same",
};

void server_mode_change(struct sim *sim, unsigned number)
{
    struct dice *d = &sim->dice;
    struct server *server = &sim->servers[number];
    server->mode = MODE_GOOD;
    if (!server->steady && dice_chance(d, 600))
        server->mode = (uint8_t)dice_below(d, MODE_COUNT);
    sim_trace(sim, "server %u %s", number, mode_texts[server->mode]);
    if (sim->scenario.mode_us > 0 && sim->queries_left > 0)
        event_push(sim, &(struct event){.kind = EVENT_MODE, .server = (uint8_t)number},
                   sim->now_us + 1 + dice_below(d, 2 * sim->scenario.mode_us));
}

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
    put16(out, &at, QR << 8 | 0x80);
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

// A name that nobody asks for, of the same length or longer by a label.
static struct strict_name other_name(struct dice *d, const struct strict_name *name)
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

static size_t lie_write(struct sim *sim, const struct strict *query, uint8_t out[static PACKET_MAX])
{
    struct dice *d = &sim->dice;
    struct strict_name name = query->question;
    unsigned how = dice_below(d, 8);
    uint16_t id = query->id, type = query->type, class = query->class;
    if (how == 0)
        id = (uint16_t)(id + dice_between(d, 1, 65535));
    if (how == 1)
        name = other_name(d, &name);
    if (how == 2)
        type = (uint16_t)(type + 1000);
    if (how == 3)
        class = 3;
    size_t len = forged_write(out, id, &name, type, class);
    if (how == 4)
        out[2] &= (uint8_t)~QR;
    if (how == 5)
        out[2] |= OPCODE_STATUS;
    if (how == 6)
        out[5] = 0; // no question, which makes the rest unreadable too
    if (how == 7)
        out[5] = 2;
    return len;
}

// Spoils a good reply so that it cannot be read.
static size_t garbage_write(struct sim *sim, const struct strict *query, uint8_t *out, size_t len)
{
    struct dice *d = &sim->dice;
    size_t records = (size_t)(out[6] << 8 | out[7]) + out[8] + out[9] + out[10] + out[11];
    switch (dice_below(d, 5)) {
    case 0:
        return dice_below(d, 12);
    case 1: // counts that lie
        out[6] = 0xff;
        return len;
    case 2: // an owner that points forward
        if (records > 0) {
            out[query->question_end] = 0xff;
            out[query->question_end + 1] = 0xff;
            return len;
        }
        return 12;
    case 3:
        out[6] = 0xff;
        for (size_t i = query->question_end; i < len; i++)
            out[i] = (uint8_t)dice_below(d, 256);
        return len;
    default:
        return dice_below(d, (uint32_t)len);
    }
}

static void reply_send(struct sim *sim, const struct event *asked, const uint8_t *bytes, size_t len,
                       uint32_t number, uint64_t after_us)
{
    struct event event = {
        .kind = EVENT_REPLY,
        .worker = asked->worker,
        .port = asked->port,
        .generation = asked->generation,
        .server = asked->server,
        .number = number,
        .packet = packet_make(bytes, len),
    };
    link_carry(sim, &sim->servers[asked->server].back, &event, after_us);
}

// Makes a reply and returns its number, or SERVED_MAX when the table is full.
static uint32_t served_add(struct sim *sim, uint32_t question, enum served_kind kind,
                           uint16_t rcode)
{
    if (sim->served_count == SERVED_MAX) {
        sim_fail(sim, "the simulator's table of replies is full");
        return SERVED_MAX;
    }
    uint32_t number = sim->served_count++;
    sim->served[number] = (struct served){
        .delivered_us = NEVER,
        .question = question,
        .before = sim->questions[question].served,
        .rcode = rcode,
        .kind = (uint8_t)kind,
    };
    sim->questions[question].served = number + 1;
    return number;
}

static uint16_t rcode_of(struct sim *sim, enum server_mode mode)
{
    static const uint16_t odd[] = {1, 4, 6, 9, 11, 16, 19, 23, 32, 4095};
    if (mode == MODE_ODD)
        return odd[dice_below(&sim->dice, sizeof odd / sizeof *odd)];
    return mode == MODE_SERVFAIL ? RCODE_SERVFAIL : RCODE_REFUSED;
}

static void reply_make(struct sim *sim, const struct event *asked, const struct strict *query,
                       enum server_mode mode, uint64_t after_us)
{
    uint8_t out[PACKET_MAX];
    struct truth truth;
    enum served_kind kind = SERVED_GOOD;
    uint16_t rcode = 0;
    if (mode == MODE_TRUNCATING)
        kind = SERVED_TRUNCATED;
    if (mode == MODE_SERVFAIL || mode == MODE_REFUSED || mode == MODE_ODD) {
        kind = SERVED_RCODE;
        rcode = rcode_of(sim, mode);
    }
    uint32_t number = served_add(sim, asked->number, kind, rcode);
    if (number == SERVED_MAX)
        return;
    truth_make(&truth, sim, number);
    size_t len = truth_write(&truth, sim, number, query, out);
    if (mode == MODE_GARBAGE)
        len = garbage_write(sim, query, out, len);
    reply_send(sim, asked, out, len, mode == MODE_GARBAGE ? 0 : number + 1, after_us);
}

static void lie_send(struct sim *sim, const struct event *asked, const struct strict *query,
                     uint64_t after_us)
{
    uint8_t out[PACKET_MAX];
    reply_send(sim, asked, out, lie_write(sim, query, out), 0, after_us);
    sim->tally.forged++;
}

void server_asked(struct sim *sim, const struct event *asked)
{
    struct dice *d = &sim->dice;
    const struct server *server = &sim->servers[asked->server];
    struct strict query;
    if (!strict_open(&query, asked->packet->bytes, asked->packet->len))
        return;
    enum server_mode mode = server->mode;
    if (mode == MODE_MIXED)
        mode = dice_below(d, MODE_MIXED);
    uint64_t after_us = dice_skewed(d, 3000);
    sim_trace(sim, "server %u is asked for %s and %s", asked->server,
              sim_question_text(sim, asked->number), mode_texts[mode]);
    switch (mode) {
    case MODE_DEAD:
        break;
    case MODE_CLOSED: {
        struct event event = *asked;
        event.kind = EVENT_UNREACHABLE;
        event.packet = NULL;
        link_carry(sim, &sim->servers[asked->server].back, &event, 0);
        break;
    }
    case MODE_LYING:
        lie_send(sim, asked, &query, after_us);
        if (dice_chance(d, 300))
            reply_make(sim, asked, &query, MODE_GOOD, after_us + dice_below(d, 5000));
        break;
    case MODE_TWICE:
        reply_make(sim, asked, &query, MODE_GOOD, after_us);
        reply_make(sim, asked, &query, MODE_GOOD, after_us + dice_skewed(d, 1000000));
        break;
    case MODE_SLOW:
        reply_make(sim, asked, &query, MODE_GOOD, after_us + dice_below(d, server->slow_us));
        break;
    default:
        reply_make(sim, asked, &query, mode, after_us);
        break;
    }
}

// A slot from which something was sent; NULL where the dice find none.
static struct slot *slot_find(struct sim *sim, unsigned *worker, uint16_t *port)
{
    for (unsigned i = 0; i < 8; i++) {
        *worker = dice_below(&sim->dice, sim->scenario.workers);
        *port = (uint16_t)dice_below(&sim->dice, sim->scenario.ports_max);
        struct slot *slot = &sim->nodes[*worker].slots[*port];
        if (slot->state == SLOT_OPEN && slot->sent_count > 0)
            return slot;
    }
    return NULL;
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
    const struct sent *sent = &slot->sent[dice_below(d, sent_count)];
    struct strict_name name = question_qname(sim, sent->question)->name;
    uint16_t id = sent->id, type = question_type(sim, sent->question), class = 1;
    switch (dice_below(d, 5)) {
    case 0: // knows the port and the question
        id = (uint16_t)dice_below(d, 65536);
        break;
    case 1: // knows port and ID
        name = other_name(d, &name);
        break;
    case 2:
        type = (uint16_t)(type + 1000);
        break;
    case 3: // knows ID and question
        if (!slot_find(sim, &worker, &port))
            return;
        break;
    default: // knows little
        id = (uint16_t)(id ^ 1u << dice_below(d, 16));
        name = sim->names[dice_below(d, sim->scenario.names)].name;
        break;
    }
    uint8_t out[PACKET_MAX];
    size_t len = forged_write(out, id, &name, type, class);
    sim->tally.forged++;
    world_reply(sim, worker, port, packet_make(out, len), 0);
}

void server_spoof(struct sim *sim)
{
    for (unsigned i = dice_between(&sim->dice, 1, 4); i > 0; i--)
        spoof_once(sim);
    const struct tally *t = &sim->tally;
    bool busy = sim->queries_left > 0 || t->arrived > t->answered + t->dropped;
    if (busy)
        event_push(sim, &(struct event){.kind = EVENT_SPOOF},
                   sim->now_us + 1 + dice_below(&sim->dice, 2 * sim->scenario.spoof_us));
}
