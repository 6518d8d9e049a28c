// SPDX-License-Identifier: MIT
#pragma once
#include "core/address.h"
#include "tests/netsim/link.h"

#include <stddef.h>

// The network between the engine and the hosts around it. Datagrams get lost, come twice, late, cut
// and in another order, where the seed wants that. Each that leaves the engine has to be for a host
// that is there.

struct host {
    struct host *next;
    struct address at;
    void (*datagram)(void *context, const struct address *from, const uint8_t *bytes, size_t len);
    void (*connect)(void *context, struct link *link); // to be decided about; NULL: never comes
    void *context;
};

void network_begin(void);
void network_add(struct host *host);
void network_remove(struct host *host);

void network_from_engine(const struct address *from, const struct address *to, const uint8_t *bytes,
                         size_t len);

// A connection that the engine begins.
[[nodiscard]] struct link *network_connect(const struct address *to);

// Sends a datagram to the engine. Returns how many of it will come, as far as the network goes.
// `spoil`: what comes may be cut.
unsigned network_to_engine(const struct address *from, const struct address *to,
                           const uint8_t *bytes, size_t len, bool spoil);

// Has the engine's socket there hear that `from` cannot be reached.
void network_refuse(const struct address *from, const struct address *to);

// Datagrams that are under way.
[[nodiscard]] unsigned network_flights(void);
