// SPDX-License-Identifier: MIT
#pragma once
#include "core/client.h"
#include "io/transport/connections.h"

// The TCP connections of one worker's clients (RFC 7766, 9210): who holds how many, how long one
// may stay without a word, and which of them make room when the table is full. What they ask is
// the worker's business, as are the answers.
//
// Answers may go out in any order. A client that closes its sending side still gets what it has
// asked for. One that asks faster than it reads, or than it can be answered, is not read from until
// it has caught up: TCP tells it to wait. What is held for clients, answers that they have yet to
// read and queries that are not whole, has bounds all the same, for each network and in all; a
// connection that would go beyond them is closed. Those of others are not: however much is held in
// all, there is a little for each network.
//
// Where more connections have something to say than there are buffers, all have their turn.

#define CLIENTS_QUERY_MAX    65535       // octets of a query: what fits into a message
#define CLIENTS_WAITING_MAX  128         // queries of one connection that wait for an answer, and
#define CLIENTS_UNSENT_STOP  (64u << 10) // octets that wait to be read, with which it has to wait
#define CLIENTS_WAITING_US   10000000u   // no client that waits for an answer is idle before this
#define CLIENTS_RECEIVES_MAX 64          // connections that are asked for more in a round
#define CLIENTS_TICK_US      1000000u    // between two looks for those that have been idle

struct clients; // opaque

// Octets that may be held.
struct clients_held {
    uint32_t all;
    uint32_t most;  // of these for one network,
    uint32_t least; // and for one whatever the others have
};

#define CLIENTS_HELD_USUAL ((struct clients_held){32u << 20, 8u << 20, 512u << 10})

struct clients_config {
    struct net *net;
    unsigned count;          // of connections
    unsigned per_client_max; // of one network (core/share.h)
    unsigned group;
    struct clients_held held;
    uint64_t idle_us;
    uint16_t worker;
};

// Returns 0 or a negative errno. To be freed after its ring is closed.
[[nodiscard]] int clients_make(struct clients **clients, const struct clients_config *config);
void clients_free(struct clients *clients);

enum clients_verdict {
    CLIENTS_TAKEN,
    CLIENTS_FULL,     // no room, no connection was idle, and no network has more
    CLIENTS_TOO_MANY, // its network has as many as it may have
    CLIENTS_GONE,     // it is closed already
};

// A connection was accepted; where it is not taken it is closed.
[[nodiscard]] enum clients_verdict clients_accepted(struct clients *clients, int fd,
                                                    uint16_t listener, uint64_t now_us);

// Takes an event of a connection. What has arrived is then fetched with clients_query.
void clients_event(struct clients *clients, const struct net_event *event, uint64_t now_us);

// The next connection that had to wait and need not any more: its queries are to be fetched. False:
// there is none.
[[nodiscard]] bool clients_ready(struct clients *clients, uint32_t *slot);

// The next whole query on a connection, and whose it is; it waits for a reply from now on. Its
// octets stay until the next call for this slot, whatever happens to the connection. False: there
// is none for now; a connection that has nothing more to say or to hear, or that says what is no
// query, has then been closed. To be called until it returns false.
[[nodiscard]] bool clients_query(struct clients *clients, uint32_t slot, struct client *client,
                                 const uint8_t **bytes, size_t *len);

// Asks for more of connections from which something has arrived, or for which there was no buffer,
// one after the other; of so many that others than these clients have their turn. To be called once
// a round.
void clients_receive(struct clients *clients);

// Sends a reply; nothing happens where the connection is gone.
void clients_reply(struct clients *clients, const struct client *client, const uint8_t *bytes,
                   size_t len, uint64_t now_us);

// There will be no reply to a query of this client.
void clients_no_reply(struct clients *clients, const struct client *client);

// This client does not speak DNS: its connection is closed.
void clients_not_dns(struct clients *clients, const struct client *client);

// How long that is, from now on. For any thread.
void clients_idle(struct clients *clients, uint64_t idle_us);

// Closes those that have been idle for too long. Returns when it wants to be called next: 0 where a
// connection is ready or is to be asked for more, UINT64_MAX where there is none.
[[nodiscard]] uint64_t clients_expire(struct clients *clients, uint64_t now_us);

[[nodiscard]] unsigned clients_open(const struct clients *clients);
