// SPDX-License-Identifier: MIT
#pragma once
#include "core/forward/question_table.h"
#include "core/forward/rng.h"

// TCP connections to upstreams (RFC 7766): for what is too long for a datagram, and for questions
// that somebody tries to forge answers to. A few are kept to each upstream; questions are pipelined
// on them and answered in any order, told apart by their IDs. One that nothing is asked of for a
// while is closed.
//
// Some questions stall a connection: the server answers nothing behind them, or closes. Others
// close when they have answered so many. Connections to an upstream therefore have lanes. Most
// questions share one. What was lost with a connection that the server closed is suspect and asked
// again in a lane of its own: a connection there takes a batch, half of what was lost, and half as
// many each time that happens again, until a question is alone with what it does, or the server
// answers a whole batch. Smaller batches have more connections. What was found out to stall, by its
// kind (kind.h) or by the networks that ask (stalling.h), has a third lane. In these two lanes no
// client network waits on all connections that there may be, and each has batches of its own, so it
// waits for what it has asked itself.
//
// A connection that has not been heard of for a moment although something is in flight gets nothing
// more while another one can be had; nor does a shared one that is crowded, be it with many or with
// what takes long. The networks that make the crowd stay there.
//
// A connection is a slot of a table here; io holds the socket under the same number and takes
// messages for it before it is established.

#define CONNECTION_PER_UPSTREAM 2  // connections that are shared
#define CONNECTION_EXTRA        2  // more, where all are busy
#define LANE_MIN                2  // connections of each other lane, half of them for a network
#define LANE_SUSPECT_MAX        8  // for what is suspect, where batches are small
#define LANE_SUSPECT_ALL        64 // questions on all of those
#define LANE_BATCHES            32 // of each lane: networks are spread over them by a hash

// One slot of the table in so many is for those lanes, and as many more for the first connection of
// a lane to an upstream.
#define LANE_SHARE 4

#define CONNECTION_STALE_US  100000u // without a word, after which one may be stale
#define CONNECTION_FULL      32      // questions in flight, from which on another one is opened
#define CONNECTION_CROWD     16      // the same, from which on they can be a crowd
#define CONNECTION_IN_FLIGHT 512

// A network with more than one in so many of a crowd is what the crowd is made of.
#define CONNECTION_NETWORK_SHARE 4
#define CONNECTION_NONE          UINT16_MAX

enum connection_lane {
    LANE_SHARED,
    LANE_SUSPECT, // for what was lost with another connection
    LANE_APART,   // for what is known to stall
    LANES,
};

struct connection {
    struct attempt *attempts; // in flight here
    uint64_t used_us;         // when something last went out or came in
    uint64_t silent_since_us; // when something came in, or went out with nothing else in flight
    uint64_t heard_us;        // when something last came in
    uint64_t answered_us;     // when the latest sent of what was answered here was sent
    uint16_t upstream;        // index into zone_table.upstreams
    uint16_t in_flight;       // attempts here, deferred ones among them
    uint16_t deferred;
    uint8_t lane;        // enum connection_lane
    uint8_t part;        // of the networks whose batch it is
    uint32_t batch;      // attempts that it takes, whatever the upstream would; 0: any number
    uint32_t taken;      // attempts that were attached and not deferred
    uint32_t replies;    // to what was asked here
    uint32_t unanswered; // sent here and given up while its reply may still come
    bool open;           // io has it, or is to open it
    bool to_open;        // io has not been told yet
    bool closing;        // io is to close it
    bool connected;
    bool doubted; // something sent on it was given up, and nothing has come in since
};

struct connection_table {
    struct connection *slots;
    uint16_t size;
    uint16_t open_count;
    uint16_t closing_count;
};

[[nodiscard]] size_t connection_table_size(uint16_t size);
void connection_table_init(struct connection_table *table, void *memory, uint16_t size);

// Attaches an attempt to a connection to `upstream`, a new one where there is none or those there
// are busy or stale, and gives it an ID. A new one of another lane than the shared one takes
// `batch` attempts (0: any number); those beyond are deferred. Returns the slot, with `to_open` set
// where io has yet to open it, or CONNECTION_NONE where none can be had.
struct connection_wish {
    uint16_t upstream;
    enum connection_lane lane; // a table that is too small for lanes has but the shared one
    uint8_t part;              // of the networks, among LANE_BATCHES
    uint32_t batch;
    uint64_t stale_us; // without a word, after which one is stale
    uint64_t now_us;
};
[[nodiscard]] uint16_t connection_attach(struct connection_table *table, struct rng *rng,
                                         struct attempt *attempt,
                                         const struct connection_wish *wish);
void connection_detach(struct connection_table *table, struct attempt *attempt);

// The attempt on this connection that went out with this message ID, or NULL.
[[nodiscard]] struct attempt *connection_find(const struct connection_table *table,
                                              uint16_t connection, uint16_t id);

// The connection is established; or a message came in, which says the same.
void connection_established(struct connection_table *table, uint16_t connection, uint64_t now_us);
void connection_heard(struct connection_table *table, uint16_t connection, uint64_t now_us);

// What came was asked by nobody who still waits for it: most likely a reply to what was given up.
void connection_late(struct connection_table *table, uint16_t connection);

// The oldest of what was sent on it and is not answered; NULL: there is none.
[[nodiscard]] struct attempt *connection_oldest(const struct connection *connection);

// How many were sent on it and are not answered.
[[nodiscard]] unsigned connection_sent_count(const struct connection *connection);

// Has the table room for lanes?
static inline bool connection_table_has_lanes(const struct connection_table *table)
{
    return table->size >= LANE_SHARE;
}

// May it take one more?
static inline bool connection_has_room(const struct connection *connection)
{
    return connection->batch == 0 || connection->taken < connection->batch;
}

// Has it taken all that it may, and is all of that answered?
static inline bool connection_is_spent(const struct connection *connection)
{
    return !connection_has_room(connection) && connection->deferred == connection->in_flight;
}

// io's connection is gone: the slot is free. Its attempts must be detached.
void connection_closed(struct connection_table *table, uint16_t connection);

// Has io's connection closed, now that nothing is in flight on it.
void connection_close(struct connection_table *table, uint16_t connection);

// The next slot whose connection is to be closed, free from now on; CONNECTION_NONE: there is none.
[[nodiscard]] uint16_t connection_next_closing(struct connection_table *table);

// Closes those that have nothing in flight and were last used before then, or are doubted or of
// another lane than the shared one. Returns whether any is open still.
bool connections_close_idle(struct connection_table *table, uint64_t idle_us);
