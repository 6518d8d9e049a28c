// SPDX-License-Identifier: MIT
#pragma once
#include "core/policy/cookie.h"
#include "core/serve/control.h"
#include "io/xdp/plane.h"

// Both planes over one cache: a worker of core, and the program in the kernel, which runs a frame
// at a time (BPF_PROG_TEST_RUN). The world gives both the same rules, clock and turn, and plays the
// worker's upstream, whose answers it draws at random.

#define WORLD_PORT      53
#define WORLD_NAMES     400
#define WORLD_FRAME_MAX 3000
#define WORLD_PREFIXES  64
#define WORLD_START_S   1700000000
#define WORLD_MTU       1500

struct world {
    struct plane *plane;
    struct serve *serve;
    struct cache cache;
    size_t region_size;
    struct counters counters;
    uint64_t offset_ns;  // of the clock, from CLOCK_BOOTTIME
    uint64_t stopped_us; // where the clock stands; 0: it goes on
    uint64_t random;
    uint8_t *out;  // of the reply that world_ask had at once
    uint8_t *room; // of what is drained
    size_t out_size;
    struct plane_config config;
    uint16_t mtu; // of the interface
    // In place of what upstream.c draws: the reply to its own question, of any case. NULL: none.
    const uint8_t *given;
    size_t given_len;
    // What the worker points to:
    struct settings settings;
    struct address listen[2];
    struct prefix lists[3][WORLD_PREFIXES]; // that are allowed, refused and dropped
    struct forward_zone zone;
    struct endpoint upstream;
    struct zone_table zone_table;
    struct access_list access;
    struct cookie_source cookies;
    bool has_cookies;             // or clients are given none
    uint64_t cookies_until_s;     // when the program needs another secret
    const struct local *local[2]; // one blocks more than the other
    unsigned rules;               // which is in force
    void *memory[7];
};

// The options' number of shards is the world's own choice. NULL: BPF is not allowed here, or
// something else is amiss; `why` says what.
struct world *world_make(uint64_t seed, struct plane_options options,
                         char why[static PLANE_WHY_SIZE]);
void world_free(struct world *world);

// The same at another time.
struct world *world_make_at(uint64_t start_s, uint64_t seed, struct plane_options options,
                            char why[static PLANE_WHY_SIZE]);

uint64_t world_random(struct world *world);
unsigned world_below(struct world *world, unsigned bound);

uint64_t world_now_us(const struct world *world);

// Lets so much time pass, for both.
void world_wait(struct world *world, uint64_t us);

// Forgets all answers, and lets so much time pass that no failure is remembered, with the clock
// stopped.
void world_begin_again(struct world *world);

// Puts other rules in force, and those of before with the next call.
void world_rules(struct world *world);

// The name with this number, in lower case, as on the wire. Returns its length.
size_t world_name(const struct world *world, unsigned number, uint8_t name[static NAME_MAX_LEN]);

// Draws other access lists, with few prefixes or many.
void world_clients(struct world *world);

// Has the interface take so many octets.
void world_mtu(struct world *world, uint16_t mtu);

// Lets all clients ask.
void world_allow_all(struct world *world);

// Has both make and check cookies with these secrets; NULL: with none.
void world_cookies(struct world *world, const struct cookie_source *source);

// Does the program check cookies now? It does not from the end of a secret on until it is told of
// the next, which world_wait does most times.
bool world_checks_cookies(const struct world *world);

// True if this client may ask.
bool world_allows(const struct world *world, const struct address *client);

// Runs the program on a frame of `len` octets, which it may change and make longer, up to
// WORLD_FRAME_MAX. Returns what it said (XDP_PASS, XDP_TX), or -1.
int world_run(struct world *world, uint8_t *frame, size_t *len);

// Has the worker answer a query, and its upstream where it asks that. The item says how it ended.
struct serve_item world_ask(struct world *world, const struct client *client, const uint8_t *query,
                            size_t len);

// The number that the worker's next hit is.
uint32_t world_turn(const struct world *world);

// Sets the program's turn on all CPUs.
void world_turn_set(struct world *world, uint32_t turn);
