// SPDX-License-Identifier: MIT
#include "tests/sim/sim.h"

#include <stdlib.h>

// A client writes a query that is right, and now and then spoils it in one of the ways below; what
// it must then get follows from the way.

enum { CLIENT_PORTS = 3, QUERY_MAX = 700, QR = 0x80, TC = 0x02, RD = 0x01, AD = 0x20, CD = 0x10 };

enum spoiling {
    SPOIL_SHORT,
    SPOIL_RESPONSE,
    SPOIL_OPCODE,
    SPOIL_COUNT,
    SPOIL_ANSWER,
    SPOIL_TRUNCATED,
    SPOIL_CUT,
    SPOIL_POINTER,
    SPOIL_TWO_OPTS,
    SPOIL_VERSION,
    SPOIL_CLASS,
    SPOIL_TRANSFER,
    SPOIL_MAIL,
    SPOIL_TYPE,
    SPOIL_OPTION,
    SPOIL_LOOP,
    SPOIL_NOISE,
    SPOIL_PORT,
    SPOIL_TOO_LONG,
    SPOIL_COUNT_MAX
};

struct draft {
    uint8_t bytes[QUERY_MAX];
    size_t len;
    size_t question_end;
    uint16_t type;
    uint16_t class;
};

static void put16(uint8_t *p, unsigned v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static void octet_add(struct draft *draft, unsigned v)
{
    draft->bytes[draft->len++] = (uint8_t)v;
}

static void u16_add(struct draft *draft, unsigned v)
{
    octet_add(draft, v >> 8);
    octet_add(draft, v & 0xff);
}

static void opt_add(struct draft *draft, struct dice *d, unsigned size, unsigned version,
                    bool dnssec_ok)
{
    octet_add(draft, 0);
    u16_add(draft, 41);
    u16_add(draft, size);
    u16_add(draft, version);
    u16_add(draft, dnssec_ok ? 0x8000 : 0);
    unsigned option = dice_chance(d, 200) ? dice_between(d, 4, 40) : 0;
    u16_add(draft, option);
    if (option) {
        u16_add(draft, dice_chance(d, 500) ? 10 : 12); // a cookie, padding
        u16_add(draft, option - 4);
        for (unsigned i = 4; i < option; i++)
            octet_add(draft, dice_below(d, 256));
    }
    put16(draft->bytes + 10, draft->bytes[10] << 8 | (draft->bytes[11] + 1));
}

static void name_add(struct draft *draft, struct dice *d, const struct strict_name *name)
{
    unsigned upper_pm = dice_chance(d, 500) ? 0 : dice_between(d, 1, 1000);
    for (unsigned i = 0; i < name->len; i++) {
        uint8_t c = name->bytes[i];
        bool letter = c >= 'a' && c <= 'z';
        octet_add(draft, letter && dice_chance(d, upper_pm) ? c - 0x20u : c);
    }
}

// The index of a name: the more popular, the lower.
static uint32_t name_choose(struct sim *sim)
{
    uint64_t place = dice_below(&sim->dice, 65536);
    uint64_t of = 65536;
    for (uint32_t i = 0; i < sim->params.popularity; i++) {
        place *= dice_below(&sim->dice, 65536);
        of <<= 16;
    }
    if (sim->params.popularity == 3) // 64 bits are full: the product is taken apart
        return (uint32_t)((place >> 32) * sim->params.names >> 32);
    return (uint32_t)(place * sim->params.names / of);
}

static struct client client_of(struct sim *sim, uint32_t number)
{
    struct dice d = dice_for(sim->seed, 0xc11e0000u + number);
    struct client client = {
        .from = {.ip = {10, 0, (uint8_t)dice_below(&d, 2), (uint8_t)dice_below(&d, 4)},
                 .family = ADDRESS_IPV4,
                 .port = (uint16_t)(1024 + dice_below(&d, CLIENT_PORTS))},
    };
    if (dice_chance(&d, 30))
        client.from.ip[1] = dice_chance(&d, 500) ? 66 : 99;
    if (dice_chance(&d, 250)) {
        client.from.family = ADDRESS_IPV6;
        client.from.ip[0] = 0xfd;
        client.from.ip[1] = 0;
        client.from.ip[15] = (uint8_t)dice_below(&d, 4);
    }
    return client;
}

// Writes a good query and says what it is.
static void draft_write(struct sim *sim, struct draft *draft, struct asked *asked)
{
    struct dice *d = &sim->dice;
    const struct params *s = &sim->params;
    uint32_t name = name_choose(sim);
    uint32_t type = dice_below(d, s->types);
    const struct strict_name *qname = &sim->names[name].name;

    asked->recursion = !dice_chance(d, s->unasked_pm);
    asked->checking_disabled = dice_chance(d, s->cd_pm);
    asked->edns = dice_chance(d, s->edns_pm);
    asked->dnssec_ok = asked->edns && dice_chance(d, s->do_pm);
    asked->question = (name * TYPES_MAX + type) * FLAGS_MAX + (asked->dnssec_ok ? 1u : 0u) +
                      (asked->checking_disabled ? 2u : 0u);
    asked->name_len = qname->len;
    bool tcp = dice_chance(d, s->tcp_pm);
    asked->client.transport = tcp ? TRANSPORT_TCP : TRANSPORT_UDP;
    asked->room = tcp ? UINT16_MAX : MESSAGE_UDP_MIN;

    memset(draft->bytes, 0, 12);
    // Few IDs, so that equal ones meet at equal ports.
    put16(draft->bytes, dice_chance(d, 300) ? dice_below(d, 4) : dice_below(d, 65536));
    draft->bytes[2] = asked->recursion ? RD : 0;
    draft->bytes[3] =
        (uint8_t)((asked->checking_disabled ? CD : 0) | (dice_chance(d, 300) ? AD : 0));
    draft->bytes[5] = 1;
    draft->len = 12;
    name_add(draft, d, qname);
    draft->type = sim->types[type];
    draft->class = 1;
    u16_add(draft, draft->type);
    u16_add(draft, 1);
    draft->question_end = draft->len;
    if (!asked->edns)
        return;
    static const uint16_t sizes[] = {0, 511, 512, 513, 1232, 1400, 4096, 65535};
    unsigned size = sizes[dice_below(d, sizeof sizes / sizeof *sizes)];
    unsigned room = size < sim->settings.server_udp_payload_max
                        ? size
                        : (unsigned)sim->settings.server_udp_payload_max;
    if (!client_has_connection(&asked->client))
        asked->room = (uint16_t)(room < MESSAGE_UDP_MIN ? MESSAGE_UDP_MIN : room);
    opt_add(draft, d, size, 0, asked->dnssec_ok);
}

static void expect(struct asked *asked, enum expectation what, uint16_t rcode)
{
    asked->expect = (uint8_t)what;
    asked->rcode = rcode;
}

// Sets the question's type and class, which no table of the simulator's knows.
static void draft_retype(struct draft *draft, unsigned type, unsigned class)
{
    put16(draft->bytes + draft->question_end - 4, type);
    put16(draft->bytes + draft->question_end - 2, class);
}

static unsigned pick(struct dice *d, unsigned a, unsigned b)
{
    return dice_chance(d, 500) ? a : b;
}

static void spoil_header(struct dice *d, struct draft *draft, struct asked *asked, unsigned how)
{
    expect(asked, EXPECT_RCODE, RCODE_FORMERR);
    switch (how) {
    case SPOIL_SHORT:
        draft->len = dice_below(d, 12);
        expect(asked, EXPECT_DROP, 0);
        break;
    case SPOIL_RESPONSE:
        draft->bytes[2] |= QR;
        expect(asked, EXPECT_DROP, 0);
        break;
    case SPOIL_OPCODE:
        draft->bytes[2] |= (uint8_t)(dice_between(d, 1, 15) << 3);
        expect(asked, EXPECT_RCODE, RCODE_NOTIMP);
        break;
    case SPOIL_COUNT:
        put16(draft->bytes + 4, dice_chance(d, 500) ? 0 : dice_between(d, 2, 65535));
        break;
    case SPOIL_ANSWER:
        put16(draft->bytes + pick(d, 6, 8), dice_between(d, 1, 65535));
        break;
    case SPOIL_TRUNCATED:
        draft->bytes[2] |= TC;
        break;
    default: // SPOIL_CUT
        draft->len = 12 + dice_below(d, (uint32_t)draft->len - 12);
        break;
    }
}

static void spoil_question(struct dice *d, struct draft *draft, struct asked *asked, unsigned how)
{
    expect(asked, EXPECT_RCODE, RCODE_FORMERR);
    switch (how) {
    case SPOIL_POINTER:
        put16(draft->bytes + 12, 0xc000 | dice_below(d, (uint32_t)draft->len));
        break;
    case SPOIL_CLASS:
        draft_retype(draft, draft->type, dice_between(d, 2, 255));
        expect(asked, EXPECT_RCODE, RCODE_REFUSED);
        break;
    case SPOIL_TRANSFER:
        draft_retype(draft, pick(d, 251, 252), 1);
        expect(asked, EXPECT_RCODE, RCODE_REFUSED);
        break;
    case SPOIL_MAIL:
        draft_retype(draft, pick(d, 253, 254), 1);
        expect(asked, EXPECT_RCODE, RCODE_NOTIMP);
        break;
    default: // SPOIL_TYPE
        draft_retype(draft, dice_chance(d, 500) ? pick(d, 0, 41) : pick(d, 249, 250), 1);
        break;
    }
}

// These put their own records behind the question.
static void spoil_records(struct dice *d, struct draft *draft, struct asked *asked, unsigned how)
{
    expect(asked, EXPECT_RCODE, RCODE_FORMERR);
    draft->len = draft->question_end;
    put16(draft->bytes + 10, 0);
    if (how == SPOIL_LOOP) {
        unsigned to = dice_chance(d, 500) ? (unsigned)draft->len
                                          : dice_between(d, (uint32_t)draft->len, 16383);
        u16_add(draft, 0xc000 | to);
        for (unsigned i = 0; i < 10; i++)
            octet_add(draft, 0);
        put16(draft->bytes + 10, 1);
        return;
    }
    asked->edns = true;
    asked->dnssec_ok = false;
    opt_add(draft, d, 1232, how == SPOIL_VERSION ? dice_between(d, 1, 255) : 0, false);
    if (how == SPOIL_VERSION)
        expect(asked, EXPECT_RCODE, RCODE_BADVERS);
    if (how == SPOIL_TWO_OPTS)
        opt_add(draft, d, 1232, 0, false);
    if (how == SPOIL_OPTION) {
        draft->len = draft->question_end + 9;
        u16_add(draft, 5);
        for (unsigned i = 0; i < 5; i++)
            octet_add(draft, dice_between(d, 1, 255)); // an option longer than the record
    }
}

static void spoil(struct sim *sim, struct draft *draft, struct asked *asked)
{
    struct dice *d = &sim->dice;
    unsigned how = dice_below(d, SPOIL_COUNT_MAX);
    switch (how) {
    case SPOIL_PORT:
        asked->client.from.port = 0;
        expect(asked, EXPECT_DROP, 0);
        break;
    case SPOIL_TOO_LONG:
        asked->cut = true;
        asked->client.transport = TRANSPORT_UDP;
        expect(asked, EXPECT_DROP, 0);
        break;
    case SPOIL_NOISE:
        draft->len = 12 + dice_skewed(d, 500);
        for (size_t i = 0; i < draft->len; i++)
            draft->bytes[i] = (uint8_t)(i < 12 ? dice_below(d, 3) : dice_below(d, 256));
        expect(asked, EXPECT_ANY, 0);
        break;
    case SPOIL_POINTER:
    case SPOIL_CLASS:
    case SPOIL_TRANSFER:
    case SPOIL_MAIL:
    case SPOIL_TYPE:
        spoil_question(d, draft, asked, how);
        break;
    case SPOIL_TWO_OPTS:
    case SPOIL_VERSION:
    case SPOIL_OPTION:
    case SPOIL_LOOP:
        spoil_records(d, draft, asked, how);
        break;
    default:
        spoil_header(d, draft, asked, how);
        break;
    }
}

// What the client's address makes of it comes before what stands in the query.
static void access_expect(struct asked *asked)
{
    const struct address *from = &asked->client.from;
    bool ipv4 = from->family == ADDRESS_IPV4;
    if (ipv4 && from->ip[1] == 99)
        expect(asked, EXPECT_DROP, 0);
    asked->refused = ipv4 && from->ip[1] == 66;
    if (asked->refused && asked->expect != EXPECT_DROP && asked->expect != EXPECT_ANY)
        expect(asked, EXPECT_RCODE, RCODE_REFUSED);
}

static uint32_t asked_add(struct sim *sim, const struct asked *draft, const uint8_t *bytes,
                          size_t len)
{
    uint32_t number = sim->asked_count++;
    struct asked *asked = &sim->asked[number];
    *asked = *draft;
    asked->packet = packet_make(bytes, len);
    asked->client.listener = (uint16_t)number;
    asked->state = ASKED_FLYING;
    asked->arrived = false;
    asked->left_us = sim->now_us;
    return number;
}

static void asked_send(struct sim *sim, uint32_t number, uint64_t after_us)
{
    struct event event = {
        .kind = EVENT_QUERY,
        .number = number,
        .worker = (uint8_t)dice_below(&sim->dice, sim->params.workers),
    };
    struct client *client = &sim->asked[number].client;
    client->worker = event.worker;
    client->connection = client_has_connection(client) ? dice_below(&sim->dice, 4096) : 0;
    client->generation = client_has_connection(client) ? dice_below(&sim->dice, 1u << 24) : 0;
    link_carry(sim, &sim->client_link, &event, after_us);
}

void client_next(struct sim *sim)
{
    struct dice *d = &sim->dice;
    const struct params *s = &sim->params;
    if (sim->asked_count + 2 > ASKED_MAX / 2)
        sim->queries_left = 0;
    if (sim->queries_left == 0)
        return;
    sim->queries_left--;
    struct draft draft;
    struct asked asked = {.client = client_of(sim, dice_below(d, s->clients))};
    draft_write(sim, &draft, &asked);
    if (dice_chance(d, s->malformed_pm))
        spoil(sim, &draft, &asked);
    access_expect(&asked);

    uint32_t number = asked_add(sim, &asked, draft.bytes, draft.len);
    sim_trace(sim, "query %u leaves a client: %s%s", number, sim_question_text(sim, asked.question),
              asked.expect == EXPECT_ANSWER ? "" : ", spoiled");
    asked_send(sim, number, 0);
    if (dice_chance(d, s->repeat_pm))
        asked_send(sim, asked_add(sim, &asked, draft.bytes, draft.len), dice_skewed(d, 4000000));

    uint32_t gap_us = 2 * (s->span_us / s->queries) + 1;
    uint64_t after_us = dice_chance(d, s->burst_pm) ? 0 : dice_below(d, gap_us);
    event_push(sim, &(struct event){.kind = EVENT_CLIENT}, sim->now_us + after_us);
}

uint32_t client_ask(struct sim *sim, uint32_t question, uint16_t port)
{
    struct draft draft = {.len = 12, .bytes = {0, 0, RD, 0, 0, 1}};
    const struct strict_name *qname = &question_qname(sim, question)->name;
    struct asked asked = {
        .client = {.from = {.ip = {10, 0, (uint8_t)(port >> 8), (uint8_t)port},
                            .family = ADDRESS_IPV4,
                            .port = port}},
        .question = question,
        .room = MESSAGE_UDP_MIN,
        .name_len = qname->len,
        .recursion = true,
    };
    memcpy(draft.bytes + draft.len, qname->bytes, qname->len);
    draft.len += qname->len;
    u16_add(&draft, question_type(sim, question));
    u16_add(&draft, 1);
    uint32_t number = asked_add(sim, &asked, draft.bytes, draft.len);
    asked_send(sim, number, 0);
    return number;
}

uint32_t client_arrives(struct sim *sim, uint32_t number)
{
    struct asked *asked = &sim->asked[number];
    if (asked->arrived) {
        if (sim->asked_count == ASKED_MAX) {
            sim_fail(sim, "the simulator's table of queries is full");
            return number;
        }
        number = asked_add(sim, asked, asked->packet->bytes, asked->packet->len);
        asked = &sim->asked[number];
    }
    asked->arrived = true;
    return number;
}
