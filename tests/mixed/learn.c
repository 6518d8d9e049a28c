// SPDX-License-Identifier: MIT
#include "tests/mixed/run.h"

#include "core/wire/bytes.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ANSWER_MS = 6000, CANARY_ID = 0xbeef };

static bool readable(int fd, uint32_t within_ms)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    return poll(&poll_fd, 1, (int)within_ms) > 0;
}

// What is sent behind a query that a server may say nothing to, on the same socket: a question that
// is answered later than any that is refused or broken. Where its answer comes first, there is none
// to the query, however slow the machine is.
struct canary {
    uint8_t bytes[ASK_QUERY_MAX];
    size_t len; // 0: there is none, as the query has an answer
};

static void canary_write(const struct run *run, struct canary *canary)
{
    static const char word[] = "localhost";
    struct ask ask = {0};
    struct cookie none = {0};
    while (strcmp(families[run->shapes.items[ask.shape].family].word, word) != 0)
        ask.shape++;
    canary->len = ask_write(&run->truth, &run->shapes.items[ask.shape], &ask, CANARY_ID, &none,
                            canary->bytes);
}

static bool is_canary(const struct canary *canary, const uint8_t *reply, size_t len)
{
    return canary->len > 0 && len >= 2 && load_be16(reply) == CANARY_ID;
}

// Returns the reply's length, 0 for none.
static size_t datagram_exchange(struct run *run, const struct server *server, bool refused,
                                const struct asked *asked, const struct canary *canary,
                                uint8_t *reply)
{
    const struct sockaddr *to = (const struct sockaddr *)&server->at;
    ssize_t got = 0;
    int fd = client_socket(run, server, SOCK_DGRAM, refused, 0);
    if (fd < 0 || sendto(fd, asked->query, asked->query_len, 0, to, server->size) < 0 ||
        (canary->len > 0 && sendto(fd, canary->bytes, canary->len, 0, to, server->size) < 0))
        abort();
    if (readable(fd, ANSWER_MS))
        got = recv(fd, reply, EXPECT_REPLY_MAX, 0);
    close(fd);
    return got <= 0 || is_canary(canary, reply, (size_t)got) ? 0 : (size_t)got;
}

// Reads until there are `len` octets. False if they do not come.
static bool octets_read(int fd, uint8_t *bytes, size_t len)
{
    while (len > 0) {
        ssize_t got = readable(fd, ANSWER_MS) ? recv(fd, bytes, len, 0) : 0;
        if (got <= 0)
            return false;
        bytes += got;
        len -= (size_t)got;
    }
    return true;
}

static size_t frame(uint8_t *out, const uint8_t *message, size_t len)
{
    store_be16(out, (uint16_t)len);
    memcpy(out + 2, message, len);
    return 2 + len;
}

static size_t message_exchange(struct run *run, const struct server *server, bool refused,
                               const struct asked *asked, const struct canary *canary,
                               uint8_t *reply)
{
    uint8_t head[2], framed[2 * (2 + ASK_QUERY_MAX)];
    size_t got = 0, len = frame(framed, asked->query, asked->query_len);
    int fd = client_socket(run, server, SOCK_STREAM, refused, 0);
    if (fd < 0)
        abort();
    if (canary->len > 0)
        len += frame(framed + len, canary->bytes, canary->len);
    struct pollfd writable = {.fd = fd, .events = POLLOUT};
    bool connected = connect(fd, (const struct sockaddr *)&server->at, server->size) == 0 ||
                     (errno == EINPROGRESS && poll(&writable, 1, ANSWER_MS) > 0);
    if (connected && send(fd, framed, len, MSG_NOSIGNAL) == (ssize_t)len &&
        octets_read(fd, head, 2) && octets_read(fd, reply, load_be16(head)))
        got = load_be16(head);
    close(fd);
    return is_canary(canary, reply, got) ? 0 : got;
}

static size_t exchange(struct run *run, const struct server *server, bool refused, bool tcp,
                       const struct asked *asked, uint8_t *reply)
{
    struct canary canary = {0};
    if (asked->shape->odd)
        canary_write(run, &canary);
    return (tcp ? message_exchange : datagram_exchange)(run, server, refused, asked, &canary,
                                                        reply);
}

// The answer that comes from an upstream and that from memory have to be the same.
static void shape_learn(struct run *run, const struct server *server, bool refused, bool tcp,
                        uint16_t shape, struct cookie *cookie)
{
    static uint8_t reply[EXPECT_REPLY_MAX];
    uint8_t query[ASK_QUERY_MAX];
    struct ask ask = {.shape = shape, .number = TRUTH_POPULAR, .letters = shape + 1u};
    struct expect *expect = &run->expects[refused][tcp][shape];
    const struct shape *of = &run->shapes.items[shape];
    struct asked asked = {&run->truth, of, &ask, cookie, query, 0};
    const char *why = NULL;
    ask.number = truth_issue(&run->truth, of->family);
    asked.query_len = ask_write(&run->truth, of, &ask, shape, cookie, query);
    size_t len = exchange(run, server, refused, tcp, &asked, reply);
    if (!expect_learn(expect, &asked, reply, len, &why)) {
        report_wrong(&run->report, reply, len, NULL, 0,
                     "the reply %s that a quiet server gave (%s, %s)", why,
                     families[of->family].word, of->what);
        return;
    }
    const uint8_t *given = expect_cookie(expect, reply, len);
    if (given) {
        memcpy(cookie->server, given, ASK_COOKIE_SERVER);
        cookie->known = true;
    }
    if (expect->silent)
        return;
    ask.letters += 1000;
    asked.query_len = ask_write(&run->truth, of, &ask, shape ^ 0x1234, cookie, query);
    len = exchange(run, server, refused, tcp, &asked, reply);
    size_t right_len;
    if (expect_judge(expect, &asked, false, reply, len, run->right, &right_len) != VERDICT_RIGHT)
        report_wrong(&run->report, reply, len, right_len ? run->right : expect->bytes,
                     right_len ? right_len : expect->len,
                     "a quiet server's second reply is not as its first (%s, %s)",
                     families[of->family].word, of->what);
}

void forget(struct run *run)
{
    for (size_t refused = 0; refused < CLIENT_KINDS; refused++)
        for (size_t tcp = 0; tcp < TRANSPORT_KINDS; tcp++)
            for (size_t shape = 0; shape < run->shapes.count; shape++)
                expect_free(&run->expects[refused][tcp][shape]);
}

void learn(struct run *run, const struct server *server)
{
    forget(run);
    for (size_t refused = 0; refused < CLIENT_KINDS; refused++)
        for (size_t tcp = 0; tcp < TRANSPORT_KINDS; tcp++) {
            struct cookie cookie;
            cookie_draw(&cookie, &run->dice);
            for (size_t shape = 0; shape < run->shapes.count; shape++) {
                shape_learn(run, server, refused, tcp, (uint16_t)shape, &cookie);
            }
        }
}
