// SPDX-License-Identifier: MIT
#include "tests/mixed/connections.h"

#include "core/wire/bytes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
    SLOTS = 40,
    ASKS_MAX = 64,
    OUT_MAX = ASKS_MAX * (2 + ASK_QUERY_MAX),
    IN_MAX = 2 + EXPECT_REPLY_MAX,
    PATIENT_US = 6000000, // for all replies, where the connection is to end in order
    TOKEN = 1 << 21,
    REFUSED_PER_MILLE = 50,
    SMALL_BUFFER = 4096,
};

// How a client behaves.
enum manner {
    MANNER_ORDERLY, // reads all its replies, then closes
    MANNER_HALF,    // says that it sends no more, reads all, closes
    MANNER_RESET,   // reads, and resets at some time
    MANNER_DEAF,    // does not read, and resets at some time
    MANNER_LATE,    // does not read for a while, then all
    MANNER_BROKEN,  // stops within a message, and resets or closes
    MANNER_MUTE,    // sends nothing
    MANNER_COUNT,
};

struct connection {
    int fd; // -1: none
    enum manner manner;
    bool refused, ended; // it has shut its sending side
    struct cookie cookie;
    uint16_t first_id;
    size_t ask_count, due;
    struct ask asks[ASKS_MAX];
    uint64_t read_us, end_us; // when it begins to read, and when it ends
    size_t piece;             // octets that it sends at once
    size_t out_len, out_done, in_len;
    uint8_t out[OUT_MAX];
    uint8_t in[IN_MAX];
};

struct connections {
    struct run *run;
    int epoll;
    struct connection slots[SLOTS];
};

struct connections *connections_make(struct run *run, int epoll)
{
    struct connections *c = calloc(1, sizeof *c);
    if (!c)
        abort();
    c->run = run;
    c->epoll = epoll;
    for (size_t i = 0; i < SLOTS; i++)
        c->slots[i].fd = -1;
    return c;
}

// Patient clients count what they have not got.
static void slot_end(struct connections *c, struct connection *slot)
{
    bool patient = slot->manner == MANNER_ORDERLY || slot->manner == MANNER_HALF;
    for (size_t i = 0; i < slot->ask_count; i++) {
        const struct ask *ask = &slot->asks[i];
        bool lost = patient && ask->waiting && ask_due(c->run, slot->refused, true, ask);
        c->run->tallies[true][ask->shape].lost += lost;
    }
    struct linger now = {.l_onoff = 1};
    if (!patient || slot->due > 0)
        setsockopt(slot->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(slot->fd);
    slot->fd = -1;
}

// Its time has passed. A patient client that still waits on an open connection has lost no packet.
static void slot_expire(struct connections *c, struct connection *slot)
{
    bool patient = slot->manner == MANNER_ORDERLY || slot->manner == MANNER_HALF;
    c->run->stuck += patient && slot->due > 0;
    slot_end(c, slot);
}

void connections_free(struct connections *c)
{
    for (size_t i = 0; i < SLOTS; i++)
        if (c->slots[i].fd >= 0)
            slot_expire(c, &c->slots[i]);
    free(c);
}

static void asks_write(struct connections *c, struct connection *slot, size_t count)
{
    struct run *run = c->run;
    bool patient = slot->manner == MANNER_ORDERLY || slot->manner == MANNER_HALF;
    // One question's answers alone fill what a server keeps for a client that does not read.
    bool huge = dice_chance(&run->dice, slot->manner == MANNER_DEAF ? 600 : 50);
    uint16_t shape = huge ? shape_huge(run) : ASK_ANY;
    while (slot->ask_count < count) {
        struct ask ask = ask_choose(run, shape);
        // A server may close when it cannot read what comes, and what is behind that gets no reply.
        if (patient && run->shapes.items[ask.shape].odd &&
            ask_silent(run, slot->refused, true, &ask))
            continue;
        uint8_t *head = slot->out + slot->out_len;
        size_t len =
            ask_write(&run->truth, &run->shapes.items[ask.shape], &ask,
                      (uint16_t)(slot->first_id + slot->ask_count), &slot->cookie, head + 2);
        store_be16(head, (uint16_t)len);
        slot->out_len += 2 + len;
        bool due = ask_due(run, slot->refused, true, &ask);
        slot->due += due;
        run->tallies[true][ask.shape].asked++;
        run->tallies[true][ask.shape].due += due;
        slot->asks[slot->ask_count++] = ask;
    }
}

static void slot_plan(struct connections *c, struct connection *slot, uint64_t now_us)
{
    static const uint8_t counts[] = {1, 1, 2, 5, 20, ASKS_MAX};
    struct dice *dice = &c->run->dice;
    slot->manner = (enum manner)dice_below(dice, MANNER_COUNT);
    slot->first_id = (uint16_t)dice_u64(dice);
    slot->read_us = slot->end_us = now_us;
    bool patient = slot->manner == MANNER_ORDERLY || slot->manner == MANNER_HALF;
    if (patient || slot->manner == MANNER_LATE)
        slot->end_us += patient_us(c->run, PATIENT_US);
    else
        slot->end_us += dice_skewed(dice, 20000);
    if (slot->manner == MANNER_LATE)
        slot->read_us += dice_skewed(dice, 200000);
    if (slot->manner == MANNER_DEAF) {
        slot->end_us += dice_skewed(dice, 200000);
        slot->read_us = UINT64_MAX;
    }
    if (slot->manner != MANNER_MUTE)
        asks_write(c, slot, counts[dice_below(dice, sizeof counts)]);
    if (slot->manner == MANNER_BROKEN)
        slot->out_len -= 1 + dice_below(dice, (uint32_t)slot->out_len);
    slot->piece = dice_chance(dice, 800) ? OUT_MAX : 1 + dice_below(dice, 60);
}

static uint32_t events_of(const struct connection *slot, uint64_t now_us)
{
    return (slot->out_done < slot->out_len ? EPOLLOUT : 0) |
           (slot->read_us <= now_us ? EPOLLIN : 0);
}

static void slot_open(struct connections *c, size_t number, uint64_t now_us)
{
    struct connection *slot = &c->slots[number];
    struct dice *dice = &c->run->dice;
    const struct server *server =
        &c->run->servers[dice_below(dice, (uint32_t)c->run->server_count)];
    memset(slot, 0, offsetof(struct connection, out));
    slot->refused = server->at.ss_family == AF_INET && dice_chance(dice, REFUSED_PER_MILLE);
    slot->fd = client_socket(c->run, server, SOCK_STREAM, slot->refused, dice_below(dice, 64));
    if (slot->fd < 0)
        return; // too many are in TIME_WAIT; the next turn tries again
    cookie_draw(&slot->cookie, dice);
    slot_plan(c, slot, now_us);
    int small = SMALL_BUFFER;
    if (slot->read_us > now_us)
        setsockopt(slot->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    c->run->connections++;
    if (connect(slot->fd, (const struct sockaddr *)&server->at, server->size) != 0 &&
        errno != EINPROGRESS) {
        slot_end(c, slot);
        return;
    }
    struct epoll_event event = {.events = events_of(slot, now_us), .data.u64 = TOKEN + number};
    if (epoll_ctl(c->epoll, EPOLL_CTL_ADD, slot->fd, &event) != 0)
        abort();
}

static void slot_watch(struct connections *c, struct connection *slot, uint64_t now_us)
{
    struct epoll_event event = {.events = events_of(slot, now_us),
                                .data.u64 = TOKEN + (uint64_t)(slot - c->slots)};
    if (epoll_ctl(c->epoll, EPOLL_CTL_MOD, slot->fd, &event) != 0)
        abort();
}

size_t connections_turn(struct connections *c, uint64_t now_us, bool open)
{
    size_t count = 0;
    for (size_t i = 0; i < SLOTS; i++) {
        struct connection *slot = &c->slots[i];
        if (slot->fd >= 0 && now_us >= slot->end_us)
            slot_expire(c, slot);
        if (slot->fd < 0 && open)
            slot_open(c, i, now_us);
        if (slot->fd >= 0 && slot->manner == MANNER_LATE && now_us >= slot->read_us)
            slot_watch(c, slot, now_us);
        count += slot->fd >= 0;
    }
    return count;
}

static void message_take(struct connections *c, struct connection *slot, const uint8_t *bytes,
                         size_t len)
{
    size_t place = len >= 2 ? (uint16_t)(load_be16(bytes) - slot->first_id) : SIZE_MAX;
    if (place >= slot->ask_count || !slot->asks[place].waiting) {
        report_wrong(&c->run->report, bytes, len, NULL, 0,
                     "a connection got a message that it is not due");
        return;
    }
    struct ask *ask = &slot->asks[place];
    slot->due -= ask_due(c->run, slot->refused, true, ask);
    reply_judge(c->run, slot->refused, true, ask, &slot->cookie, (uint16_t)(slot->first_id + place),
                bytes, len, "a connection");
}

// False: the connection has ended.
static bool slot_read(struct connections *c, struct connection *slot)
{
    ssize_t got = recv(slot->fd, slot->in + slot->in_len, IN_MAX - slot->in_len, 0);
    if (got <= 0)
        return got < 0 && (errno == EAGAIN || errno == EINTR);
    slot->in_len += (size_t)got;
    size_t at = 0;
    while (slot->in_len - at >= 2 && slot->in_len - at >= 2 + (size_t)load_be16(slot->in + at)) {
        size_t len = load_be16(slot->in + at);
        message_take(c, slot, slot->in + at + 2, len);
        at += 2 + len;
    }
    memmove(slot->in, slot->in + at, slot->in_len - at);
    slot->in_len -= at;
    return true;
}

static bool slot_write(struct connection *slot)
{
    size_t left = slot->out_len - slot->out_done;
    size_t piece = left < slot->piece ? left : slot->piece;
    ssize_t sent = send(slot->fd, slot->out + slot->out_done, piece, MSG_NOSIGNAL);
    if (sent < 0)
        return errno == EAGAIN;
    slot->out_done += (size_t)sent;
    return true;
}

bool connections_event(struct connections *c, uint64_t token, uint32_t events, uint64_t now_us)
{
    if (token < TOKEN || token >= TOKEN + SLOTS)
        return false;
    struct connection *slot = &c->slots[token - TOKEN];
    if (slot->fd < 0)
        return true;
    bool open = !(events & EPOLLERR);
    if (open && events & EPOLLOUT && slot->out_done < slot->out_len)
        open = slot_write(slot);
    bool all_sent = slot->out_done == slot->out_len;
    if (open && all_sent && slot->manner == MANNER_HALF && !slot->ended) {
        slot->ended = true;
        shutdown(slot->fd, SHUT_WR);
    }
    if (open && events & (EPOLLIN | EPOLLHUP) && slot->read_us <= now_us)
        open = slot_read(c, slot);
    bool patient = slot->manner == MANNER_ORDERLY || slot->manner == MANNER_HALF ||
                   slot->manner == MANNER_LATE;
    if (!open || (patient && all_sent && slot->due == 0) ||
        (events & EPOLLHUP && slot->read_us > now_us))
        slot_end(c, slot);
    else
        slot_watch(c, slot, now_us);
    return true;
}
