// SPDX-License-Identifier: MIT
#include "tests/netsim/callers.h"

#include "tests/netsim/clients.h"
#include "tests/netsim/operator.h"
#include "tests/netsim/world.h"

#include "core/wire/bytes.h"

#include <assert.h>
#include <stdlib.h>

enum {
    ASKS_MAX = 300,
    OUT_MAX = ASKS_MAX * (2 + ASK_QUERY_MAX),
    IN_MAX = 2 + EXPECT_REPLY_MAX,
    FIRST_PORT = 40000,
    PATIENCE_US = 14000000,
    PIECES_MAX = 20000, // in which all is sent
    AGAIN_US = 20000,
    GLANCE_US = 2000, // between two looks of one that has nothing to wait for
    REFUSED_PM = 50,
    IPV6_PM = 300,
    HUGE_PM = 100,
    FLOOD_PM = 30,
    OPENS_MAX = 200,
};

enum manner {
    MANNER_ORDERLY, // reads all its replies, then closes
    MANNER_HALF,    // says that it sends no more, reads all, closes
    MANNER_LATE,    // does not read for a while, then all
    MANNER_RESET,   // reads, and resets at some time
    MANNER_DEAF,    // does not read, and resets at some time
    MANNER_BROKEN,  // stops within a message, and resets or closes
    MANNER_MUTE,    // sends nothing
    MANNER_NOISE,   // sends what is no query
    MANNER_COUNT,
};

struct caller {
    struct alarm timer;
    struct address at, server;
    struct link *link;
    enum manner manner;
    struct cookie cookie;
    bool refused, finished;
    unsigned rounds, opens;
    uint16_t first_id;
    unsigned ask_count, due;
    struct ask asks[ASKS_MAX];
    uint64_t read_us, end_us;
    size_t piece, out_len, out_done, in_len;
    uint8_t out[OUT_MAX];
    uint8_t in[IN_MAX];
};

static struct caller *callers;
static unsigned caller_count;

static bool is_patient(const struct caller *caller)
{
    return caller->manner <= MANNER_LATE;
}

// --- what it asks --------------------------------------------------------------------------------

static void ask_add(struct caller *caller, uint16_t shape)
{
    struct ask ask = clients_ask(shape);
    bool silent = ask_silent(&clients_run, caller->refused, true, &ask);
    // The server may close when it cannot read what comes, and what is behind that gets no reply.
    if (silent && is_patient(caller))
        return;
    uint8_t *head = caller->out + caller->out_len;
    size_t len =
        ask_write(&clients_run.truth, &clients_run.shapes.items[ask.shape], &ask,
                  (uint16_t)(caller->first_id + caller->ask_count), &caller->cookie, head + 2);
    store_be16(head, (uint16_t)len);
    caller->out_len += 2 + len;
    bool due = ask_due(&clients_run, caller->refused, true, &ask);
    caller->due += due;
    caller->asks[caller->ask_count++] = ask;
    clients_figures.asked++;
    clients_figures.due += due && is_patient(caller);
}

static void asks_write(struct caller *caller)
{
    static const uint8_t counts[] = {1, 1, 2, 5, 20, 50};
    struct dice *dice = &clients_run.dice;
    unsigned count =
        dice_chance(dice, FLOOD_PM) ? ASKS_MAX : counts[dice_below(dice, sizeof counts)];
    bool huge = dice_chance(dice, caller->manner == MANNER_DEAF ? 600 : HUGE_PM);
    uint16_t shape = huge ? shape_huge(&clients_run) : ASK_ANY;
    for (unsigned i = 0; i < count; i++)
        ask_add(caller, shape);
}

// Messages that are empty, or too short to be a query.
static void noise_write(struct caller *caller)
{
    unsigned len = dice_below(&clients_run.dice, 3) * 5;
    store_be16(caller->out + caller->out_len, (uint16_t)len);
    memset(caller->out + caller->out_len + 2, 0x55, len);
    caller->out_len += 2 + len;
}

static void plan(struct caller *caller)
{
    struct dice *dice = &clients_run.dice;
    caller->manner = (enum manner)dice_below(dice, MANNER_COUNT);
    caller->first_id = (uint16_t)dice_u64(dice);
    caller->ask_count = caller->due = 0;
    caller->out_len = caller->out_done = caller->in_len = 0;
    caller->finished = false;
    caller->read_us = world.now_us;
    caller->end_us = world.now_us + PATIENCE_US;
    if (!is_patient(caller))
        caller->end_us =
            world.now_us + dice_skewed(dice, dice_chance(dice, 700) ? 100000 : 3000000);
    if (caller->manner == MANNER_LATE)
        caller->read_us += dice_skewed(dice, 500000);
    if (caller->manner == MANNER_DEAF)
        caller->read_us = UINT64_MAX;
    if (caller->manner != MANNER_MUTE)
        asks_write(caller);
    if (caller->manner == MANNER_NOISE)
        noise_write(caller);
    if (caller->manner == MANNER_BROKEN && caller->out_len > 0)
        caller->out_len -= 1 + dice_below(dice, (uint32_t)caller->out_len);
    caller->piece = dice_chance(dice, 700) ? OUT_MAX : 1 + dice_below(dice, 60);
    // Whoever is patient comes to an end: a piece takes a fraction of a millisecond.
    if (caller->piece < caller->out_len / PIECES_MAX)
        caller->piece = caller->out_len / PIECES_MAX;
}

// --- what it hears -------------------------------------------------------------------------------

static void message_take(struct caller *caller, const uint8_t *bytes, size_t len)
{
    unsigned place = len >= 2 ? (uint16_t)(load_be16(bytes) - caller->first_id) : ASKS_MAX;
    if (place >= caller->ask_count)
        world_fail("a connection got a message of %zu octets to what was not asked there", len);
    struct ask *ask = &caller->asks[place];
    if (!ask->waiting)
        world_fail("a connection got a second reply");
    caller->due -= ask_due(&clients_run, caller->refused, true, ask);
    clients_judge(caller->refused, true, ask, &caller->cookie, load_be16(bytes), bytes, len);
}

static void messages_take(struct caller *caller)
{
    size_t at = 0;
    while (caller->in_len - at >= 2 &&
           caller->in_len - at >= 2 + (size_t)load_be16(caller->in + at)) {
        size_t len = load_be16(caller->in + at);
        message_take(caller, caller->in + at + 2, len);
        at += 2 + len;
    }
    memmove(caller->in, caller->in + at, caller->in_len - at);
    caller->in_len -= at;
}

// False: the connection has ended.
static bool hear(struct caller *caller)
{
    for (;;) {
        int got = link_read(caller->link, caller->in + caller->in_len, IN_MAX - caller->in_len);
        if (got <= 0)
            return got == LINK_NOTHING;
        caller->in_len += (size_t)got;
        messages_take(caller);
    }
}

static bool speak(struct caller *caller)
{
    size_t left = caller->out_len - caller->out_done;
    if (left == 0)
        return true;
    int sent = link_write(caller->link, caller->out + caller->out_done,
                          left < caller->piece ? left : caller->piece);
    if (sent < 0)
        return false;
    caller->out_done += (size_t)sent;
    return true;
}

// --- its life ------------------------------------------------------------------------------------

static void hang_up(struct caller *caller)
{
    bool patient = is_patient(caller);
    if (patient && caller->due > 0) {
        clients_figures.lost += caller->due;
        if (world.params.gentle && !operator_excuses())
            world_fail("%u queries over TCP have no reply though nothing was lost (%zu of %zu "
                       "octets sent)",
                       caller->due, caller->out_done, caller->out_len);
    }
    clients_figures.cut_off += patient && caller->due > 0;
    link_close(caller->link, !patient && dice_chance(&clients_run.dice, 600));
    caller->link = NULL;
    caller->rounds--;
    if (caller->rounds > 0)
        alarm_set(&caller->timer,
                  world.now_us + 1 +
                      dice_skewed(&clients_run.dice, (uint32_t)world.params.span_us));
}

static void call(struct caller *caller)
{
    caller->link = link_open(&caller->at, &caller->server, &caller->timer);
    if (!caller->link) { // full
        if (++caller->opens > OPENS_MAX)
            world_fail("nobody accepts connections any more");
        alarm_set(&caller->timer, world.now_us + AGAIN_US);
        return;
    }
    caller->opens = 0;
    clients_figures.connections++;
    caller->at.port++;
    plan(caller);
    alarm_set(&caller->timer, world.now_us + 1);
}

static void go_on(struct caller *caller)
{
    bool open = speak(caller);
    bool all_sent = caller->out_done == caller->out_len;
    if (open && all_sent && caller->manner == MANNER_HALF && !caller->finished) {
        caller->finished = true;
        link_finish(caller->link);
    }
    // Also where nothing can be sent any more there may be replies to read.
    if (caller->read_us <= world.now_us)
        open = hear(caller) && open;
    bool over = is_patient(caller) && all_sent && caller->due == 0;
    if (!open || over || world.now_us >= caller->end_us) {
        hang_up(caller);
        return;
    }
    alarm_hasten(&caller->timer, caller->end_us);
    if (!all_sent)
        alarm_hasten(&caller->timer, world.now_us + 1 + dice_below(&world.dice, GLANCE_US));
    if (caller->read_us > world.now_us && caller->read_us < caller->end_us)
        alarm_hasten(&caller->timer, caller->read_us);
}

static void caller_run(void *context)
{
    struct caller *caller = context;
    if (caller->link)
        go_on(caller);
    else
        call(caller);
}

void callers_begin(unsigned count)
{
    struct dice *dice = &clients_run.dice;
    caller_count = count;
    callers = calloc(count, sizeof *callers);
    assert(callers || count == 0);
    for (unsigned i = 0; i < count; i++) {
        struct caller *caller = &callers[i];
        bool ipv6 = dice_chance(dice, IPV6_PM);
        caller->refused = !ipv6 && dice_chance(dice, REFUSED_PM);
        caller->at =
            clients_address(i % 4, caller->refused, ipv6, (uint16_t)(FIRST_PORT + 100 * i));
        caller->server = clients_server(1 + dice_below(dice, 3), ipv6);
        caller->timer = (struct alarm){.run = caller_run, .context = caller};
        caller->rounds = 1 + world.params.rounds;
        cookie_draw(&caller->cookie, dice);
        alarm_set(&caller->timer,
                  world.now_us + 1 + dice_below(dice, (uint32_t)world.params.span_us));
    }
}

bool callers_done(void)
{
    for (unsigned i = 0; i < caller_count; i++) {
        if (callers[i].timer.at_us != 0)
            return false;
    }
    return true;
}

void callers_end(void)
{
    free(callers);
    callers = NULL;
    caller_count = 0;
}
