// SPDX-License-Identifier: MIT
#pragma once
#include "tests/mixed/run.h"

// Clients over UDP: each has a socket, sends bursts of any length, and looks at all that comes to
// it. Some only look.

struct datagrams;

struct datagrams *datagrams_make(struct run *run, int epoll);
void datagrams_free(struct datagrams *datagrams);

// One of them, any, sends a burst.
void datagrams_send(struct datagrams *datagrams, uint64_t now_us);

// What `token` of an event of the epoll stands for can be read. False: the token is not one of
// these.
bool datagrams_read(struct datagrams *datagrams, uint64_t token);

// Queries that a reply is still due to. At the end they are counted as lost.
size_t datagrams_waiting(const struct datagrams *datagrams);
