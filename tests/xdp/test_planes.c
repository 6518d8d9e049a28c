// SPDX-License-Identifier: MIT
#include "tests/xdp/cookies.h"
#include "tests/xdp/frame.h"
#include "tests/xdp/program.h"
#include "tests/xdp/world.h"

#include <stdio.h>
#include <stdlib.h>

// Both planes say the same. Frames of all kinds go to the program; what it answers must be what the
// worker answers the same message with, octet by octet, in a frame whose sums are right, and what
// it leaves to the sockets must be the frame that came. How many of each there are is bounded from
// below, so a program that answers nothing does not pass.
//
//   test_planes SEED FRAMES   TAP; skipped where BPF is not allowed
//
// With a third argument there is no room behind the frames.

enum {
    MESSAGE_MAX = 600,
    SPOILED_TENTHS = 2,
    HITS_PERCENT = 20,     // of all frames, at least: the slower the machine, the fewer
    ANSWERED_PERCENT = 38, // of these, at least, whose first hits are the worker's
    SHORT_PERCENT = 32,    // where long answers find no room
    WAIT_EVERY = 500,      // frames
    TICK_US = 20000,       // of the kernel's, at most
    RULES_EVERY = 20000,
    COOKIES_EVERY = 2000,
    COOKIES_PERMILLE = 3, // of all frames are answered with one, at least
    CLIENTS_EVERY = 3000,
    MTU_EVERY = 700,
};

struct asked {
    struct frame_form form;
    uint8_t message[MESSAGE_MAX];
    size_t len;
    bool plain;   // a query that no rule of the program's own leaves to the sockets
    bool cookied; // with a cookie that the program is to take for valid
};

struct run {
    struct world *world;
    bool no_tail;
    struct plane_counters before;
    uint64_t answered, frames, cached;
    uint64_t spoiled_answered;
    uint64_t cookies_answered; // by the worker's counter of valid ones
    char wrong[200];
};

static uint16_t type_draw(struct world *w)
{
    static const uint16_t types[] = {TYPE_A,  TYPE_A,   TYPE_A,   TYPE_AAAA,  TYPE_AAAA, TYPE_TXT,
                                     TYPE_MX, TYPE_ANY, TYPE_TXT, TYPE_HTTPS, TYPE_NS};
    static const uint16_t others[] = {0,   TYPE_OPT, TYPE_DS,    249,        250,   TYPE_IXFR,
                                      252, 253,      TYPE_MAILA, TYPE_CNAME, 65535, 256};
    if (world_below(w, 8) == 0)
        return others[world_below(w, sizeof others / sizeof *others)];
    return types[world_below(w, sizeof types / sizeof *types)];
}

static bool is_plain_type(uint16_t type)
{
    return type != 0 && type != TYPE_OPT && (type < 249 || type > TYPE_ANY);
}

// Most questions are about few names, as in life.
static unsigned name_draw(struct world *w)
{
    unsigned bound = world_below(w, 4) ? WORLD_NAMES / 10 : WORLD_NAMES;
    return world_below(w, bound);
}

static size_t opt_put(struct world *w, const struct address *from, struct asked *asked, uint8_t *at)
{
    static const uint16_t sizes[] = {0, 512, 513, 600, 1220, 1232, 1400, 4096, 65535};
    uint16_t size = sizes[world_below(w, sizeof sizes / sizeof *sizes)];
    memset(at, 0, OPT_LEN);
    store_be16(at + 1, TYPE_OPT);
    store_be16(at + 3, size);
    at[5] = (uint8_t)(world_below(w, 20) ? 0 : world_random(w)); // an extended rcode
    at[7] = world_below(w, 3) ? 0 : 0x80;
    at[8] = (uint8_t)(world_below(w, 20) ? 0 : world_random(w));
    if (world_below(w, 30) == 0) { // a version, or an option
        at[6] = (uint8_t)world_below(w, 2);
        asked->plain &= at[6] == 0;
    }
    if (world_below(w, 4))
        return OPT_LEN;
    size_t options_len = cookies_draw(w, from, at + OPT_LEN, &asked->cookied);
    asked->plain &= asked->cookied;
    store_be16(at + 9, (uint16_t)options_len);
    return OPT_LEN + options_len;
}

static void query_draw(struct world *w, const struct address *from, struct asked *asked)
{
    uint8_t *message = asked->message;
    uint16_t type = type_draw(w);
    memset(message, 0, MESSAGE_HEADER_LEN);
    store_be16(message, (uint16_t)world_random(w));
    message[2] = world_below(w, 30) ? HEADER_RD : 0;
    message[3] =
        (uint8_t)((world_below(w, 5) ? 0 : HEADER_CD) | (world_below(w, 5) ? 0 : HEADER_AD));
    store_be16(message + 4, 1);
    size_t len = world_name(w, name_draw(w), message + MESSAGE_HEADER_LEN);
    for (size_t i = 0; i < len; i++) {
        uint8_t *octet = &message[MESSAGE_HEADER_LEN + i];
        if (*octet >= 'a' && *octet <= 'z' && world_below(w, 2))
            *octet &= (uint8_t)~0x20;
    }
    len += MESSAGE_HEADER_LEN;
    store_be16(message + len, type);
    store_be16(message + len + 2, world_below(w, 50) ? CLASS_IN : (uint16_t)world_below(w, 5));
    asked->plain &=
        message[2] == HEADER_RD && is_plain_type(type) && load_be16(message + len + 2) == CLASS_IN;
    len += 4;
    if (world_below(w, 3)) {
        store_be16(message + 10, 1);
        len += opt_put(w, from, asked, message + len);
    }
    asked->len = len;
}

static void form_draw(struct world *w, struct asked *asked)
{
    asked->form = (struct frame_form){
        .ipv6 = world_below(w, 3) == 0,
        .vlan_tags = world_below(w, 4) ? 0 : world_below(w, 4),
        .padding = world_below(w, 8) ? 0 : world_below(w, 80),
        .host = (uint8_t)(world_below(w, 10) ? world_below(w, 128) : world_below(w, 256)),
        .port = (uint16_t)(world_below(w, 50) ? 1024 + world_below(w, 60000) : 0),
        .odd = world_below(w, 8) ? ODD_NOTHING : (enum frame_odd)world_below(w, ODD_COUNT),
    };
    asked->form.no_checksum = !asked->form.ipv6 && world_below(w, 10) == 0;
    asked->plain = asked->form.vlan_tags <= 2 && asked->form.padding <= PLANE_PADDING_MAX &&
                   asked->form.port != 0 && asked->form.odd < ODD_PLAIN;
}

// Changes some octets, or the length.
static void spoil(struct world *w, struct frame *frame)
{
    unsigned changes = 1 + world_below(w, 3);
    for (unsigned i = 0; i < changes; i++)
        frame->bytes[world_below(w, (unsigned)frame->len)] ^= (uint8_t)(1u << world_below(w, 8));
    if (world_below(w, 4) == 0 && frame->len > 40)
        frame->len -= world_below(w, 30);
}

// A spoiled frame whose sums are put right again, so that what is behind them is looked at.
static void repair(struct frame *frame, const struct asked *asked)
{
    struct frame_form form = asked->form;
    uint8_t message[MESSAGE_MAX];
    memcpy(message, frame->bytes + frame->message_at, asked->len);
    frame_write(frame, &form, message, asked->len);
}

static enum plane_reason reason_of(struct run *run)
{
    struct plane_counters now;
    enum plane_reason reason = PLANE_REASONS;
    if (plane_add_up(run->world->plane, &now) != 0)
        return reason;
    for (unsigned i = 0; i < PLANE_REASONS; i++) {
        if (now.frames[i] != run->before.frames[i])
            reason = (enum plane_reason)i;
    }
    run->before = now;
    return reason;
}

static bool fail(struct run *run, const char *what)
{
    if (!run->wrong[0])
        snprintf(run->wrong, sizeof run->wrong, "frame %llu: %s", (unsigned long long)run->frames,
                 what);
    return false;
}

// Answered: the worker says the same.
static bool answer_same(struct run *run, const struct asked *asked, const struct frame *query,
                        struct frame *reply)
{
    // A checksum that is not finished can be right by chance.
    if (asked->form.odd >= ODD_PLAIN && asked->form.odd != ODD_UDP_PARTIAL)
        return fail(run, "answered, though it is nothing that the kernel gives to a socket");
    const char *wrong = frame_check(query, &asked->form, reply);
    if (wrong)
        return fail(run, wrong);
    if (reply->len - reply->ip_at > run->world->mtu)
        return fail(run, "an answer is longer than the interface takes");
    struct client client = frame_client(query, &asked->form);
    const uint8_t *message = query->bytes + query->message_at;
    uint64_t valid = run->world->counters.values[COUNTER_cookies_valid];
    struct serve_item item = world_ask(run->world, &client, message, asked->len);
    run->cookies_answered += run->world->counters.values[COUNTER_cookies_valid] - valid;
    if (item.verdict != SERVE_ANSWERED || item.source != COUNTER_answers_cache)
        return fail(run, "answered, though the worker has no cached answer");
    size_t len = reply->len - reply->message_at;
    if (item.out_len != len || memcmp(item.out, reply->bytes + reply->message_at, len) != 0)
        return fail(run, "the octets of the answers differ");
    return true;
}

// Left to the sockets, for a reason that holds.
static bool pass_good(struct run *run, const struct asked *asked, const struct frame *query,
                      const struct frame *left, enum plane_reason reason, bool spoiled)
{
    if (left->len != query->len || memcmp(left->bytes, query->bytes, left->len) != 0)
        return fail(run, "a frame that goes up is changed");
    if (spoiled)
        return true;
    if (asked->plain && reason <= PLANE_UNUSUAL)
        return fail(run, "a plain query goes up as if it were none");
    struct client client = frame_client(query, &asked->form);
    struct serve_item item = world_ask(run->world, &client, asked->message, asked->len);
    bool cached = item.verdict == SERVE_ANSWERED && item.source == COUNTER_answers_cache;
    run->cached += cached;
    if (cached && asked->plain && (reason == PLANE_MISS || reason == PLANE_EXPIRED))
        return fail(run, "what is cached is not found");
    if (reason == PLANE_TORN || (reason == PLANE_FRAME && !run->no_tail))
        return fail(run, "torn, or no room for it, though nothing else runs");
    return true;
}

static bool frame_try(struct run *run)
{
    struct world *w = run->world;
    struct asked asked = {0};
    struct frame query, reply;
    uint64_t began_us = world_now_us(w);
    form_draw(w, &asked);
    frame_write(&query, &asked.form, asked.message, 0);
    struct client client = frame_client(&query, &asked.form);
    query_draw(w, &client.from, &asked);
    frame_write(&query, &asked.form, asked.message, asked.len);
    asked.plain &= world_allows(w, &client.from);
    bool spoiled = asked.form.odd == ODD_NOTHING && world_below(w, 10) < SPOILED_TENTHS;
    if (spoiled)
        spoil(w, &query);
    if (spoiled && world_below(w, 2))
        repair(&query, &asked);
    reply = query;
    world_turn_set(w, world_turn(w));
    int said = world_run(w, reply.bytes, &reply.len);
    enum plane_reason reason = reason_of(run);
    run->frames++;
    if (said != PROGRAM_PASS && said != PROGRAM_TX)
        return fail(run, "the program says something else");
    if ((said == PROGRAM_TX) != (reason == PLANE_ANSWERED))
        return fail(run, "it is counted as something else");
    bool good = said == PROGRAM_TX ? answer_same(run, &asked, &query, &reply)
                                   : pass_good(run, &asked, &query, &reply, reason, spoiled);
    run->answered += said == PROGRAM_TX;
    run->spoiled_answered += said == PROGRAM_TX && spoiled;
    // The two may have been asked in different seconds, as the program reads the clock once a tick.
    if (!good && (world_now_us(w) / 1000000 != began_us / 1000000 || began_us % 1000000 < TICK_US))
        run->wrong[0] = '\0';
    return good || !run->wrong[0];
}

static void report(unsigned *number, bool good, const char *what)
{
    printf("%s %u - %s\n", good ? "ok" : "not ok", ++*number, what);
}

static unsigned counts_report(struct run *run)
{
    unsigned number = 0, never = 0;
    struct plane_counters now;
    if (run->wrong[0])
        printf("# %s\n", run->wrong);
    report(&number, !run->wrong[0], "both planes say the same");
    int error = plane_add_up(run->world->plane, &now);
    for (unsigned i = 0; i < PLANE_TORN; i++) {
        if (i == PLANE_OFF)
            continue;
        printf("# reason %u: %llu\n", i, (unsigned long long)now.frames[i]);
        never += now.frames[i] == 0;
    }
    report(&number, error == 0 && never == 0, "each reason to leave a frame to the sockets occurs");
    printf("# %llu of %llu frames answered, %llu of them spoiled; %llu hits left to the worker\n",
           (unsigned long long)run->answered, (unsigned long long)run->frames,
           (unsigned long long)run->spoiled_answered, (unsigned long long)run->cached);
    uint64_t hits = run->answered + run->cached;
    report(&number,
           hits * 100 >= run->frames * HITS_PERCENT &&
               run->answered * 100 >= hits * (run->no_tail ? SHORT_PERCENT : ANSWERED_PERCENT),
           "a good share of the hits is answered by the program");
    printf("# %llu of them with a valid cookie\n", (unsigned long long)run->cookies_answered);
    report(&number, now.cookies == run->cookies_answered, "it counts cookies as the worker does");
    report(&number, run->cookies_answered * 1000 >= run->frames * COOKIES_PERMILLE,
           "queries with a valid cookie are answered by the program");
    printf("1..%u\n", number);
    return number;
}

// Most times it takes all that is answered.
static uint16_t mtu_draw(struct world *w)
{
    static const uint16_t others[] = {1280, 576, 200, 110};
    return world_below(w, 4) ? WORLD_MTU : others[world_below(w, sizeof others / sizeof *others)];
}

int main(int argc, char **argv)
{
    char why[PLANE_WHY_SIZE] = "";
    struct run run = {0};
    uint64_t frames = argc >= 3 ? strtoull(argv[2], NULL, 10) : 0;
    if (frames == 0) {
        fprintf(stderr, "usage: %s SEED FRAMES\n", argv[0]);
        return 2;
    }
    run.no_tail = argc == 4;
    run.world =
        world_make(strtoull(argv[1], NULL, 10),
                   (struct plane_options){.shard_size = 1 << 20, .no_tail = run.no_tail}, why);
    if (!run.world) {
        printf("1..0 # SKIP %s\n", why);
        return 0;
    }
    for (uint64_t i = 0; i < frames && frame_try(&run); i++) {
        if (i % WAIT_EVERY == WAIT_EVERY - 1)
            world_wait(run.world, world_below(run.world, 3000000));
        if (i % RULES_EVERY == RULES_EVERY - 1)
            world_rules(run.world);
        if (i % CLIENTS_EVERY == CLIENTS_EVERY - 1)
            world_clients(run.world);
        if (i % MTU_EVERY == MTU_EVERY - 1)
            world_mtu(run.world, mtu_draw(run.world));
        if (i % COOKIES_EVERY == COOKIES_EVERY - 1)
            cookies_source_draw(run.world);
    }
    (void)counts_report(&run);
    world_free(run.world);
    return 0;
}
