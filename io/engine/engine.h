// SPDX-License-Identifier: MIT
#pragma once
#include "core/serve/control.h"
#include "io/engine/estate.h"
#include "io/engine/tap.h"

// The engine: all workers, the cache's memory and the clock they share.

struct engine; // opaque

// Takes all memory and opens all sockets and rings; what the estate of another engine (NULL: none)
// has of them is used, and taken out there. The settings and the local names (NULL: none) must live
// as long as the engine. `cookies` are the secrets of server.cookie-secrets, as cookie_file_read
// has them; where that is not set they are another engine's or drawn.
// NULL: `why` is one sentence that names what could not be had, and nothing is left behind.
#define ENGINE_WHY_SIZE 640
[[nodiscard]] struct engine *engine_open(const struct settings *settings, const struct local *local,
                                         const struct cookie_source *cookies, struct estate *estate,
                                         char why[static ENGINE_WHY_SIZE]);

// Starts the workers. Returns 0 or a negative errno, with a sentence in `why`.
[[nodiscard]] int engine_start(struct engine *engine, char why[static ENGINE_WHY_SIZE]);

// Ends the workers. Returns 0, or the negative errno with which one had failed. The cache stays as
// it is until engine_close gives everything back.
int engine_stop(struct engine *engine);
void engine_close(struct engine *engine);

// Has engine_close leave the cache's memory where it is, for a thread that still reads there.
void engine_leave_region(struct engine *engine);

// The cache: any thread may read it; to write it, the workers must be at rest.
struct cache *engine_cache(struct engine *engine);
uint32_t engine_now_s(const struct engine *engine);

// How many shards a cache of that size is divided into: the smallest multiple of the number of
// workers, each of which writes equally many, with which no shard is too large; 0 if there is none.
[[nodiscard]] uint32_t engine_shard_count(uint64_t cache_size, unsigned worker_count);

unsigned engine_worker_count(const struct engine *engine);

// Has each worker's thread call `run` between two batches until it returns false; returns when all
// are done. What takes long is done in pieces, and the worker answers in between. For any thread;
// they take turns. False: a worker has ended and did not do it.
[[nodiscard]] bool engine_do(struct engine *engine,
                             bool (*run)(struct serve *serve, uint64_t now_us, uint32_t worker,
                                         void *context),
                             void *context);

// Waits until every worker has come round between two batches. False: one has ended.
[[nodiscard]] bool engine_come_round(struct engine *engine);

// The same for who may not wait for what another thread has them do, which takes long perhaps:
// `*asked` is false then, and so is the answer. False otherwise: one has ended.
[[nodiscard]] bool engine_is_alive(struct engine *engine, bool *asked);

// Puts other settings and local names in force, between two batches of each worker. Those before
// must live on for SERVE_RELOAD_REST_US. What cannot change while the engine runs is not looked at.
// 0; a negative errno with one sentence in `why`, and nothing has changed; or ENGINE_RELOAD_PARTLY:
// they are in force, but `why` says what a worker could not do.
#define ENGINE_RELOAD_PARTLY 1
[[nodiscard]] int engine_reload(struct engine *engine, const struct settings *settings,
                                const struct local *local, char why[static ENGINE_WHY_SIZE]);

// Has the workers tell of one answer in so many from now on; 0: of none. 0 or -ENOMEM.
[[nodiscard]] int engine_tap(struct engine *engine, uint32_t every);

// Takes what they have told; `take` is called for each, and nothing of it stays. `take` returns
// false to leave this one and all others for the next time. For one thread at a time. Returns
// whether anything was taken.
bool engine_tapped(struct engine *engine,
                   bool (*take)(void *context, const struct tapped *tapped,
                                const struct client *client, const uint8_t *reply, size_t len),
                   void *context);

// Adds up what the workers have counted, and what was carried. For any thread.
void engine_counters(const struct engine *engine, struct counters *sum);
void engine_timings(const struct engine *engine, struct histogram sums[static TIMING_COUNT]);

// What is taken, in octets: the cache's region; of all workers the tables of fixed size (questions,
// ports, quotas) and the buffers; zones and access lists; and local names.
struct engine_memory {
    uint64_t cache, tables, buffers, rules, local;
};
void engine_memory(const struct engine *engine, struct engine_memory *memory);

// Datagrams that the kernel dropped before a worker saw them, for want of room in its socket.
uint64_t engine_kernel_drops(const struct engine *engine);
void engine_cache_use(const struct engine *engine, struct cache_use *use);

// A descriptor that becomes readable when a worker has failed.
int engine_failure_fd(const struct engine *engine);
