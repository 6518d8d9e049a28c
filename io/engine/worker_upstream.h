// SPDX-License-Identifier: MIT
#pragma once
#include "io/engine/worker_state.h"

// What a worker sends to upstreams, and what comes from them.

// Does all that serve wants done.
void worker_drain(struct worker *w);

// An upstream's datagram, a send that failed, and anything of a connection to an upstream.
void worker_reply_arrived(struct worker *w, const struct net_event *event);
void worker_send_failed(struct worker *w, const struct net_event *event);
void worker_tcp_happened(struct worker *w, const struct net_event *event);
