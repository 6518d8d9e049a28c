// SPDX-License-Identifier: MIT
#pragma once
#include "core/forward/schedule.h"

// How connections to upstreams end, and what happens to the questions on them.

// Ends a connection. Its questions are asked again at once, as the server may have closed it just
// as they were sent (RFC 7766 6.2.4), but only once where a question is to blame for the end.
enum connection_ending {
    CONNECTION_ENDED, // the server has closed it, or it could not be opened
    CONNECTION_STUCK, // it was silent for too long
    CONNECTION_SPENT, // its whole batch has been answered
};
void connection_end(struct forward *f, uint64_t now_us, uint16_t index, enum connection_ending how);

// Ends it if it is spent, or was silent for too long.
void connection_look(struct forward *f, uint64_t now_us, uint16_t index);

// io has established it.
void connection_connected(struct forward *f, uint64_t now_us, uint16_t index);

// The question has waited for a while: looks after its attempts over TCP.
void connections_stalled(struct forward *f, uint64_t now_us, struct question *question);

// Looks for connections that are spent, silent or idle.
void connections_due(struct forward *f, uint64_t now_us);
