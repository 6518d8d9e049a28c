// SPDX-License-Identifier: MIT
#pragma once
#include "tests/mixed/run.h"
#include "tests/netsim/network.h"

// What clients of both kinds share: the run (what is asked and what is right, tests/mixed), their
// addresses, and how they ask.

#define SERVER_PORT 53

extern struct run clients_run;

// How many shapes of queries a client of this seed may ask is the run's business; only its state
// begins anew.
void clients_begin(uint64_t seed);

// Clients' addresses, of which some are refused; and the server's that they ask.
struct address clients_address(unsigned number, bool refused, bool ipv6, uint16_t port);
struct address clients_server(unsigned number, bool ipv6);

// A query, of any shape or of that one.
struct ask clients_ask(uint16_t shape);

// Judges a reply; a wrong one fails the seed.
void clients_judge(bool refused, bool tcp, struct ask *ask, struct cookie *cookie, uint16_t id,
                   const uint8_t *reply, size_t len);

// What was asked in all, and what became of it.
struct clients_figures {
    uint64_t asked, answered, due, lost, connections, cut_off;
};
extern struct clients_figures clients_figures;
