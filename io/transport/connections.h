// SPDX-License-Identifier: MIT
#pragma once
#include "core/address.h"
#include "io/net/net.h"
#include "io/net/op.h"

// TCP connections of one worker, each in a numbered slot: made or accepted, written to, read from
// and closed through its net, without ever waiting. What is sent is kept until it has gone; what
// arrives is gathered until messages are whole (RFC 1035 4.2.2). A connection on which nothing is
// under way holds no memory but its slot.
//
// A slot is free when the last event of its use has come and the last message of it has been given
// back, and not before: until then the kernel may still read its octets. Nothing arrives that was
// not asked for (connections_receive), so the owner of the connection can stop reading.
//
// Nothing here knows what the messages say or whose the connections are.

struct connections; // opaque

struct connections_config {
    struct net *net;
    unsigned count; // of slots
    unsigned group; // of buffers that receives come out of
    enum op_kind connect, receive, send;
    size_t message_max; // octets of a message that may arrive; a longer one ends the connection
    size_t unsent_max;  // octets that may wait to be sent
    void (*freed)(void *context, uint32_t slot); // a slot is free again; NULL: not needed
    void *context;
};

// Returns 0 or -ENOMEM. To be freed after its ring is closed.
[[nodiscard]] int connections_make(struct connections **connections,
                                   const struct connections_config *config);
void connections_free(struct connections *connections);

// Begins to connect a slot, which must be free or disconnected. In the latter case the connection
// is begun when the last event of the one before has come; what is sent meanwhile is kept. Returns
// 0 or a negative errno, in which case the slot is as it was.
[[nodiscard]] int connections_connect(struct connections *connections, uint32_t slot,
                                      const struct address *address);

// Takes a connection that was accepted into a slot, which must be free.
void connections_adopt(struct connections *connections, uint32_t slot, int fd);

// Which use of the slot this is; it changes with each connection.
[[nodiscard]] uint32_t connections_generation(const struct connections *connections, uint32_t slot);

// Is that use of the slot still going on?
[[nodiscard]] bool connections_is_open(const struct connections *connections, uint32_t slot,
                                       uint32_t generation);

// Asks for more octets to arrive. Does nothing where that is under way, or the other side has
// closed its end, or the connection is not there yet.
void connections_receive(struct connections *connections, uint32_t slot);

// Sends octets, once the connection is there. False: too much is waiting or there is no memory, and
// the caller should give the connection up.
[[nodiscard]] bool connections_send(struct connections *connections, uint32_t slot,
                                    const void *bytes, size_t len);

// Sends a message of `len` octets (up to 65,535) behind its length, both at once: a client may take
// what comes first for all there is (RFC 7766 8). False as above.
[[nodiscard]] bool connections_send_message(struct connections *connections, uint32_t slot,
                                            const void *bytes, size_t len);

// Octets that have not gone yet.
[[nodiscard]] size_t connections_unsent(const struct connections *connections, uint32_t slot);

// Octets of messages that have arrived and were not fetched, whole or not.
[[nodiscard]] size_t connections_gathered(const struct connections *connections, uint32_t slot);

// Closes the slot's connection, if there is one. Nothing more comes from it.
void connections_disconnect(struct connections *connections, uint32_t slot);

enum connection_state {
    CONNECTION_GOES_ON,
    CONNECTION_NO_BUFFER, // the same, but nothing could arrive: it has to be asked for again
    CONNECTION_ENDS,      // the other side sends nothing more; it may still read
    CONNECTION_BROKEN, // over; what has arrived can still be fetched, then it is to be disconnected
    CONNECTION_OLD,    // the event was for a connection that is closed already
};

// Takes an event of one of the three kinds.
[[nodiscard]] enum connection_state connections_event(struct connections *connections,
                                                      const struct net_event *event);

// The next whole message of a slot; false: there is none. It stays where it is until the next call
// of this or the next function for the slot, even if the connection is closed before that.
[[nodiscard]] bool connections_message(struct connections *connections, uint32_t slot,
                                       const uint8_t **message, size_t *len);

// Gives back the message that was fetched last.
void connections_message_done(struct connections *connections, uint32_t slot);
