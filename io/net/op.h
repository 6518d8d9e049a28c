// SPDX-License-Identifier: MIT
#pragma once
#include <stdint.h>

// What a completion belongs to, packed into the 64 bits that travel with it. The generation says
// which use of a slot it was for: a completion that comes late, for a socket that is closed and
// whose slot another has by now, is seen and thrown away.

enum op_kind {
    OP_QUERY = 1,     // slot: listener. A client's datagram
    OP_ANSWER,        // slot: listener. A send to a client failed
    OP_REPLY,         // slot: source port. An upstream's datagram
    OP_UPSTREAM_SEND, // slot: source port. A send to an upstream failed
    OP_QUEUE,         // another worker has put queries into our ring
    OP_WAKE,          // slot: worker. A wake of another worker failed
    OP_STOP,          // the engine wants the worker to end
    OP_TASK,          // or to do a task
    OP_CANCEL,        // there was nothing to cancel
    OP_CLOSE,         // a descriptor could not be closed
    OP_TCP_CONNECT,   // slot: connection to an upstream
    OP_TCP_RECEIVE,
    OP_TCP_SEND,
    OP_ACCEPT,         // slot: listener. A client connected
    OP_CLIENT_RECEIVE, // slot: connection of a client
    OP_CLIENT_SEND,
    OP_NEVER, // no request is of this kind
};

static inline uint64_t op_pack(enum op_kind kind, uint32_t slot, uint32_t generation)
{
    return (uint64_t)kind << 56 | (uint64_t)(generation & 0xffffff) << 32 | slot;
}

static inline enum op_kind op_kind(uint64_t tag)
{
    return (enum op_kind)(tag >> 56);
}

static inline uint32_t op_slot(uint64_t tag)
{
    return (uint32_t)tag;
}

static inline uint32_t op_generation(uint64_t tag)
{
    return (uint32_t)(tag >> 32) & 0xffffff;
}
