// SPDX-License-Identifier: MIT
#include "tests/scenario/stage.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    DRAIN_MAX = 100000,
    CACHE_SEED = 99,
    FIRST_PORT = 1024, // of clients, and the least that serve may choose
};

// --- the beginning -----------------------------------------------------------------------------

static void settings_finish(struct stage *stage)
{
    struct settings_report report = {.file = stage->script->path};
    settings_file_check(&stage->settings, &report);
    if (report.count > 0)
        script_fail(stage->script, "the settings are wrong: %s", report.errors[0].text);
    if (stage->settings.forward.count == 0)
        script_fail(stage->script, "there is no zone: write \"zone . ordered A\" or the like");
}

static void worker_begin(struct stage *stage, unsigned worker)
{
    struct serve_config config = {
        .settings = &stage->settings,
        .zone_table = &stage->zone_table,
        .access = &stage->access,
        .local = stage->local,
        .cache = &stage->cache,
        .counters = &stage->counters[worker],
        .worker = worker,
        .worker_count = stage->worker_count,
        .pending_max = stage->pending_max,
        .source_ports_max = stage->source_ports_max,
        .upstream_connections_max = stage->upstream_connections_max,
        .seed = {[0] = (uint8_t)(worker + 1), [1] = (uint8_t)stage->script->seed},
    };
    void *memory = script_region(stage->script, serve_size(&config));
    stage->workers[worker] = serve_init(memory, &config, stage->now_us);
}

static void *region_of(const struct stage *stage, uint32_t shard_count)
{
    struct beside *beside = stage->beside;
    if (!beside)
        return script_region(stage->script, STAGE_REGION_LEN);
    void *region = beside->region(beside, shard_count, STAGE_REGION_LEN);
    if (!region)
        script_fail(stage->script, "there is no memory for a cache of %u shards", shard_count);
    return region;
}

void stage_begin(struct stage *stage)
{
    struct script *script = stage->script;
    if (stage->begun)
        return;
    stage->begun = true;
    settings_finish(stage);
    const char *why = zone_table_build(&stage->zone_table,
                                       script_memory(script, zone_table_size(&stage->settings)),
                                       &stage->settings);
    if (why)
        script_fail(script, "%s", why);
    access_build(&stage->access, script_memory(script, access_size(&stage->settings)),
                 &stage->settings);
    stage->local = names_make(script, &stage->names);
    uint32_t shard_count = STAGE_SHARDS_PER_WORKER * stage->worker_count;
    if (cache_format(&stage->cache, region_of(stage, shard_count), STAGE_REGION_LEN, shard_count,
                     CACHE_SEED) != 0)
        script_fail(script, "the cache cannot be made");
    stage->cache.stale_s = (uint32_t)(stage->settings.cache_stale_max_age / 1000);
    for (unsigned i = 0; i < stage->worker_count; i++)
        worker_begin(stage, i);
    stage->reply_room = serve_reply_room(stage->workers[0]);
}

int stage_upstream(const struct stage *stage, const char *name)
{
    for (size_t i = 0; i < stage->upstream_count; i++) {
        if (strcmp(stage->upstreams[i].name, name) == 0)
            return (int)i;
    }
    return -1;
}

unsigned stage_client(struct stage *stage, const char *name)
{
    for (unsigned i = 0; i < stage->client_count; i++) {
        if (strcmp(stage->clients[i].name, name) == 0)
            return i;
    }
    if (stage->client_count == CLIENTS_MAX)
        script_fail(stage->script, "more than %d clients", CLIENTS_MAX);
    unsigned index = (unsigned)stage->client_count++;
    stage->clients[index] = (struct client_side){
        .name = strdup(name),
        .address = {.ip = {10, 1, (uint8_t)(index / 250), (uint8_t)(index % 250 + 1)},
                    .port = (uint16_t)(FIRST_PORT + index),
                    .family = ADDRESS_IPV4},
    };
    return index;
}

unsigned stage_home(const struct stage *stage, const uint8_t *bytes, size_t len)
{
    struct query query;
    struct key key;
    if (query_read(&query, bytes, len) != QUERY_GOOD)
        return 0;
    key_make(&key, &query, stage->cache.seed);
    return cache_shard_of(&stage->cache, key.hash) % stage->worker_count;
}

uint64_t stage_counter(const struct stage *stage, enum counter which)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < stage->worker_count; i++)
        sum += counter_get(&stage->counters[i], which);
    return sum;
}

// --- what happens ------------------------------------------------------------------------------

struct event *stage_event(struct stage *stage, enum event_kind kind, unsigned upstream,
                          unsigned client)
{
    if (stage->event_count == stage->event_room) {
        stage->event_room = stage->event_room ? 2 * stage->event_room : 64;
        stage->events = realloc(stage->events, stage->event_room * sizeof *stage->events);
        if (!stage->events)
            script_fail(stage->script, "out of memory");
    }
    struct event *event = &stage->events[stage->event_count++];
    *event = (struct event){
        .kind = kind, .at_us = stage->now_us, .upstream = upstream, .client = client};
    return event;
}

static uint8_t *copy_of(const struct stage *stage, const uint8_t *bytes, size_t len)
{
    // Of the exact size, so that a sanitizer detects reads beyond the end.
    uint8_t *copy = malloc(len ? len : 1);
    if (!copy)
        script_fail(stage->script, "out of memory");
    if (len > 0)
        memcpy(copy, bytes, len);
    return copy;
}

static void trace(const struct stage *stage, const struct event *event)
{
    if (!stage->trace)
        return;
    char *text = stage_event_text(stage, event);
    printf("# %s\n", text);
    free(text);
}

static unsigned upstream_at(const struct stage *stage, const struct address *address)
{
    for (unsigned i = 0; i < stage->upstream_count; i++) {
        if (address_equal(&stage->upstreams[i].address, address))
            return i;
    }
    script_fail(stage->script, "serve sends to an address that is no upstream's");
}

static void open_do(struct stage *stage, unsigned worker, const struct outgoing *outgoing)
{
    struct slot *slot = &stage->ports[worker][outgoing->slot];
    if (slot->open || slot->failed || outgoing->source_port < FIRST_PORT)
        script_fail(stage->script, "serve opens port %u wrongly", outgoing->slot);
    slot->upstream = upstream_at(stage, &outgoing->upstream->address);
    slot->number = outgoing->source_port;
    slot->generation++;
    if (stage->ports_taken > 0) {
        stage->ports_taken--;
        slot->failed = true;
        serve_source_port_refused(stage->workers[worker], stage->now_us, outgoing->slot);
        return;
    }
    slot->open = true;
    if (stage->watch_ports)
        trace(stage, stage_event(stage, EVENT_OPEN, slot->upstream, 0));
}

static void close_do(struct stage *stage, unsigned worker, uint16_t port)
{
    struct slot *slot = &stage->ports[worker][port];
    if (!slot->open && !slot->failed)
        script_fail(stage->script, "serve closes port %u, which is not open", port);
    if (slot->open && stage->watch_ports)
        trace(stage, stage_event(stage, EVENT_CLOSE, slot->upstream, 0));
    slot->open = slot->failed = false;
}

static void connect_do(struct stage *stage, unsigned worker, const struct outgoing *outgoing)
{
    struct slot *slot = &stage->connections[worker][outgoing->slot];
    if (slot->open)
        script_fail(stage->script, "serve connects in slot %u, which is open", outgoing->slot);
    slot->upstream = upstream_at(stage, &outgoing->upstream->address);
    slot->open = true;
    slot->answers = 0;
    slot->last_us = 0;
    memset(slot->busy_us, 0, sizeof slot->busy_us);
    slot->generation++;
    trace(stage, stage_event(stage, EVENT_CONNECT, slot->upstream, 0));
    if (!stage->upstreams[slot->upstream].drops_tcp)
        stage_plot(stage, &(struct plot){.at_us = stage->now_us,
                                         .kind = stage->upstreams[slot->upstream].refuses_tcp
                                                     ? PLOT_HANG_UP
                                                     : PLOT_CONNECTED,
                                         .route = {.worker = worker,
                                                   .port = outgoing->slot,
                                                   .tcp = true,
                                                   .generation = slot->generation}});
}

static void disconnect_do(struct stage *stage, unsigned worker, uint16_t connection)
{
    struct slot *slot = &stage->connections[worker][connection];
    if (!slot->open)
        script_fail(stage->script, "serve disconnects slot %u, which is not open", connection);
    slot->open = false;
    trace(stage, stage_event(stage, EVENT_DISCONNECT, slot->upstream, 0));
}

static void query_do(struct stage *stage, unsigned worker, const struct outgoing *outgoing)
{
    bool tcp = outgoing->kind == OUTGOING_MESSAGE;
    const struct slot *slot =
        tcp ? &stage->connections[worker][outgoing->slot] : &stage->ports[worker][outgoing->slot];
    unsigned upstream = upstream_at(stage, &outgoing->upstream->address);
    if (!slot->open || slot->upstream != upstream)
        script_fail(stage->script, "serve sends through slot %u, which is not open to there",
                    outgoing->slot);
    size_t head = tcp ? 2 : 0;
    if (tcp && load_be16(outgoing->bytes) + head != outgoing->len)
        script_fail(stage->script, "a wrong length stands before a message over TCP");
    struct event *event = stage_event(stage, EVENT_ASKED, upstream, 0);
    event->route = (struct route){
        .worker = worker, .port = outgoing->slot, .tcp = tcp, .generation = slot->generation};
    event->len = outgoing->len - head;
    event->bytes = copy_of(stage, outgoing->bytes + head, event->len);
    trace(stage, event);
    upstreams_asked(stage, event);
}

// Which query of this client the answer is to. Over TCP each has a connection of its own.
static size_t asked_find(const struct stage *stage, const struct client *client,
                         const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < stage->asked_count; i++) {
        const struct asked *asked = &stage->asked[i];
        if (asked->waiting && len >= 2 && memcmp(asked->bytes, bytes, 2) == 0 &&
            address_equal(&stage->clients[asked->client].address, &client->from) &&
            asked->tcp == client_has_connection(client) && (!asked->tcp || client->connection == i))
            return i;
    }
    script_fail(stage->script, "serve answers what no client has asked");
}

static void answer_note(struct stage *stage, const struct client *client, const uint8_t *bytes,
                        size_t len)
{
    size_t asked = asked_find(stage, client, bytes, len);
    struct event *event = stage_event(stage, EVENT_ANSWER, 0, stage->asked[asked].client);
    event->asked = asked;
    event->bytes = copy_of(stage, bytes, len);
    event->len = len;
    stage->asked[asked].waiting = false;
    trace(stage, event);
}

static void outgoing_do(struct stage *stage, unsigned worker, const struct outgoing *outgoing)
{
    bool connection = outgoing->kind == OUTGOING_CONNECT || outgoing->kind == OUTGOING_MESSAGE ||
                      outgoing->kind == OUTGOING_DISCONNECT;
    if (outgoing->kind != OUTGOING_REPLY &&
        outgoing->slot >= (connection ? stage->upstream_connections_max : stage->source_ports_max))
        script_fail(stage->script, "slot %u is out of bounds", outgoing->slot);
    switch (outgoing->kind) {
    case OUTGOING_REPLY:
        answer_note(stage, &outgoing->client, outgoing->bytes, outgoing->len);
        break;
    case OUTGOING_OPEN:
        open_do(stage, worker, outgoing);
        break;
    case OUTGOING_CLOSE:
        close_do(stage, worker, outgoing->slot);
        break;
    case OUTGOING_CONNECT:
        connect_do(stage, worker, outgoing);
        break;
    case OUTGOING_DISCONNECT:
        disconnect_do(stage, worker, outgoing->slot);
        break;
    case OUTGOING_QUERY:
    case OUTGOING_MESSAGE:
        query_do(stage, worker, outgoing);
        break;
    }
}

void stage_drain(struct stage *stage, unsigned worker)
{
    uint8_t *bytes = script_room(stage->script, SERVE_MESSAGE_ROOM);
    for (unsigned i = 0;; i++) {
        struct outgoing outgoing = {.bytes = bytes};
        if (!serve_drain(stage->workers[worker], stage->now_us, &outgoing))
            break;
        if (i == DRAIN_MAX)
            script_fail(stage->script, "serve_drain never comes to its end");
        outgoing_do(stage, worker, &outgoing);
    }
    free(bytes);
}

// --- clients -----------------------------------------------------------------------------------

// Which reason for dropping something has just been counted.
static enum counter reason_of(const struct stage *stage, const struct counters *before,
                              unsigned worker)
{
    for (unsigned i = COUNTER_drops_short; i <= COUNTER_drops_handover_full; i++) {
        if (stage->counters[worker].values[i] != before->values[i])
            return (enum counter)i;
    }
    script_fail(stage->script, "serve drops a query without counting a reason");
}

static void item_do(struct stage *stage, unsigned worker, size_t number, bool handed, bool hint);

// Another worker is to have it.
static void hand_over(struct stage *stage, unsigned worker, const struct serve_item *item,
                      size_t number)
{
    struct asked *asked = &stage->asked[number];
    if (item->owner == worker || item->owner >= stage->worker_count || item->handed_over)
        script_fail(stage->script, "worker %u hands a query over to %u", worker, item->owner);
    struct event *event =
        stage_event(stage, item->hint ? EVENT_HINTED : EVENT_HANDED, 0, asked->client);
    event->bytes = copy_of(stage, asked->bytes, asked->len);
    event->len = asked->len;
    trace(stage, event);
    if (!item->hint && stage->handovers_fail > 0) {
        stage->handovers_fail--;
        serve_handover_failed(stage->workers[worker]);
        event = stage_event(stage, EVENT_DROPPED, 0, asked->client);
        event->reason = COUNTER_drops_handover_full;
        trace(stage, event);
        return;
    }
    item_do(stage, item->owner, number, true, item->hint);
}

static void item_do(struct stage *stage, unsigned worker, size_t number, bool handed, bool hint)
{
    const struct asked *asked = &stage->asked[number];
    struct counters before = stage->counters[worker];
    uint8_t *in = copy_of(stage, asked->bytes, asked->len);
    size_t room = asked->tcp ? SERVE_MESSAGE_ROOM : stage->reply_room;
    uint8_t *out = script_room(stage->script, room);
    struct serve_item item = {
        .client = {.from = stage->clients[asked->client].address,
                   .transport = asked->tcp ? TRANSPORT_TCP : TRANSPORT_UDP,
                   .connection = (uint32_t)number},
        .in = in,
        .in_len = (uint16_t)asked->len,
        .handed_over = handed,
        .hint = hint,
        .verdict = UINT8_MAX,
    };
    struct beside *beside = stage->beside;
    if (beside)
        beside->before(beside, stage->workers[worker], stage->now_us, &item);
    (void)serve_queries(stage->workers[worker], stage->now_us, &item, 1, out, room);
    const char *differs = beside ? beside->after(beside, &item) : NULL;
    if (differs)
        script_fail(stage->script, "%s", differs);
    free(in);
    if (item.verdict == SERVE_ANSWERED) {
        answer_note(stage, &item.client, item.out, item.out_len);
    } else if (item.verdict == SERVE_DROPPED) {
        struct event *event = stage_event(stage, EVENT_DROPPED, 0, asked->client);
        event->reason = reason_of(stage, &before, worker);
        stage->asked[number].waiting = false;
        trace(stage, event);
    }
    if (hint != (item.verdict == SERVE_HINTED))
        script_fail(stage->script, "serve takes a hint for a query, or a query for a hint");
    free(out);
    stage_drain(stage, worker);
    if (item.verdict == SERVE_ELSEWHERE || (item.verdict == SERVE_ANSWERED && item.hint))
        hand_over(stage, worker, &item, number);
}

static void ask_do(struct stage *stage, const struct plot *plot)
{
    if (stage->asked_count == stage->asked_room) {
        stage->asked_room = stage->asked_room ? 2 * stage->asked_room : 64;
        stage->asked = realloc(stage->asked, stage->asked_room * sizeof *stage->asked);
        if (!stage->asked)
            script_fail(stage->script, "out of memory");
    }
    stage->asked[stage->asked_count++] =
        (struct asked){.client = plot->client,
                       .bytes = copy_of(stage, plot->bytes, plot->len),
                       .len = plot->len,
                       .tcp = plot->route.tcp,
                       .waiting = true};
    item_do(stage, plot->route.worker, stage->asked_count - 1, false, false);
}

// --- time --------------------------------------------------------------------------------------

void stage_plot(struct stage *stage, const struct plot *plot)
{
    struct plot *copy = script_memory(stage->script, sizeof *copy);
    struct plot **link = &stage->plots;
    // Thousands may be ahead, and most come soon behind the one before.
    if (stage->plotted && stage->plotted->at_us <= plot->at_us)
        link = &stage->plotted->next;
    *copy = *plot;
    copy->bytes = copy_of(stage, plot->bytes, plot->len);
    while (*link && (*link)->at_us <= plot->at_us)
        link = &(*link)->next;
    copy->next = *link;
    *link = copy;
    stage->plotted = copy;
}

static void plot_do(struct stage *stage, const struct plot *plot)
{
    unsigned worker = plot->route.worker;
    struct serve *serve = stage->workers[worker];
    uint16_t port = plot->route.port;
    struct slot *slots = plot->route.tcp ? stage->connections[worker] : stage->ports[worker];
    if (plot->kind == PLOT_ASK) {
        ask_do(stage, plot);
        return;
    }
    // Datagrams to a socket that is closed by now are lost.
    if (!slots[port].open || slots[port].generation != plot->route.generation)
        return;
    if (plot->kind == PLOT_REPLY && plot->route.tcp) {
        const struct upstream_side *upstream = &stage->upstreams[slots[port].upstream];
        serve_message(serve, stage->now_us, port, plot->bytes, plot->len);
        if (slots[port].open && ++slots[port].answers == upstream->closes_after)
            stage_plot(
                stage,
                &(struct plot){.at_us = stage->now_us, .kind = PLOT_HANG_UP, .route = plot->route});
    } else if (plot->kind == PLOT_REPLY) {
        serve_reply(serve, stage->now_us, port, plot->bytes, plot->len);
    } else if (plot->kind == PLOT_UNREACHABLE) {
        serve_unreachable(serve, stage->now_us, port);
    } else if (plot->kind == PLOT_CONNECTED) {
        serve_connected(serve, stage->now_us, port);
    } else {
        slots[port].open = false;
        serve_closed(serve, stage->now_us, port);
    }
    stage_drain(stage, worker);
}

static uint64_t deadline(const struct stage *stage)
{
    uint64_t earliest = WHEEL_NEVER;
    for (unsigned i = 0; i < stage->worker_count; i++) {
        uint64_t at_us = serve_deadline(stage->workers[i]);
        earliest = at_us < earliest ? at_us : earliest;
    }
    return earliest;
}

bool stage_step(struct stage *stage, uint64_t until_us)
{
    struct plot *plot = stage->plots;
    uint64_t deadline_us = deadline(stage);
    uint64_t plot_us = plot ? plot->at_us : WHEEL_NEVER;
    uint64_t next_us = plot_us < deadline_us ? plot_us : deadline_us;
    if (next_us > until_us) {
        stage->now_us = until_us > stage->now_us ? until_us : stage->now_us;
        return false;
    }
    stage->now_us = next_us > stage->now_us ? next_us : stage->now_us;
    if (plot_us < deadline_us) {
        stage->plots = plot->next;
        if (stage->plotted == plot)
            stage->plotted = NULL;
        plot_do(stage, plot);
        free(plot->bytes);
        free(plot);
        return true;
    }
    for (unsigned i = 0; i < stage->worker_count; i++) {
        if (serve_deadline(stage->workers[i]) > stage->now_us)
            continue;
        serve_expire(stage->workers[i], stage->now_us);
        stage_drain(stage, i);
        if (serve_deadline(stage->workers[i]) <= stage->now_us)
            script_fail(stage->script, "serve wants to be woken at once after serve_expire");
    }
    return true;
}

void stage_go(struct stage *stage, uint64_t until_us)
{
    while (stage_step(stage, until_us))
        ;
}

void stage_hang_up(struct stage *stage, unsigned upstream)
{
    for (unsigned worker = 0; worker < stage->worker_count; worker++) {
        for (uint16_t i = 0; i < stage->upstream_connections_max; i++) {
            const struct slot *slot = &stage->connections[worker][i];
            if (slot->open && slot->upstream == upstream)
                stage_plot(stage, &(struct plot){.at_us = stage->now_us,
                                                 .kind = PLOT_HANG_UP,
                                                 .route = {.worker = worker,
                                                           .port = i,
                                                           .tcp = true,
                                                           .generation = slot->generation}});
        }
    }
}
