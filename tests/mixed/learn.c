// SPDX-License-Identifier: MIT
#include "tests/mixed/run.h"

#include "core/wire/bytes.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ANSWER_MS = 6000 };

static bool readable(int fd, uint32_t within_ms)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    return poll(&poll_fd, 1, (int)within_ms) > 0;
}

// Returns the reply's length, 0 for none.
static size_t datagram_exchange(struct run *run, const struct server *server, bool refused,
                                const uint8_t *query, size_t len, uint32_t wait_ms, uint8_t *reply)
{
    ssize_t got = 0;
    int fd = client_socket(run, server, SOCK_DGRAM, refused, 0);
    if (fd < 0)
        abort();
    if (sendto(fd, query, len, 0, (const struct sockaddr *)&server->at, server->size) < 0)
        abort();
    if (readable(fd, wait_ms))
        got = recv(fd, reply, EXPECT_REPLY_MAX, 0);
    close(fd);
    return got > 0 ? (size_t)got : 0;
}

// Reads until there are `len` octets. False if they do not come.
static bool octets_read(int fd, uint8_t *bytes, size_t len, uint32_t wait_ms)
{
    while (len > 0) {
        ssize_t got = readable(fd, wait_ms) ? recv(fd, bytes, len, 0) : 0;
        if (got <= 0)
            return false;
        bytes += got;
        len -= (size_t)got;
    }
    return true;
}

static size_t message_exchange(struct run *run, const struct server *server, bool refused,
                               const uint8_t *query, size_t len, uint32_t wait_ms, uint8_t *reply)
{
    uint8_t head[2], framed[2 + ASK_QUERY_MAX];
    size_t got = 0;
    int fd = client_socket(run, server, SOCK_STREAM, refused, 0);
    if (fd < 0)
        abort();
    store_be16(framed, (uint16_t)len);
    memcpy(framed + 2, query, len);
    struct pollfd writable = {.fd = fd, .events = POLLOUT};
    bool connected = connect(fd, (const struct sockaddr *)&server->at, server->size) == 0 ||
                     (errno == EINPROGRESS && poll(&writable, 1, ANSWER_MS) > 0);
    if (connected && send(fd, framed, len + 2, MSG_NOSIGNAL) == (ssize_t)(len + 2) &&
        octets_read(fd, head, 2, wait_ms) && octets_read(fd, reply, load_be16(head), wait_ms))
        got = load_be16(head);
    close(fd);
    return got;
}

static size_t exchange(struct run *run, const struct server *server, bool refused, bool tcp,
                       const struct asked *asked, uint32_t silence_ms, uint8_t *reply)
{
    uint32_t wait_ms = asked->shape->odd ? silence_ms : ANSWER_MS;
    return (tcp ? message_exchange : datagram_exchange)(run, server, refused, asked->query,
                                                        asked->query_len, wait_ms, reply);
}

// The answer that comes from an upstream and that from memory have to be the same.
static void shape_learn(struct run *run, const struct server *server, bool refused, bool tcp,
                        uint16_t shape, struct cookie *cookie, uint32_t silence_ms)
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
    size_t len = exchange(run, server, refused, tcp, &asked, silence_ms, reply);
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
    len = exchange(run, server, refused, tcp, &asked, silence_ms, reply);
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
        for (size_t tcp = 0; tcp < TRANSPORTS; tcp++)
            for (size_t shape = 0; shape < run->shapes.count; shape++)
                expect_free(&run->expects[refused][tcp][shape]);
}

void learn(struct run *run, const struct server *server, uint32_t silence_ms)
{
    forget(run);
    for (size_t refused = 0; refused < CLIENT_KINDS; refused++)
        for (size_t tcp = 0; tcp < TRANSPORTS; tcp++) {
            struct cookie cookie;
            cookie_make(&cookie, &run->dice);
            for (size_t shape = 0; shape < run->shapes.count; shape++) {
                shape_learn(run, server, refused, tcp, (uint16_t)shape, &cookie, silence_ms);
            }
        }
}
