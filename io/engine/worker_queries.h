// SPDX-License-Identifier: MIT
#pragma once
#include "io/engine/worker_state.h"

// What comes to a worker from clients and from other workers.

// A client's datagram, connection or octets have arrived.
void worker_query_arrived(struct worker *w, const struct net_event *event);
void worker_client_connected(struct worker *w, const struct net_event *event);
void worker_client_happened(struct worker *w, const struct net_event *event);

// Answers what has gathered; what other workers have handed over; and the queries of connections
// that had to wait.
void worker_batch_run(struct worker *w);
void worker_queue_read(struct worker *w, struct worker_queue *from);
void worker_ready_do(struct worker *w);

// Gives back the receive buffers of the round before, whose replies have left.
void worker_buffers_return(struct worker *w);

// Sends a reply that has waited; its octets are taken in `out`.
void worker_reply_late(struct worker *w, const struct outgoing *outgoing);

// Hands over what has found no room so far.
void worker_overflow_flush(struct worker *w);
