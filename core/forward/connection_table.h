// SPDX-License-Identifier: MIT
#pragma once
#include "core/forward/question_table.h"
#include "core/forward/rng.h"

// TCP connections to upstreams (RFC 7766): for replies that are too long for a datagram, and for
// questions to which replies are being forged. Each upstream has a few; questions are pipelined on
// them and answered in any order, matched by their IDs. Idle connections are closed.
//
// Some questions stall a connection: the server answers nothing after them, or closes it. Some
// servers close a connection after a number of answers. So the connections to an upstream have
// lanes. Most questions share one. Questions that were lost with a connection that the server
// closed are suspect, and asked again in a second lane. A connection there takes a batch: half of
// the questions that were lost, and half as many each time that it happens again, until a question
// is alone on its connection, or the server answers a whole batch. The smaller the batches, the
// more connections. Questions known to stall, by their kind (kind.h) or by the networks that ask
// (stalling.h), have a third lane. In these two lanes no client network can occupy all connections,
// and networks have batches of their own, so each waits only for its own questions.
//
// A connection that has been silent for a moment with questions in flight gets no more while there
// is another one. The same goes for a shared connection that is crowded, with many questions or
// with slow ones; the networks that make up the crowd stay there.
//
// A connection is a slot of a table here; io keeps the socket under the same number, and accepts
// messages for it before it is established.

#define CONNECTION_PER_UPSTREAM 2  // shared connections
#define CONNECTION_EXTRA        2  // more, when all are busy
#define LANE_MIN                2  // connections of each other lane; half of them for one network
#define LANE_SUSPECT_MAX        8  // connections for suspects, where batches are small
#define LANE_SUSPECT_ALL        64 // questions on all of these
#define LANE_BATCHES            32 // of each lane; a hash spreads networks over them

// One slot in LANE_SHARE is for these lanes, and as many more for the first connection of a lane to
// an upstream.
#define LANE_SHARE 4

#define CONNECTION_STALE_US  100000u // of silence, after which one may be stale
#define CONNECTION_FULL      32      // questions in flight with which another one is opened
#define CONNECTION_CROWD     16      // questions in flight that can be a crowd
#define CONNECTION_IN_FLIGHT 512

// A network with more than this part of a crowd's questions makes up the crowd.
#define CONNECTION_NETWORK_SHARE 4
#define CONNECTION_NONE          UINT16_MAX

enum connection_lane {
    LANE_SHARED,
    LANE_SUSPECT, // for questions that were lost with another connection
    LANE_APART,   // for questions known to stall
    LANES,
};

struct connection {
    struct attempt *attempts; // in flight here
    uint64_t used_us;         // time of the latest send or receipt
    uint64_t
        silent_since_us;  // time of the latest receipt, or of a send with nothing else in flight
    uint64_t heard_us;    // time of the latest receipt
    uint64_t answered_us; // the send time of the youngest attempt that was answered here
    uint16_t upstream;    // index into zone_table.upstreams
    uint16_t in_flight;   // attempts here, deferred ones among them
    uint16_t deferred;
    uint8_t lane;        // enum connection_lane
    uint8_t part;        // the part of the networks whose batch it has
    uint32_t batch;      // attempts that it may take; 0: any number
    uint32_t taken;      // attempts that were attached and not deferred
    uint32_t replies;    // to attempts sent here
    uint32_t unanswered; // sent here and dropped, while the reply may still come
    bool open;           // the slot is in use
    bool to_open;        // OUTGOING_CONNECT is still to be handed out
    bool closing;        // OUTGOING_DISCONNECT is still to be handed out
    bool connected;
    bool doubted; // an attempt sent on it was dropped, and nothing has come in since
};

struct connection_table {
    struct connection *slots;
    uint16_t size;
    uint16_t open_count;
    uint16_t closing_count;
};

[[nodiscard]] size_t connection_table_size(uint16_t size);
void connection_table_init(struct connection_table *table, void *memory, uint16_t size);

// Attaches an attempt to a connection to `upstream`, and chooses its ID. The connection is a new
// one where there is none, or all are busy or stale. In the other lanes a new one takes `batch`
// attempts (0: any number), and those beyond are deferred. Returns the slot, with `to_open` set
// where it is new; CONNECTION_NONE: there is none.
struct connection_wish {
    uint16_t upstream;
    enum connection_lane lane; // a table that is too small for lanes has only the shared one
    uint8_t part;              // of the networks, among LANE_BATCHES
    uint32_t batch;
    uint64_t stale_us; // of silence, after which one is stale
    uint64_t now_us;
};
[[nodiscard]] uint16_t connection_attach(struct connection_table *table, struct rng *rng,
                                         struct attempt *attempt,
                                         const struct connection_wish *wish);
void connection_detach(struct connection_table *table, struct attempt *attempt);

// The attempt that was sent on this connection with this message ID; NULL: there is none.
[[nodiscard]] struct attempt *connection_find(const struct connection_table *table,
                                              uint16_t connection, uint16_t id);

// The connection is established; a message arrived on it, which shows the same.
void connection_established(struct connection_table *table, uint16_t connection, uint64_t now_us);
void connection_heard(struct connection_table *table, uint16_t connection, uint64_t now_us);

// The message belongs to no attempt: most likely it is a reply to one that was dropped.
void connection_late(struct connection_table *table, uint16_t connection);

// The oldest attempt that was sent on it and is not answered; NULL: there is none.
[[nodiscard]] struct attempt *connection_oldest(const struct connection *connection);

// The number of attempts that were sent on it and are not answered.
[[nodiscard]] unsigned connection_sent_count(const struct connection *connection);

// True if the table is large enough for lanes.
static inline bool connection_table_has_lanes(const struct connection_table *table)
{
    return table->size >= LANE_SHARE;
}

// True if it may take another attempt.
static inline bool connection_has_room(const struct connection *connection)
{
    return connection->batch == 0 || connection->taken < connection->batch;
}

// True if it has taken its batch, and all of that is answered.
static inline bool connection_is_spent(const struct connection *connection)
{
    return !connection_has_room(connection) && connection->deferred == connection->in_flight;
}

// The connection has ended: its slot becomes free. Its attempts must be detached before.
void connection_closed(struct connection_table *table, uint16_t connection);

// Closes the connection, on which nothing is in flight.
void connection_close(struct connection_table *table, uint16_t connection);

// The next slot whose connection is to be closed, which becomes free; CONNECTION_NONE: there is
// none.
[[nodiscard]] uint16_t connection_next_closing(struct connection_table *table);

// Closes those without attempts that were last used before `idle_us`, are doubted, or are not of
// the shared lane. Returns whether any is still open.
bool connections_close_idle(struct connection_table *table, uint64_t idle_us);
