// SPDX-License-Identifier: MIT
#pragma once
#include "tests/netsim/files.h"
#include "tests/netsim/world.h"

#include <stddef.h>

// A TCP connection between the engine and a host: a pipe of octets in each direction, of bounded
// length. Either side may open it, end its direction, or reset it. It is gone when both sides have
// let go of it.

struct pipe {
    uint8_t *bytes; // a circle of params.pipe_size
    size_t first, len;
    bool ends; // behind what is in it
};

struct link {
    struct address host, engine;
    struct pipe to_engine, to_host;
    bool connecting;
    int refused;        // why the connect failed: a negative errno
    bool engine_resets; // what the engine's side hears is a reset
    bool host_resets;   // the host hears one
    bool shut;          // by the engine's side, which neither reads nor writes any more
    bool engine_gone, host_gone;
    struct file *file;   // of the engine's side; NULL: not accepted yet, or gone
    struct alarm *timer; // of the host, set when something happens; NULL: none
};

[[nodiscard]] struct link *link_make(const struct address *host, const struct address *engine);

// --- the engine's side ---------------------------------------------------------------------------

// Is there anything to be told of a receive, or of a send?
[[nodiscard]] bool link_readable(const struct link *link);
[[nodiscard]] bool link_writable(const struct link *link);

// Octets, 0 at the end, or a negative errno.
[[nodiscard]] int link_engine_receive(struct link *link, uint8_t *bytes, size_t len);
[[nodiscard]] int link_engine_send(struct link *link, const uint8_t *bytes, size_t len);
void link_engine_shut(struct link *link);
void link_engine_close(struct link *link);

// --- the host's side -----------------------------------------------------------------------------

// Opens a connection to the engine. NULL: nobody listens there.
[[nodiscard]] struct link *link_open(const struct address *host, const struct address *engine,
                                     struct alarm *timer);

// Decides about one that the engine has begun: 0 or a negative errno.
void link_decide(struct link *link, int refused);

enum { LINK_NOTHING = 0, LINK_ENDED = -1, LINK_RESET = -2 };

// Octets that were read, or one of these.
[[nodiscard]] int link_read(struct link *link, uint8_t *bytes, size_t len);

// Octets that were written; LINK_RESET.
[[nodiscard]] int link_write(struct link *link, const uint8_t *bytes, size_t len);
void link_finish(struct link *link);
void link_close(struct link *link, bool reset);

// How many there are.
[[nodiscard]] unsigned links_count(void);
void links_begin(void);
