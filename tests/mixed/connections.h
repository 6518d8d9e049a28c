// SPDX-License-Identifier: MIT
#pragma once
#include "tests/mixed/run.h"

// Clients over TCP, well-mannered and not: they pipeline, send in pieces, break off in the middle
// of a message, do not read, and reset their connections at any time. What comes on a connection
// has to be due there.

struct connections;

struct connections *connections_make(struct run *run, int epoll);
void connections_free(struct connections *connections);

// Opens connections where some have ended, as long as `open` says so, sends and ends what is due.
// Returns how many are open.
size_t connections_turn(struct connections *connections, uint64_t now_us, bool open);

// As datagrams_read.
bool connections_event(struct connections *connections, uint64_t token, uint32_t events,
                       uint64_t now_us);
