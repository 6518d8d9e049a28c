// SPDX-License-Identifier: MIT
#include "core/serve/serve.h"
#include "core/settings/parse.h"
#include "core/wire/rebuild.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

// Random webs of aliases over several zones and local names, some of them circles, asked for by
// many clients at once. Every answer is held against one that is found by walking the web. An
// upstream lies about names outside of its zone, and no lie may reach a client.
//
//   prop_alias             the runs of the test, TAP
//   prop_alias FROM COUNT  so many runs from this seed on, printing every hundredth

enum {
    RUNS = 600,
    NODES = 24,
    ZONES = 4,
    CLIENTS = 400,
    EVENTS_MAX = 8192,
    CHAIN_MAX = 16,
    REGION_LEN = 4 << 20,
    SLOTS = 256,
    DELAY_MAX_US = 60000,
    LATE_MAX_US = 100000,
    START_US = 1000000000,
};

enum end { END_ADDRESS, END_NO_DATA, END_NXDOMAIN, END_SERVFAIL, END_ALIAS };

// A name. What its zone says of it, and what is answered here in the place of that.
struct node {
    struct name name;
    unsigned zone;
    enum end kind;
    unsigned target;
    bool ipv6;
    bool local;
    enum end local_kind; // an address or an alias
    unsigned local_target;
};

// A reply on its way.
struct event {
    uint64_t at_us;
    uint16_t slot;
    uint32_t generation;
    uint8_t bytes[1024];
    size_t len;
};

struct asked {
    unsigned node;
    uint16_t type;
    bool answered;
};

struct run {
    uint64_t random;
    struct node nodes[NODES];
    bool dns64;
    bool tight; // there is little room: questions may fail
    bool late;  // time passes in long steps: much is due at once
    struct settings settings;
    struct forward_zone zones[ZONES];
    struct endpoint upstreams[ZONES];
    struct zone_table zone_table;
    struct access_list access;
    struct prefix all;
    const struct local *local;
    struct cache cache;
    struct counters counters;
    struct serve *serve;
    void *memory[8];
    unsigned memory_count;
    uint64_t now_us;
    unsigned slot_zone[SLOTS];
    uint32_t generations[SLOTS];
    struct event events[EVENTS_MAX];
    size_t event_count;
    struct asked asked[CLIENTS];
    uint8_t out[SERVE_MESSAGE_ROOM];
    unsigned joined; // answers with a CNAME
    unsigned made;   // and such as DNS64 has made
    unsigned failures;
};

static uint64_t random_of(struct run *run)
{
    uint64_t z = run->random += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static unsigned below(struct run *run, unsigned bound)
{
    return (unsigned)(random_of(run) % bound);
}

static void *memory_of(struct run *run, size_t size)
{
    size = (size + 63) / 64 * 64;
    void *memory = aligned_alloc(64, size);
    assert(memory && run->memory_count < 8);
    memset(memory, 0, size);
    return run->memory[run->memory_count++] = memory;
}

// --- the web -----------------------------------------------------------------------------------

static const char *const zone_names[ZONES] = {".", "corp", "lan", "deep.corp"};
static const char *const zone_ends[ZONES] = {"net", "corp", "lan", "deep.corp"};

static void node_make(struct run *run, unsigned i)
{
    struct node *node = &run->nodes[i];
    char text[64];
    node->zone = below(run, ZONES);
    int len = snprintf(text, sizeof text, "n%u.%s", i, zone_ends[node->zone]);
    bool parsed = name_parse(&node->name, text, (size_t)len);
    assert(parsed);
    node->kind =
        (enum end[]){END_ADDRESS, END_NO_DATA, END_NXDOMAIN, END_SERVFAIL}[below(run, 5) % 4];
    node->ipv6 = below(run, 2);
    node->local = below(run, 5) == 0;
    node->local_kind = below(run, 2) ? END_ADDRESS : END_ALIAS;
}

// What one source says goes round in no circle: neither a zone's upstream nor the local names.
static void aliases_make(struct run *run)
{
    for (unsigned i = 0; i < NODES; i++) {
        struct node *node = &run->nodes[i];
        unsigned target = below(run, NODES), local = below(run, NODES);
        bool inside = run->nodes[target].zone == node->zone;
        if (below(run, 2) && (inside ? target > i : target != i)) {
            node->kind = END_ALIAS;
            node->target = target;
        }
        node->local_target = local;
        if (node->local_kind == END_ALIAS && (local == i || (run->nodes[local].local && local < i)))
            node->local_kind = END_ADDRESS;
    }
}

static uint32_t address_of(unsigned node)
{
    return 0xc6336400u + node; // 198.51.100.0/24
}

struct truth {
    unsigned chain[CHAIN_MAX + 2];
    unsigned length;
    enum end kind;
    unsigned end;
    bool local; // all of it
};

// Does the upstream of a name's zone say SERVFAIL, for what it knows of the chain?
static bool upstream_fails(const struct run *run, unsigned at)
{
    unsigned zone = run->nodes[at].zone;
    while (run->nodes[at].kind == END_ALIAS && run->nodes[run->nodes[at].target].zone == zone)
        at = run->nodes[at].target;
    return run->nodes[at].kind == END_SERVFAIL;
}

// Walks from a name to its end: END_SERVFAIL where there is none.
static struct truth truth_of(const struct run *run, unsigned at)
{
    struct truth truth = {.local = true};
    for (;;) {
        const struct node *node = &run->nodes[at];
        enum end kind = node->local ? node->local_kind : node->kind;
        truth.local &= node->local;
        truth.end = at;
        truth.kind = !node->local && upstream_fails(run, at) ? END_SERVFAIL : kind;
        if (truth.kind != END_ALIAS)
            return truth;
        at = node->local ? node->local_target : node->target;
        truth.chain[truth.length++] = at;
        if (truth.length > CHAIN_MAX) {
            truth.kind = END_SERVFAIL;
            return truth;
        }
    }
}

// --- upstreams ---------------------------------------------------------------------------------

struct pen {
    struct writer out;
    unsigned answers;
};

static void record_write(struct pen *pen, const struct name *owner, uint16_t type, const void *data,
                         size_t len)
{
    write_bytes(&pen->out, owner->bytes, owner->len);
    write_u16(&pen->out, type);
    write_u16(&pen->out, CLASS_IN);
    write_u32(&pen->out, 300);
    write_u16(&pen->out, (uint16_t)len);
    write_bytes(&pen->out, data, len);
    pen->answers += type != TYPE_SOA;
}

static void addresses_write(struct pen *pen, const struct name *owner, uint16_t type, uint32_t v)
{
    uint8_t data[16] = {0x20, 0x01, 0x0d, 0xb8};
    store_be32(data + (type == TYPE_A ? 0 : 12), v);
    record_write(pen, owner, type, data, type == TYPE_A ? 4 : 16);
}

// All that a zone's upstream says, up to where its zone ends; there it lies. Returns the rcode.
static unsigned chain_write(struct run *run, struct pen *pen, unsigned at, uint16_t type,
                            bool *negative)
{
    const struct node *node = &run->nodes[at];
    unsigned zone = node->zone;
    for (unsigned i = 0; node->kind == END_ALIAS; i++) {
        const struct node *target = &run->nodes[node->target];
        record_write(pen, &node->name, TYPE_CNAME, target->name.bytes, target->name.len);
        node = target;
        if (node->zone == zone && i < CHAIN_MAX)
            continue;
        if (below(run, 2))
            addresses_write(pen, &node->name, type, 0xcb007107); // a lie
        return RCODE_NOERROR;
    }
    bool has = node->kind == END_ADDRESS && (type == TYPE_A || node->ipv6);
    if (has)
        addresses_write(pen, &node->name, type, address_of((unsigned)(node - run->nodes)));
    *negative = !has && node->kind != END_SERVFAIL;
    return node->kind == END_NXDOMAIN   ? RCODE_NXDOMAIN
           : node->kind == END_SERVFAIL ? RCODE_SERVFAIL
                                        : RCODE_NOERROR;
}

static unsigned node_of(const struct run *run, const uint8_t *name)
{
    for (unsigned i = 0; i < NODES; i++) {
        const struct name *own = &run->nodes[i].name;
        if (memcmp(own->bytes, name, own->len) == 0)
            return i;
    }
    return NODES;
}

// Has the upstream of a slot reply to a query, a little later.
static void upstream_reply(struct run *run, const struct outgoing *outgoing)
{
    static const uint8_t soa_data[22] = {[21] = 60};
    struct query query;
    if (query_read(&query, outgoing->bytes, outgoing->len) != QUERY_GOOD)
        return;
    unsigned at = node_of(run, query_name(&query));
    if (at == NODES)
        return;                                                    // a probe
    assert(run->nodes[at].zone == run->slot_zone[outgoing->slot]); // asked where it belongs
    assert(run->event_count < EVENTS_MAX);
    struct event *event = &run->events[run->event_count++];
    struct pen pen = {.out = writer_over(event->bytes, sizeof event->bytes)};
    size_t question_len = query.name_len + 4u;
    bool negative = false;
    write_room(&pen.out, MESSAGE_HEADER_LEN);
    write_bytes(&pen.out, query_name(&query), question_len);
    unsigned rcode = chain_write(run, &pen, at, query.type, &negative);
    if (negative)
        record_write(&pen, &(struct name){.len = 1}, TYPE_SOA, soa_data, sizeof soa_data);
    assert(!pen.out.failed);
    memset(event->bytes, 0, MESSAGE_HEADER_LEN);
    store_be16(event->bytes, query.id);
    event->bytes[2] = HEADER_QR;
    event->bytes[3] = (uint8_t)(HEADER_RA | rcode);
    store_be16(event->bytes + 4, 1);
    store_be16(event->bytes + 6, (uint16_t)pen.answers);
    store_be16(event->bytes + 8, negative);
    event->len = pen.out.at;
    event->slot = outgoing->slot;
    event->generation = run->generations[outgoing->slot];
    event->at_us = run->now_us + below(run, DELAY_MAX_US);
}

// --- answers -----------------------------------------------------------------------------------

static uint32_t wanted_address(const struct run *run, const struct truth *truth)
{
    return run->nodes[truth->end].local ? 0xc0000200u + truth->end : address_of(truth->end);
}

// The answer section's records are this chain, and what is at its end.
static const char *records_check(const struct run *run, const struct truth *truth, unsigned at,
                                 uint16_t type, bool made, struct reader *r, unsigned count)
{
    const struct name *owner = &run->nodes[at].name;
    struct record record;
    for (unsigned i = 0; i < truth->length; i++, count--) {
        struct reader data;
        struct name target;
        if (count == 0 || !record_read(r, &record) || record.type != TYPE_CNAME ||
            !name_equal(&record.owner, owner))
            return "a CNAME is missing";
        data = *r;
        data.at = record.data_at;
        owner = &run->nodes[truth->chain[i]].name;
        if (!name_read(&data, &target) || !name_equal(&target, owner))
            return "a CNAME leads to another name";
    }
    bool has =
        truth->kind == END_ADDRESS &&
        (type == TYPE_A || made || (run->nodes[truth->end].ipv6 && !run->nodes[truth->end].local));
    if (!has)
        return count ? "there are records too many" : NULL;
    if (count != 1 || !record_read(r, &record) || record.type != type ||
        !name_equal(&record.owner, owner))
        return "there is not one address at the end";
    size_t address_at = record.data_at + (type == TYPE_A ? 0 : 12);
    return load_be32(r->bytes + address_at) == wanted_address(run, truth)
               ? NULL
               : "the address is another one's";
}

static const char *reply_check(struct run *run, const struct asked *asked, const uint8_t *bytes,
                               size_t len)
{
    struct truth truth = truth_of(run, asked->node);
    const struct node *end = &run->nodes[truth.end];
    unsigned rcode = bytes[3] & HEADER_RCODE;
    unsigned wanted = truth.kind == END_NXDOMAIN   ? RCODE_NXDOMAIN
                      : truth.kind == END_SERVFAIL ? RCODE_SERVFAIL
                                                   : RCODE_NOERROR;
    bool ipv6 = end->ipv6 && !end->local;
    bool made = run->dns64 && asked->type == TYPE_AAAA && truth.kind == END_ADDRESS && !ipv6 &&
                !truth.local;
    if (rcode == RCODE_SERVFAIL && run->tight)
        return NULL;
    if (rcode != wanted)
        return "another rcode";
    run->failures += rcode == RCODE_SERVFAIL;
    if (rcode == RCODE_SERVFAIL)
        return load_be16(bytes + 6) ? "a failure with records" : NULL;
    // Nor may there be room to ask for IPv4 addresses.
    made &= !run->tight || load_be16(bytes + 6) > truth.length;
    struct reader r = reader_over(bytes, len);
    r.at = MESSAGE_HEADER_LEN + run->nodes[asked->node].name.len + 4u;
    const char *why =
        records_check(run, &truth, asked->node, asked->type, made, &r, load_be16(bytes + 6));
    run->joined += truth.length > 0;
    run->made += made;
    return why;
}

static void answered(struct run *run, const struct client *client, const uint8_t *bytes, size_t len)
{
    unsigned number = client->from.port - 1024u;
    struct asked *asked = &run->asked[number];
    assert(number < CLIENTS && !asked->answered && len >= MESSAGE_HEADER_LEN);
    asked->answered = true;
    const char *why = reply_check(run, asked, bytes, len);
    if (!why)
        return;
    char text[NAME_TEXT_SIZE];
    name_format(&run->nodes[asked->node].name, text);
    fprintf(stderr, "client %u, %s type %u: %s (rcode %u, %u records)\n", number, text, asked->type,
            why, bytes[3] & 15u, load_be16(bytes + 6));
    abort();
}

// --- a run -------------------------------------------------------------------------------------

static void outgoing_do(struct run *run, const struct outgoing *outgoing)
{
    switch (outgoing->kind) {
    case OUTGOING_REPLY:
        answered(run, &outgoing->client, outgoing->bytes, outgoing->len);
        break;
    case OUTGOING_OPEN:
        run->generations[outgoing->slot]++;
        run->slot_zone[outgoing->slot] = outgoing->upstream->address.ip[3] - 1u;
        break;
    case OUTGOING_QUERY:
        upstream_reply(run, outgoing);
        break;
    case OUTGOING_CLOSE:
        run->generations[outgoing->slot]++;
        break;
    default:
        assert(!"there is no place for a connection");
    }
}

static void drain(struct run *run)
{
    struct outgoing outgoing = {.bytes = run->out};
    while (serve_drain(run->serve, run->now_us, &outgoing))
        outgoing_do(run, &outgoing);
}

static void ask(struct run *run, unsigned number)
{
    uint8_t bytes[UPSTREAM_QUERY_MAX];
    struct asked *asked = &run->asked[number];
    *asked = (struct asked){.node = below(run, NODES), .type = below(run, 2) ? TYPE_A : TYPE_AAAA};
    const struct name *name = &run->nodes[asked->node].name;
    struct upstream_query query = {
        .name = name->bytes, .name_len = name->len, .type = asked->type, .class = CLASS_IN};
    size_t len = upstream_query_write(bytes, &query);
    struct serve_item item = {
        .client.from = {.ip = {10, 0, 0, (uint8_t)number},
                        .port = (uint16_t)(1024 + number),
                        .family = ADDRESS_IPV4},
        .in = bytes,
        .in_len = (uint16_t)len,
    };
    (void)serve_queries(run->serve, run->now_us, &item, 1, run->out, sizeof run->out);
    assert(item.verdict != SERVE_ELSEWHERE);
    if (item.verdict == SERVE_ANSWERED)
        answered(run, &item.client, item.out, item.out_len);
    asked->answered |= item.verdict == SERVE_DROPPED;
    assert(item.verdict != SERVE_DROPPED || run->tight);
}

// Goes on to that time: replies in the order of their times, and what is due.
static void go(struct run *run, uint64_t until_us)
{
    for (;;) {
        size_t first = run->event_count;
        uint64_t next_us = serve_deadline(run->serve);
        for (size_t i = 0; i < run->event_count; i++) {
            if (run->events[i].at_us <= next_us) {
                next_us = run->events[i].at_us;
                first = i;
            }
        }
        if (next_us > until_us)
            break;
        if (run->late)
            next_us += below(run, LATE_MAX_US);
        run->now_us = next_us > run->now_us ? next_us : run->now_us;
        if (first < run->event_count) {
            struct event event = run->events[first];
            run->events[first] = run->events[--run->event_count];
            if (event.generation == run->generations[event.slot])
                serve_reply(run->serve, run->now_us, event.slot, event.bytes, event.len);
        } else {
            serve_expire(run->serve, run->now_us);
        }
        drain(run);
    }
    run->now_us = until_us > run->now_us ? until_us : run->now_us;
}

static void local_make(struct run *run)
{
    struct local_draft draft;
    static uint8_t room[1 << 16];
    local_draft(&draft, 5);
    draft.bytes = room;
    draft.size = sizeof room;
    for (unsigned i = 0; i < NODES; i++) {
        const struct node *node = &run->nodes[i];
        char owner[NAME_TEXT_SIZE], target[NAME_TEXT_SIZE], text[3 * NAME_TEXT_SIZE],
            why[TEXT_WHY_SIZE];
        struct text_record record;
        if (!node->local)
            continue;
        name_format(&node->name, owner);
        name_format(&run->nodes[node->local_target].name, target);
        int len = node->local_kind == END_ALIAS
                      ? snprintf(text, sizeof text, "%s CNAME %s", owner, target)
                      : snprintf(text, sizeof text, "%s A 192.0.2.%u", owner, i);
        bool added = text_record_read(&record, text, (size_t)len, why) &&
                     local_add_record(&draft, &record, i);
        assert(added);
    }
    struct local_making making = {.draft = &draft};
    run->local = local_build(&making, memory_of(run, local_size(&making)));
    assert(run->local);
}

static void settings_make(struct run *run)
{
    settings_init(&run->settings);
    for (unsigned i = 0; i < ZONES; i++) {
        forward_zone_init(&run->zones[i]);
        bool parsed = name_parse(&run->zones[i].zone, zone_names[i], strlen(zone_names[i]));
        assert(parsed);
        run->upstreams[i].address = (struct address){
            .ip = {192, 0, 2, (uint8_t)(i + 1)}, .port = 53, .family = ADDRESS_IPV4};
        run->zones[i].to = (struct endpoint_list){&run->upstreams[i], 1};
    }
    run->all = (struct prefix){.family = ADDRESS_IPV4};
    run->settings.forward = (struct forward_zone_list){run->zones, ZONES};
    run->settings.access_allow = (struct prefix_list){&run->all, 1};
    run->settings.upstream_random_case = false;
    run->settings.upstream_cookies = false;
    run->settings.cache_prefetch = below(run, 2);
    run->settings.dns64_enable = run->dns64;
}

static void begin(struct run *run)
{
    run->dns64 = below(run, 2);
    run->tight = below(run, 4) == 0;
    run->late = below(run, 4) == 0;
    for (unsigned i = 0; i < NODES; i++)
        node_make(run, i);
    aliases_make(run);
    settings_make(run);
    local_make(run);
    const char *why = zone_table_build(
        &run->zone_table, memory_of(run, zone_table_size(&run->settings)), &run->settings);
    assert(!why);
    access_build(&run->access, memory_of(run, access_size(&run->settings)), &run->settings);
    int error = cache_format(&run->cache, memory_of(run, REGION_LEN), REGION_LEN, 2, 99);
    assert(error == 0);
    struct serve_config config = {
        .settings = &run->settings,
        .zone_table = &run->zone_table,
        .access = &run->access,
        .local = run->local,
        .cache = &run->cache,
        .counters = &run->counters,
        .worker_count = 1,
        .pending_max = run->tight ? 4u << below(run, 3) : 1024,
        .source_ports_max = SLOTS,
        .seed = {(uint8_t)run->random},
    };
    run->now_us = START_US;
    run->serve = serve_init(memory_of(run, serve_size(&config)), &config, run->now_us);
}

static void run_seed(struct run *run, uint64_t seed, unsigned sums[3])
{
    *run = (struct run){.random = seed};
    begin(run);
    for (unsigned i = 0; i < CLIENTS; i++) {
        ask(run, i);
        if (below(run, 4) > 0)
            drain(run);
        else if (i + 1 < CLIENTS) // several in one draining
            ask(run, ++i);
        if (below(run, 2)) // or they share it with what happens next
            drain(run);
        go(run, run->now_us + below(run, below(run, 8) ? 20000 : 400000000));
    }
    go(run, run->now_us + 20000000);
    for (unsigned i = 0; i < CLIENTS; i++)
        assert(run->asked[i].answered);
    assert(counter_get(&run->counters, COUNTER_waiters) == 0);
    assert(counter_get(&run->counters, COUNTER_pending) == 0);
    sums[0] += run->joined;
    sums[1] += run->made;
    sums[2] += run->failures;
    while (run->memory_count > 0)
        free(run->memory[--run->memory_count]);
}

int main(int argc, char **argv)
{
    static struct run run;
    unsigned sums[3] = {0};
    uint64_t from = argc > 2 ? strtoull(argv[1], NULL, 10) : 1;
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : RUNS;
    printf("1..1\n");
    for (uint64_t i = 0; i < count; i++) {
        if (i % 100 == 0)
            fprintf(stderr, "# from seed %llu\n", (unsigned long long)(from + i));
        run_seed(&run, from + i, sums);
    }
    // So that failing or asking for nothing cannot hide.
    bool enough = sums[0] > 80 * count && sums[1] > 8 * count && sums[2] > 8 * count;
    printf("%sok 1 - every answer is what walking the web gives: %u over aliases, %u of DNS64, "
           "%u failures\n",
           enough ? "" : "not ", sums[0], sums[1], sums[2]);
    return !enough;
}
