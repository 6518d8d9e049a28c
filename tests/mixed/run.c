// SPDX-License-Identifier: MIT
#include "tests/mixed/run.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    ODD_PER_MILLE = 350,
    FRESH_PER_MILLE = 150,
    RECENT_PER_MILLE = 300,
    RECENT = 30,
    ADDRESSES = 64,
    RECEIVE_BUFFER = 4 << 20
};

uint64_t patient_us(const struct run *run, uint64_t us)
{
    return (uint64_t)((double)us * run->patience);
}

bool server_parse(const char *text, struct server *server)
{
    char address[64];
    const char *colon = strrchr(text, ':');
    *server = (struct server){0};
    if (!colon || colon - text >= (ptrdiff_t)sizeof address)
        return false;
    bool six = text[0] == '[';
    size_t len = (size_t)(colon - text) - 2 * six;
    memcpy(address, text + six, len);
    address[len] = 0;
    uint16_t port = htons((uint16_t)atoi(colon + 1));
    struct sockaddr_in *in = (void *)&server->at;
    struct sockaddr_in6 *in6 = (void *)&server->at;
    if (six) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = port;
        server->size = sizeof *in6;
        return inet_pton(AF_INET6, address, &in6->sin6_addr) == 1;
    }
    in->sin_family = AF_INET;
    in->sin_port = port;
    server->size = sizeof *in;
    return inet_pton(AF_INET, address, &in->sin_addr) == 1;
}

int client_socket(const struct run *run, const struct server *server, int type, bool refused,
                  uint32_t number)
{
    int buffer = RECEIVE_BUFFER;
    int fd = socket(server->at.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (type == SOCK_DGRAM &&
        setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer) != 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    if (server->at.ss_family == AF_INET) {
        uint32_t base = ntohl((refused ? run->refused : run->allowed).s_addr);
        struct sockaddr_in from = {.sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(base + number % ADDRESSES)};
        if (bind(fd, (struct sockaddr *)&from, sizeof from) != 0) {
            int error = -errno;
            close(fd);
            return error;
        }
    }
    return fd;
}

void cookie_draw(struct cookie *cookie, struct dice *dice)
{
    uint64_t client = dice_u64(dice);
    *cookie = (struct cookie){0};
    memcpy(cookie->client, &client, sizeof client);
}

static uint16_t shape_choose(struct run *run)
{
    uint32_t good = (uint32_t)run->shapes.good, odd = (uint32_t)run->shapes.count - good;
    return (uint16_t)(dice_chance(&run->dice, ODD_PER_MILLE) ? good + dice_below(&run->dice, odd)
                                                             : dice_below(&run->dice, good));
}

uint16_t shape_huge(struct run *run)
{
    for (;;) {
        uint32_t shape = dice_below(&run->dice, (uint32_t)run->shapes.good);
        if (families[run->shapes.items[shape].family].kind == ANSWER_HUGE)
            return (uint16_t)shape;
    }
}

static uint32_t number_choose(struct run *run, size_t family)
{
    uint32_t kind = dice_below(&run->dice, 1000);
    if (kind < FRESH_PER_MILLE)
        return truth_issue(&run->truth, family);
    if (kind < FRESH_PER_MILLE + RECENT_PER_MILLE)
        return run->truth.issued[family] - 1 - dice_below(&run->dice, RECENT);
    return dice_below(&run->dice, TRUTH_POPULAR);
}

struct ask ask_choose(struct run *run, uint16_t shape)
{
    struct ask ask = {.waiting = true, .letters = (uint32_t)dice_u64(&run->dice)};
    ask.shape = shape == ASK_ANY ? shape_choose(run) : shape;
    ask.number = number_choose(run, run->shapes.items[ask.shape].family);
    return ask;
}

bool ask_silent(const struct run *run, bool refused, bool tcp, const struct ask *ask)
{
    return run->expects[refused][tcp][ask->shape].silent;
}

bool ask_due(const struct run *run, bool refused, bool tcp, const struct ask *ask)
{
    bool error = refused || run->shapes.items[ask->shape].odd;
    return !ask_silent(run, refused, tcp, ask) && (tcp || !error);
}

static void cookie_keep(const struct expect *expect, struct cookie *cookie, const uint8_t *reply,
                        size_t len)
{
    const uint8_t *server = expect_cookie(expect, reply, len);
    if (!server)
        return;
    memcpy(cookie->server, server, ASK_COOKIE_SERVER);
    cookie->known = true;
}

void reply_judge(struct run *run, bool refused, bool tcp, struct ask *ask, struct cookie *cookie,
                 uint16_t id, const uint8_t *reply, size_t len, const char *who)
{
    uint8_t query[ASK_QUERY_MAX];
    const struct shape *shape = &run->shapes.items[ask->shape];
    const struct expect *expect = &run->expects[refused][tcp][ask->shape];
    struct tally *tally = &run->tallies[tcp][ask->shape];
    struct asked asked = {&run->truth, shape, ask, cookie, query, 0};
    asked.query_len = ask_write(&run->truth, shape, ask, id, cookie, query);
    size_t right_len;
    enum verdict verdict =
        expect_judge(expect, &asked, run->limits, reply, len, run->right, &right_len);
    ask->waiting = false;
    tally->right += verdict == VERDICT_RIGHT;
    tally->failed += verdict == VERDICT_FAILED;
    tally->limited += verdict == VERDICT_LIMITED;
    if (verdict == VERDICT_RIGHT)
        cookie_keep(expect, cookie, reply, len);
    if (verdict == VERDICT_WRONG)
        report_wrong(&run->report, reply, len, right_len ? run->right : expect->bytes,
                     right_len ? right_len : expect->len,
                     "a wrong reply%s to %s%s (%s, %s) over %s",
                     expect->silent ? ", the first," : "", who, refused ? ", who is refused," : "",
                     families[shape->family].word, shape->what, tcp ? "TCP" : "UDP");
}
