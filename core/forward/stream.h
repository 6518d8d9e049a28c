// SPDX-License-Identifier: MIT
#pragma once
#include "core/forward/pending.h"
#include "core/forward/rng.h"

// TCP connections to upstreams (RFC 7766): for what is too long for a datagram, and for questions
// that somebody tries to forge answers to. A few are kept to each upstream; questions are pipelined
// on them and answered in any order, told apart by their IDs. One that nothing is asked of for a
// while is closed.
//
// Some servers close a connection when they have answered so many questions on it, and what was
// pipelined behind those is lost. Where that was seen a connection is given no more than that: what
// is attached beyond it is held, and leaves with the next connection. There a connection with one
// question that is not answered is soon full and takes nothing more, so no client network
// (core/share.h) waits on all that there may be at once: one is left to the others.
//
// Some questions stall a connection: the server answers nothing behind them, or closes. Whose kind
// (kind.h) has done so goes over connections of its own, apart from the others. A connection that
// has not been heard of for a moment although something is in flight gets nothing more while
// another one can be had.
//
// A connection is a slot of a table here; io holds the socket under the same number and takes
// messages for it before it is established.

#define STREAM_PER_UPSTREAM 2       // connections
#define STREAM_STALE_EXTRA  2       // more, where all are stale
#define STREAM_NETWORK_MAX  3       // of those, that one network waits on where they take so many
#define STREAM_APART_MAX    1       // and for what stalls
#define STREAM_APART_SHARE  4       // of the table one slot in so many
#define STREAM_STALE_US     100000u // without a word, after which one may be stale
#define STREAM_FULL         32      // questions in flight, from which on another one is opened
#define STREAM_IN_FLIGHT    512
#define STREAM_NONE         UINT16_MAX

struct stream {
    struct attempt *attempts; // in flight here
    uint64_t used_us;         // when something last went out or came in
    uint64_t silent_since_us; // when something came in, or went out with nothing else in flight
    uint64_t heard_us;        // when something last came in
    uint64_t answered_us;     // when the latest sent of what was answered here was sent
    uint16_t upstream;        // index into plan.upstreams
    uint16_t in_flight;       // attempts here, those that are held among them
    uint16_t held;
    uint32_t taken; // attempts that were attached and not held
    uint32_t replies;
    bool open;    // io has it, or is to open it
    bool to_open; // io has not been told yet
    bool closing; // io is to close it
    bool connected;
    bool apart;   // for what stalls
    bool doubted; // something sent on it was given up, and nothing has come in since
};

struct stream_table {
    struct stream *streams;
    uint16_t size;
    uint16_t open_count;
    uint16_t closing_count;
};

[[nodiscard]] size_t stream_size(uint16_t size);
void stream_init(struct stream_table *table, void *memory, uint16_t size);

// Attaches an attempt to a connection to `upstream`, a new one where there is none or those there
// are busy or stale, and gives it an ID; to one of those apart where `apart` is set. A connection
// takes `allowance` of them (0: any number), those beyond are held. Returns the slot, with
// `to_open` set where io has yet to open it, or STREAM_NONE where none can be had.
struct stream_wish {
    uint16_t upstream;
    bool apart;
    uint32_t allowance;
    uint32_t share;    // of the client's network that the question is asked for
    uint64_t stale_us; // without a word, after which one is stale
    uint64_t now_us;
};
[[nodiscard]] uint16_t stream_attach(struct stream_table *table, struct rng *rng,
                                     struct attempt *attempt, const struct stream_wish *wish);
void stream_detach(struct stream_table *table, struct attempt *attempt);

// The attempt on this connection that went out with this message ID, or NULL.
[[nodiscard]] struct attempt *stream_find(const struct stream_table *table, uint16_t stream,
                                          uint16_t id);

// The connection is established; or a message came in, which says the same.
void stream_connected(struct stream_table *table, uint16_t stream, uint64_t now_us);
void stream_heard(struct stream_table *table, uint16_t stream, uint64_t now_us);

// The oldest of what was sent on it and is not answered; NULL: there is none.
[[nodiscard]] struct attempt *stream_oldest(const struct stream *stream);

// Has it taken all that it may, and is all of that answered?
static inline bool stream_is_spent(const struct stream *stream, uint32_t allowance)
{
    bool full = stream->held > 0 || (allowance > 0 && stream->taken >= allowance);
    return full && stream->held == stream->in_flight;
}

// io's connection is gone: the slot is free. Its attempts must be detached.
void stream_closed(struct stream_table *table, uint16_t stream);

// Has io's connection closed, now that nothing is in flight on it.
void stream_close(struct stream_table *table, uint16_t stream);

// The next slot whose connection is to be closed, free from now on; STREAM_NONE: there is none.
[[nodiscard]] uint16_t stream_take_closing(struct stream_table *table);

// Closes those that have nothing in flight and were last used before then, or are doubted. Returns
// whether any is open still.
bool streams_close_idle(struct stream_table *table, uint64_t idle_us);
