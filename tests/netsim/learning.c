// SPDX-License-Identifier: MIT
#include "tests/netsim/learning.h"

#include "io/engine/engine.h"
#include "tests/netsim/clients.h"
#include "tests/netsim/house.h"
#include "tests/netsim/network.h"
#include "tests/netsim/resolvers.h"
#include "tests/netsim/world.h"

#include "core/wire/bytes.h"

enum { ANSWER_US = 6500000, FIRST_PORT = 1024, CLOSE_US = 200000 };

static struct {
    struct host host;
    struct alarm timer;
    struct link *link;
    uint8_t reply[2 + EXPECT_REPLY_MAX];
    size_t len; // of what has arrived
    bool over;
    uint16_t port;
} learner;

static void reply_take(void *context, const struct address *from, const uint8_t *bytes, size_t len)
{
    (void)context;
    (void)from;
    memcpy(learner.reply + 2, bytes, len);
    store_be16(learner.reply, (uint16_t)len);
    learner.len = 2 + len;
    learner.over = true;
}

static void link_run(void *context)
{
    (void)context;
    int got;
    while (!learner.over && (got = link_read(learner.link, learner.reply + learner.len,
                                             sizeof learner.reply - learner.len)) != LINK_NOTHING) {
        learner.over = got < 0;
        learner.len += got > 0 ? (size_t)got : 0;
        if (learner.len >= 2 && learner.len == 2 + (size_t)load_be16(learner.reply))
            learner.over = true;
    }
}

static void wait(void)
{
    uint64_t until_us = world.now_us + ANSWER_US;
    while (!learner.over && world.now_us < until_us)
        world_run(world.now_us + 500);
}

static void ask_by_datagram(const struct address *from, const struct asked *asked)
{
    struct address to = clients_server(1, false);
    learner.host = (struct host){.at = *from, .datagram = reply_take};
    network_add(&learner.host);
    (void)network_to_engine(from, &to, asked->query, asked->query_len, false);
    wait();
    network_remove(&learner.host);
}

static void ask_by_connection(const struct address *from, const struct asked *asked)
{
    uint8_t framed[2 + ASK_QUERY_MAX];
    struct address to = clients_server(1, false);
    learner.timer = (struct alarm){.run = link_run};
    learner.link = link_open(from, &to, &learner.timer);
    if (!learner.link)
        world_fail("nobody listens");
    store_be16(framed, (uint16_t)asked->query_len);
    memcpy(framed + 2, asked->query, asked->query_len);
    if (link_write(learner.link, framed, 2 + asked->query_len) < 0)
        world_fail("a connection is refused");
    wait();
    alarm_stop(&learner.timer);
    link_close(learner.link, false);
}

// Returns the length of the reply; 0: none.
static size_t exchange(bool refused, bool tcp, const struct asked *asked)
{
    struct address from = clients_address(1, refused, false, ++learner.port);
    learner.len = 0;
    learner.over = false;
    if (tcp)
        ask_by_connection(&from, asked);
    else
        ask_by_datagram(&from, asked);
    return learner.len > 2 && learner.len == 2 + (size_t)load_be16(learner.reply) ? learner.len - 2
                                                                                  : 0;
}

static void shape_learn(bool refused, bool tcp, uint16_t shape, struct cookie *cookie)
{
    struct run *run = &clients_run;
    uint8_t query[ASK_QUERY_MAX];
    struct ask ask = {.shape = shape, .number = TRUTH_POPULAR, .letters = shape + 1u};
    struct expect *expect = &run->expects[refused][tcp][shape];
    const struct shape *of = &run->shapes.items[shape];
    struct asked asked = {&run->truth, of, &ask, cookie, query, 0};
    const char *why = NULL;
    ask.number = truth_issue(&run->truth, of->family);
    asked.query_len = ask_write(&run->truth, of, &ask, shape, cookie, query);
    size_t len = exchange(refused, tcp, &asked);
    if (!expect_learn(expect, &asked, learner.reply + 2, len, &why))
        world_fail("the reply %s (%s, %s)", why, families[of->family].word, of->what);
    const uint8_t *given = expect_cookie(expect, learner.reply + 2, len);
    if (given) {
        memcpy(cookie->server, given, ASK_COOKIE_SERVER);
        cookie->known = true;
    }
    if (expect->silent)
        return;
    ask.letters += 1000;
    asked.query_len = ask_write(&run->truth, of, &ask, shape ^ 0x1234, cookie, query);
    len = exchange(refused, tcp, &asked);
    size_t right_len;
    if (expect_judge(expect, &asked, false, learner.reply + 2, len, run->right, &right_len) !=
        VERDICT_RIGHT)
        world_fail("the second reply is not as the first (%s, %s)", families[of->family].word,
                   of->what);
}

static void all_learn(void)
{
    struct run *run = &clients_run;
    for (unsigned refused = 0; refused < CLIENT_KINDS; refused++) {
        for (unsigned tcp = 0; tcp < TRANSPORT_KINDS; tcp++) {
            struct cookie cookie;
            cookie_draw(&cookie, &run->dice);
            for (size_t shape = 0; shape < run->shapes.count; shape++)
                shape_learn(refused, tcp, (uint16_t)shape, &cookie);
        }
    }
}

void learning_run(void)
{
    static struct settings settings;
    char why[ENGINE_WHY_SIZE];
    learner.port = FIRST_PORT;
    truth_init(&clients_run.truth, 1);
    shapes_make(&clients_run.shapes);
    params_quiet(&world.params);
    clients_begin(0);
    house_settings(&settings, false, 1);
    struct engine *engine = engine_open(&settings, house_local(), NULL, NULL, why);
    if (!engine || engine_start(engine, why) < 0)
        world_fail("no engine: %s", why);
    resolvers_begin(1);
    all_learn();
    if (engine_stop(engine) < 0)
        world_fail("a worker has failed");
    engine_close(engine);
    world_run(world.now_us + CLOSE_US);
    resolvers_end();
}
