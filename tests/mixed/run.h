// SPDX-License-Identifier: MIT
#pragma once
#include "tests/mixed/expect.h"
#include "tests/mixed/report.h"
#include "tests/sim/dice.h"

#include <netinet/in.h>

// What the clients of one run share, and the choice of what they ask.

enum { SERVERS_MAX = 8, CLIENT_KINDS = 2, TRANSPORT_KINDS = 2 };

struct server {
    struct sockaddr_storage at;
    socklen_t size;
};

// What became of queries of one shape.
struct tally {
    uint64_t asked, due, right, failed, limited, lost; // lost: of those due
};

struct run {
    struct truth truth;
    struct shapes shapes;
    struct report report;
    struct dice dice;
    // By whether the client is refused, whether it asks over TCP, and shape.
    struct expect expects[CLIENT_KINDS][TRANSPORT_KINDS]
                         [sizeof((struct shapes *)0)->items / sizeof(struct shape)];
    struct tally tallies[TRANSPORT_KINDS][sizeof((struct shapes *)0)->items / sizeof(struct shape)];
    struct server servers[SERVERS_MAX];
    size_t server_count;
    struct in_addr allowed, refused; // the first of 64 addresses each that clients may have
    bool limits;                     // the server has some
    double patience;                 // so many times as long may everything take
    uint64_t connections;
    uint64_t stuck; // of them: still waited for a reply at the end, and were open
    uint8_t right[EXPECT_REPLY_MAX];
};

// `us`, or more where the program or the machine is slow.
uint64_t patient_us(const struct run *run, uint64_t us);

// ADDRESS:PORT or [ADDRESS]:PORT.
[[nodiscard]] bool server_parse(const char *text, struct server *server);

// A socket of a client, bound to one of the run's addresses where the server has an IPv4 one.
// Negative errno where there can be none.
[[nodiscard]] int client_socket(const struct run *run, const struct server *server, int type,
                                bool refused, uint32_t number);

void cookie_draw(struct cookie *cookie, struct dice *dice);

// A query of any kind; or of one shape, where `shape` is not ASK_ANY. Its name is popular, new, or
// one that was new a moment ago.
#define ASK_ANY UINT16_MAX
struct ask ask_choose(struct run *run, uint16_t shape);

// Any shape of the questions whose answers fill buffers.
uint16_t shape_huge(struct run *run);

// Judges a reply, counts and reports. `who` is for the report.
void reply_judge(struct run *run, bool refused, bool tcp, struct ask *ask, struct cookie *cookie,
                 uint16_t id, const uint8_t *reply, size_t len, const char *who);

// Whether a right server says nothing to such a query, and whether it must reply: errors over UDP
// are given so often and no more, so that loops of them end.
bool ask_silent(const struct run *run, bool refused, bool tcp, const struct ask *ask);
bool ask_due(const struct run *run, bool refused, bool tcp, const struct ask *ask);

// Asks `server` one question after the other, each twice, and keeps the replies as the right ones.
void learn(struct run *run, const struct server *server);

// Frees what was stored.
void forget(struct run *run);
