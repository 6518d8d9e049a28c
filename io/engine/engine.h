// SPDX-License-Identifier: MIT
#pragma once
#include "core/serve/control.h"
#include "io/engine/engine_inheritance.h"
#include "io/net/net_engine.h"

// The engine: all workers, the cache's memory and the clock they share.

struct engine; // opaque

// Allocates all memory and opens all sockets and rings; those that the predecessor's engine passed
// on (`inheritance`; NULL: there is none) are used, and moved out of there. The settings and the
// local names (NULL: none) must live as long as the engine. `cookies` are the secrets of
// server.cookie-secrets, as cookie_file_read has them; where that is not set they are another
// engine's or drawn. NULL: `why` is one sentence that names what could not be had, and nothing is
// left behind.
#define ENGINE_WHY_SIZE 640
[[nodiscard]] struct engine *engine_open(const struct settings *settings, const struct local *local,
                                         const struct cookie_source *cookies,
                                         struct engine_inheritance *inheritance,
                                         char why[static ENGINE_WHY_SIZE]);

// Starts the workers. Returns 0 or a negative errno, with a sentence in `why`.
[[nodiscard]] int engine_start(struct engine *engine, char why[static ENGINE_WHY_SIZE]);

// Ends the workers. Returns 0, or the negative errno with which one failed. The cache stays as it
// is until engine_close.
int engine_stop(struct engine *engine);
void engine_close(struct engine *engine);

// What stands between its workers and the kernel; and why that is not io_uring where server.engine
// is auto, or NULL.
const struct net_engine *engine_net(const struct engine *engine);
const char *engine_net_refused(const struct engine *engine);

// How many connections clients may have open: server.tcp-connections-max, or fewer where there are
// too few descriptors.
[[nodiscard]] unsigned engine_connections_max(const struct engine *engine);

unsigned engine_worker_count(const struct engine *engine);

// A descriptor that becomes readable when a worker has failed.
int engine_failure_fd(const struct engine *engine);
