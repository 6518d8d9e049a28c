// SPDX-License-Identifier: MIT
#pragma once
#include "io/net/net.h"
#include "io/net/udp.h"

// The sockets of one worker at which clients are heard: for each address one for datagrams, one
// that accepts connections and one that replies leave from. A slot is one address; its number
// stands in every client (struct client), so that a reply finds the address that the query came to.
// All workers have the same address in the same slot.
//
// Used by the worker's thread alone, or while that does not run; two exceptions are marked.

#define LISTENERS_MAX   128                 // of those given up lately too; server.listen takes 64
#define LISTENER_PLACES (2 * LISTENERS_MAX) // of the net

// What belongs to an address, in each worker.
enum listener_socket {
    SOCKET_HEARS,   // datagrams
    SOCKET_ACCEPTS, // connections
    SOCKET_SENDS,   // replies (udp_sender)
    LISTENER_SOCKETS,
};

struct listener {
    struct address address;
    int fd;        // for datagrams; -1: the slot is free, or another one's socket serves it
    int tcp_fd;    // -1: none
    int send_fd;   // for replies; -1: none
    bool wildcard; // replies say where they leave from
    bool hears;
    bool receiving; // a request is queued or with the kernel: its last event has not come
    bool accepting;
    uint64_t accept_us;  // when accepting is to be tried again; 0: it goes on
    uint64_t receive_us; // the same of receiving
    uint64_t gone_us;    // when the socket is closed; 0: it is in use
};

struct listeners {
    struct net *net;
    unsigned group;      // of the net's buffers, for datagrams
    uint64_t due_us;     // when there is something to do
    uint64_t drops_gone; // of sockets that are closed
    struct listener slots[LISTENERS_MAX];
};

void listeners_init(struct listeners *listeners, struct net *net, unsigned group);
void listeners_close(struct listeners *listeners);

// Opens the sockets of an address for so many workers, LISTENER_SOCKETS for each; all are -1
// before. Returns 0, or a negative errno: some may be open then. For any thread.
[[nodiscard]] int listener_open(const struct address *address, unsigned worker_count, int *fds);

// Puts an address's sockets in a free slot, whose they are from then on. Replies to clients of an
// earlier slot with the same address leave from here as well. Nothing is heard yet. 0 or a negative
// errno.
[[nodiscard]] int listeners_put(struct listeners *listeners, unsigned slot,
                                const struct address *address, const int fds[LISTENER_SOCKETS]);

// The net's place of the socket that replies leave from.
static inline unsigned listener_sender(unsigned slot)
{
    return LISTENERS_MAX + slot;
}

// Begins to take datagrams and connections (events OP_QUERY and OP_ACCEPT), and no longer does.
void listeners_hear(struct listeners *listeners, unsigned slot);
void listeners_ignore(struct listeners *listeners, unsigned slot);

// The address is no longer ours: nothing is heard, and at `gone_us`, when all that were heard have
// their replies, the slot is free again.
void listeners_give_up(struct listeners *listeners, unsigned slot, uint64_t gone_us);

// The last event of a receive of the slot's socket has come: goes on hearing, if it is to. Where it
// has failed for another reason than a lack of buffers it rests for a moment.
void listeners_receive_ended(struct listeners *listeners, unsigned slot, int result,
                             uint64_t now_us);

// The same of accepting, which rests after any failure.
void listeners_accept_ended(struct listeners *listeners, unsigned slot, int result,
                            uint64_t now_us);

// Does what is due. Returns when it wants to be called next; UINT64_MAX: never.
[[nodiscard]] uint64_t listeners_expire(struct listeners *listeners, uint64_t now_us);

// Datagrams that the kernel dropped for want of room in these sockets. For any thread.
[[nodiscard]] uint64_t listeners_drops(const struct listeners *listeners);
