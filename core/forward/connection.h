// SPDX-License-Identifier: MIT
#pragma once
#include "core/forward/schedule.h"

// What becomes of connections to upstreams, and of what waits on them.

// Ends a connection. What waits there is asked again at once, as it may have been closed just as we
// asked (RFC 7766 6.2.4), but once at most where it is what the connection ended with.
enum connection_ending {
    CONNECTION_ENDED, // the other side has closed it, or it could not be had
    CONNECTION_STUCK, // nothing was heard for too long
    CONNECTION_SPENT, // all that it takes has been answered
};
void connection_end(struct forward *f, uint64_t now_us, uint16_t index, enum connection_ending how);

// Ends it if it is spent or has been silent for too long.
void connection_look(struct forward *f, uint64_t now_us, uint16_t index);

// io has established it.
void connection_connected(struct forward *f, uint64_t now_us, uint16_t index);

// The question has been waiting for a while: looks after what it has under way over TCP.
void connections_stalled(struct forward *f, uint64_t now_us, struct question *question);

// Looks for connections that are spent, silent or idle.
void connections_due(struct forward *f, uint64_t now_us);
