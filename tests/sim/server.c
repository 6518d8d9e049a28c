// SPDX-License-Identifier: MIT
#include "tests/sim/sim.h"

#include <stdlib.h>

// Upstream servers and what goes wrong with them: a mode, which may change, and traits, which do
// not. What lies carries a mark in its data.

enum { QR = 0x80, OPCODE_STATUS = 0x10, OPTION_COOKIE = 10, COOKIE_LIFE_US = 10000000 };

static const char *const mode_texts[MODE_COUNT] = {
    "is well",       "is slow",      "is dead",         "closed its port",
    "says SERVFAIL", "says REFUSED", "says odd rcodes", "truncates",
    "sends garbage", "lies",         "says all twice",  "is never the same",
};

void server_mode_change(struct sim *sim, unsigned number, bool again)
{
    struct dice *d = &sim->dice;
    struct server *server = &sim->servers[number];
    bool dead = server->mode == MODE_DEAD;
    server->mode = MODE_GOOD;
    if (server->flaps)
        server->mode = dead ? MODE_GOOD : MODE_DEAD;
    else if (!server->steady && dice_chance(d, 600))
        server->mode = (uint8_t)dice_below(d, MODE_COUNT);
    if (dice_chance(d, 200))
        memset(server->known, 0, sizeof server->known);
    sim_trace(sim, "server %u %s", number, mode_texts[server->mode]);
    if (again && sim->params.mode_us > 0 && sim->queries_left > 0)
        event_push(sim, &(struct event){.kind = EVENT_MODE, .server = (uint8_t)number},
                   sim->now_us + 1 + dice_below(d, 2 * sim->params.mode_us));
}

void server_outage(struct sim *sim)
{
    sim->outage_until_us = sim->now_us + 1 + dice_below(&sim->dice, sim->params.outage_us);
    sim_trace(sim, "an outage begins, of %llu us",
              (unsigned long long)(sim->outage_until_us - sim->now_us));
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
        name = forged_name(d, &name);
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
    struct packet *packet = packet_make(bytes, len);
    if (asked->kind == EVENT_TCP_ASKED) {
        tcp_reply(sim, asked, packet, number, after_us);
        return;
    }
    struct event event = {
        .kind = EVENT_REPLY,
        .worker = asked->worker,
        .port = asked->port,
        .generation = asked->generation,
        .server = asked->server,
        .number = number,
        .packet = packet,
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

// --- EDNS and cookies --------------------------------------------------------------------------

static bool asked_read(struct upstream_asked *asked, const struct packet *packet)
{
    struct strict_record opt;
    *asked = (struct upstream_asked){.udp_size = MESSAGE_UDP_MIN};
    if (!strict_open(&asked->message, packet->bytes, packet->len))
        return false;
    while (strict_next(&asked->message, &opt)) {
        if (opt.type != TYPE_OPT)
            continue;
        asked->edns = true;
        asked->udp_size = opt.class;
        const uint8_t *data = packet->bytes + opt.data_at;
        for (size_t at = 0, len; at + 4 <= opt.data_len; at += 4 + len) {
            len = (size_t)(data[at + 2] << 8 | data[at + 3]);
            if ((data[at] << 8 | data[at + 1]) != OPTION_COOKIE || len > sizeof asked->cookie)
                continue;
            asked->cookie_len = (uint8_t)len;
            memcpy(asked->cookie, data + at + 4, len);
        }
    }
    return !asked->message.why;
}

// A server's part of a cookie belongs to the client's and lives for a while.
static size_t cookie_write(const struct sim *sim, unsigned server, const uint8_t *client,
                           uint64_t before, uint8_t out[static 40])
{
    uint64_t life = (sim->now_us - sim->start_us) / COOKIE_LIFE_US - before;
    uint64_t of_client;
    memcpy(out, client, 8);
    memcpy(&of_client, client, 8);
    struct dice d = dice_for(sim->seed ^ of_client, 0xc00c1e00u + server);
    size_t len = 8 + 8 * (size_t)dice_between(&d, 1, 4);
    d.state += life;
    for (size_t i = 8; i < len; i++)
        out[i] = (uint8_t)dice_below(&d, 256);
    return len;
}

static bool cookie_right(const struct sim *sim, unsigned server, const struct upstream_asked *asked)
{
    uint8_t cookie[40];
    for (uint64_t before = 0; before < 2 && asked->cookie_len >= 8; before++) {
        size_t len = cookie_write(sim, server, asked->cookie, before, cookie);
        if (len == asked->cookie_len && memcmp(cookie, asked->cookie, len) == 0)
            return true;
    }
    return false;
}

static void cookie_give(struct sim *sim, unsigned number, const struct upstream_asked *asked,
                        struct manner *manner)
{
    struct dice *d = &sim->dice;
    unsigned kind = sim->servers[number].cookies;
    if (asked->cookie_len < 8 || kind == COOKIES_NONE ||
        (kind == COOKIES_FORGOTTEN && dice_chance(d, 300)))
        return;
    manner->cookie_len = (uint8_t)cookie_write(sim, number, asked->cookie, 0, manner->cookie);
    if (kind == COOKIES_ODD && dice_chance(d, 500))
        manner->cookie_len = (uint8_t)(dice_chance(d, 500) ? dice_below(d, 8) : 12);
    if (kind == COOKIES_WRONG && dice_chance(d, 500))
        manner->cookie[dice_below(d, 8)] ^= 1;
}

// What a server says that does not take the query as it is; 0: it does.
static uint16_t complaint(struct sim *sim, const struct event *asked,
                          const struct upstream_asked *query, struct manner *manner)
{
    const struct server *server = &sim->servers[asked->server];
    bool tcp = asked->kind == EVENT_TCP_ASKED;
    manner->bare = server->bare;
    if (!query->edns)
        return 0;
    manner->bare |= server->edns == EDNS_FORMERR_BARE || server->edns == EDNS_NOTIMP_BARE;
    switch (server->edns) {
    case EDNS_FORMERR:
    case EDNS_FORMERR_BARE:
        return RCODE_FORMERR;
    case EDNS_NOTIMP:
    case EDNS_NOTIMP_BARE:
        return RCODE_NOTIMP;
    case EDNS_BADVERS:
        return RCODE_BADVERS;
    default:
        break;
    }
    if (server->formerr_cookie && query->cookie_len > 0)
        return RCODE_FORMERR;
    bool demands = server->cookies == COOKIES_DEMANDED && query->cookie_len > 0 && !tcp &&
                   !cookie_right(sim, asked->server, query);
    return demands || server->cookies == COOKIES_HOPELESS ? RCODE_BADCOOKIE : 0;
}

// --- replies -----------------------------------------------------------------------------------

static uint16_t rcode_of(struct sim *sim, enum server_mode mode)
{
    static const uint16_t odd[] = {1, 4, 6, 9, 11, 16, 19, 23, 32, 4095};
    if (mode == MODE_ODD)
        return odd[dice_below(&sim->dice, sizeof odd / sizeof *odd)];
    return mode == MODE_SERVFAIL ? RCODE_SERVFAIL : RCODE_REFUSED;
}

// Asked for the first time it has to ask others itself.
static uint64_t work_us(struct sim *sim, const struct event *asked)
{
    struct server *server = &sim->servers[asked->server];
    uint64_t *word = &server->known[asked->number / 64], bit = (uint64_t)1 << asked->number % 64;
    bool known = *word & bit;
    *word |= bit;
    return known || server->miss_us == 0 ? 0 : dice_below(&sim->dice, server->miss_us);
}

static void reply_make(struct sim *sim, const struct event *asked,
                       const struct upstream_asked *query, enum server_mode mode, uint64_t after_us)
{
    uint8_t out[PACKET_MAX];
    struct truth truth;
    const struct server *server = &sim->servers[asked->server];
    bool tcp = asked->kind == EVENT_TCP_ASKED;
    struct manner manner = {
        .room = tcp || server->oversized ? 0 : query->udp_size,
        .name_case = server->name_case,
        .opt = query->edns && server->edns == EDNS_KNOWN,
    };
    enum served_kind kind = mode == MODE_TRUNCATING ? SERVED_TRUNCATED : SERVED_GOOD;
    uint16_t rcode = complaint(sim, asked, query, &manner);
    if (!rcode && (mode == MODE_SERVFAIL || mode == MODE_REFUSED || mode == MODE_ODD))
        rcode = rcode_of(sim, mode);
    if (!rcode)
        after_us += work_us(sim, asked);
    if (manner.opt)
        cookie_give(sim, asked->server, query, &manner);
    uint32_t number = served_add(sim, asked->number, rcode ? SERVED_RCODE : kind, rcode);
    if (number == SERVED_MAX)
        return;
    truth_make(&truth, sim, number);
    size_t len = truth_write(&truth, sim, number, &query->message, &manner, out);
    if (mode == MODE_GARBAGE)
        len = garbage_write(sim, &query->message, out, len);
    reply_send(sim, asked, out, len, mode == MODE_GARBAGE ? 0 : number + 1, after_us);
}

static void lie_send(struct sim *sim, const struct event *asked, const struct strict *query,
                     uint64_t after_us)
{
    uint8_t out[PACKET_MAX];
    reply_send(sim, asked, out, lie_write(sim, query, out), 0, after_us);
    sim->tally.forged++;
}

// Above its rate a server says nothing, or now and then that it is to be asked over TCP (slip).
// True: it says no more than that.
static bool limited(struct sim *sim, const struct event *asked, const struct upstream_asked *query)
{
    struct server *server = &sim->servers[asked->server];
    if (server->rate_max == 0 || asked->kind == EVENT_TCP_ASKED)
        return false;
    if (sim->now_us - server->rate_from_us > 100000) {
        server->rate_from_us = sim->now_us;
        server->rate_count = 0;
    }
    if (server->rate_count++ < server->rate_max)
        return false;
    if (server->slips && dice_chance(&sim->dice, 500))
        reply_make(sim, asked, query, MODE_TRUNCATING, 0);
    return true;
}

static void unreachable_send(struct sim *sim, const struct event *asked)
{
    struct event event = *asked;
    event.kind = EVENT_UNREACHABLE;
    event.packet = NULL;
    link_carry(sim, &sim->servers[asked->server].back, &event, 0);
}

// What it does with a name in mixed case, or with all others.
static enum server_mode mode_of_case(const struct server *server, const struct strict *query,
                                     enum server_mode mode)
{
    static const enum server_mode modes[MIXED_COUNT] = {MODE_GOOD, MODE_REFUSED, MODE_SERVFAIL,
                                                        MODE_DEAD};
    struct strict_name lower = query->question;
    strict_lower(lower.bytes, lower.bytes, lower.len);
    bool mixed = memcmp(lower.bytes, query->question.bytes, lower.len) != 0;
    return mixed && server->mixed != MIXED_TAKEN ? modes[server->mixed] : mode;
}

static void mode_do(struct sim *sim, const struct event *asked, const struct upstream_asked *query,
                    enum server_mode mode)
{
    struct dice *d = &sim->dice;
    uint64_t after_us =
        sim->params.plain ? 0 : dice_skewed(d, sim->servers[asked->server].steady ? 500 : 3000);
    switch (mode) {
    case MODE_DEAD:
        break;
    case MODE_CLOSED:
        if (asked->kind == EVENT_ASKED)
            unreachable_send(sim, asked);
        break;
    case MODE_LYING:
        lie_send(sim, asked, &query->message, after_us);
        if (dice_chance(d, 300))
            reply_make(sim, asked, query, MODE_GOOD, after_us + dice_below(d, 5000));
        break;
    case MODE_TWICE:
        reply_make(sim, asked, query, MODE_GOOD, after_us);
        reply_make(sim, asked, query, MODE_GOOD, after_us + dice_skewed(d, 1000000));
        break;
    case MODE_SLOW:
        reply_make(sim, asked, query, MODE_GOOD,
                   after_us + (sim->params.plain
                                   ? sim->servers[asked->server].slow_us
                                   : dice_below(d, sim->servers[asked->server].slow_us)));
        break;
    default:
        reply_make(sim, asked, query, mode, after_us);
        break;
    }
}

static enum server_mood mood_of(const struct sim *sim, const struct event *asked)
{
    uint64_t use = 0x300d0000u + 256u * asked->server + question_name(asked->number);
    struct dice d = dice_for(sim->seed, use);
    bool moody = sim->servers[asked->server].moody && dice_chance(&d, 300);
    return moody ? dice_below(&d, MOOD_COUNT) : MOOD_NONE;
}

// Does what it does with names of that kind; false: this is none of them.
static bool moody_do(struct sim *sim, const struct event *asked, const struct upstream_asked *query)
{
    enum server_mood mood = mood_of(sim, asked);
    if (mood == MOOD_NONE)
        return false;
    if (mood != MOOD_SILENT && asked->kind == EVENT_ASKED)
        reply_make(sim, asked, query, MODE_TRUNCATING, 0);
    if (mood == MOOD_CLOSES && asked->kind == EVENT_TCP_ASKED)
        tcp_close(sim, asked);
    return true;
}

void server_asked(struct sim *sim, const struct event *asked)
{
    const struct server *server = &sim->servers[asked->server];
    struct upstream_asked query;
    enum server_mode mode = server->mode;
    if (!asked_read(&query, asked->packet))
        return;
    if (!server->steady && sim->now_us < sim->outage_until_us)
        mode = MODE_DEAD;
    if (mode == MODE_MIXED)
        mode = dice_below(&sim->dice, MODE_MIXED);
    if (mode != MODE_DEAD && mode != MODE_CLOSED)
        mode = mode_of_case(server, &query.message, mode);
    sim_trace(sim, "server %u is asked for %s%s and %s", asked->server,
              sim_question_text(sim, asked->number),
              asked->kind == EVENT_TCP_ASKED ? " over TCP" : "", mode_texts[mode]);
    bool there = mode != MODE_DEAD && mode != MODE_CLOSED;
    if (there && (limited(sim, asked, &query) || moody_do(sim, asked, &query)))
        return;
    mode_do(sim, asked, &query, mode);
}
