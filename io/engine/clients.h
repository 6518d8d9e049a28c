// SPDX-License-Identifier: MIT
#pragma once
#include "core/forward/pending.h"
#include "io/engine/stream.h"

// The TCP connections of one worker's clients (RFC 7766, 9210): who holds how many, how long one
// may stay without a word, and which of them make room when the table is full. What they ask is
// the worker's business, as are the answers.
//
// Answers may go out in any order. A client that closes its sending side still gets what it has
// asked for; one that does not read is closed when too much waits for it.

#define CLIENTS_QUERY_MAX  4096         // octets of a query; a longer one ends the connection
#define CLIENTS_UNSENT_MAX (256u << 10) // octets that may wait for a client to read them
#define CLIENTS_WAITING_US 10000000u    // nobody who waits for an answer is idle before this
#define CLIENTS_TICK_US    1000000u     // between two looks for those that have been idle

struct clients; // opaque

struct clients_config {
    struct ring *ring;
    unsigned count;          // of connections
    unsigned per_client_max; // of one address
    unsigned group;
    uint64_t idle_us;
    uint16_t worker;
};

// Returns 0 or -ENOMEM. To be freed after its ring is closed.
[[nodiscard]] int clients_make(struct clients **clients, const struct clients_config *config);
void clients_free(struct clients *clients);

enum clients_verdict {
    CLIENTS_TAKEN,
    CLIENTS_FULL,     // no room, and nobody was idle
    CLIENTS_TOO_MANY, // its address has as many as it may have
    CLIENTS_GONE,     // it is closed already
};

// A connection was accepted; where it is not taken it is closed.
[[nodiscard]] enum clients_verdict clients_accepted(struct clients *clients, int fd,
                                                    uint16_t listener, uint64_t now_us);

// Takes an event of a connection. What has arrived is then fetched with clients_query.
void clients_event(struct clients *clients, const struct ring_event *event, uint64_t now_us);

// The next whole query on the connection that the event was for, and whose it is; it waits for a
// reply from now on. False: there is none; a connection that has nothing more to say or to hear,
// or that says what is no query, has then been closed.
[[nodiscard]] bool clients_query(struct clients *clients, uint32_t slot, struct client *client,
                                 const uint8_t **bytes, size_t *len);

// Sends a reply; nothing happens where the connection is gone.
void clients_reply(struct clients *clients, const struct client *client, const uint8_t *bytes,
                   size_t len, uint64_t now_us);

// There will be no reply to a query of this client.
void clients_no_reply(struct clients *clients, const struct client *client);

// This client does not speak DNS: its connection is closed.
void clients_noise(struct clients *clients, const struct client *client);

// How long that is, from now on. For any thread.
void clients_idle(struct clients *clients, uint64_t idle_us);

// Closes those that have been idle for too long. Returns when it wants to be called next;
// UINT64_MAX: there is no connection.
[[nodiscard]] uint64_t clients_expire(struct clients *clients, uint64_t now_us);

[[nodiscard]] unsigned clients_open(const struct clients *clients);
