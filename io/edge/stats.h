// SPDX-License-Identifier: MIT
#pragma once
#include "io/edge/log.h"
#include "io/engine/engine.h"

// The stats address: /metrics in the Prometheus text format, /stats.json, /healthz, /readyz, and a
// page at / that shows the counters; where `top` is set also /top.json: the most frequent clients
// and names. An HTTP server (libmicrohttpd) in a thread of its own, which only reads the workers'
// counters.

struct stats; // opaque

#define STATS_WHY_SIZE 256

// Applies the settings' section stats. Binds the address, unless `*fd` is a socket that listens
// there
// (-1: none), which is used then. NULL: `why` is a sentence with the address. Nothing is answered
// before stats_start, so that a port in use is found before the engine starts.
[[nodiscard]] struct stats *stats_open(const struct settings *settings, int *fd,
                                       char why[static STATS_WHY_SIZE]);
[[nodiscard]] bool stats_start(struct stats *stats, struct engine *engine, const struct log *log,
                               char why[static STATS_WHY_SIZE]);
void stats_close(struct stats *stats);

// The socket, which stays the server's. Yield: accepts no more connections.
[[nodiscard]] int stats_fd(const struct stats *stats);
void stats_yield(struct stats *stats);

// Reasons why /readyz answers 503; it does as long as any of them is set.
enum stats_unready { STATS_DRAINING, STATS_NO_UPSTREAM, STATS_NO_ADDRESS };
void stats_unready(struct stats *stats, enum stats_unready why, bool on);
