// SPDX-License-Identifier: MIT
#pragma once
#include "core/forward/failure.h"
#include "core/forward/forward.h"
#include "core/forward/refresh.h"
#include "core/policy/error_loop.h"
#include "core/policy/guard.h"
#include "core/serve.h"

// What serve.c and the other files of its name share: the state of a
// worker, and what it keeps in the cache. Nobody else looks inside.

struct lookup {
    struct serve_item *item;
    struct query query;
    struct key key;
    struct cache_seek seek;
    struct reply_options options;
    bool stale;     // there is an answer that is over, but not for too long
    bool hits_only; // the client is above its quota
};

struct serve {
    struct serve_config config;
    struct answer_limits limits;
    size_t reply_room;
    uint32_t stale_max_s;
    uint64_t stale_after_us;
    uint32_t turn;   // for answers with several addresses
    bool keeps_none; // somebody else writes the cache
    struct failure_table failures;
    struct refresh_table refreshes;
    struct budget refresh_budget;
    struct local_memo local_memo;
    struct guard guard;
    struct error_loop error_loop;
    struct top tops[TOP_KINDS];
    uint32_t top_turn;
    uint64_t top_weight;  // lookups since the last that was counted for them
    uint64_t top_next_us; // when the next one is counted
    struct pending *told; // by next_told
    struct pending **told_end;
    struct lookup lookups[SERVE_BATCH_MAX];
    struct forward forward;
};

// The part of the settings that every answer is made with.
void serve_limits_take(struct serve *s, const struct settings *settings);

struct guard_config serve_guard_config(const struct serve_config *config);

// Octets for a reply to this client while it is made.
static inline size_t serve_room_for(const struct serve *s, const struct client *client)
{
    return client->tcp ? SERVE_STREAM_ROOM : s->reply_room;
}

static inline void serve_count(struct serve *s, enum counter which)
{
    counter_add(s->config.counters, which, 1);
}

// Copies what is kept under a key, dead or alive.
[[nodiscard]] bool serve_recall(const struct serve *s, const struct key *key, uint8_t *out,
                                size_t size, struct cache_hit *hit);

// The same without counting as a hit.
[[nodiscard]] bool serve_peek(const struct serve *s, const struct key *key, uint8_t *out,
                              size_t size, struct cache_hit *hit);

// Recalls the denial of its name.
[[nodiscard]] bool serve_recall_denial(const struct serve *s, const struct key *key, uint8_t *out,
                                       size_t size, struct cache_hit *hit);

// May it still be given, although it is over (RFC 8767)?
[[nodiscard]] bool serve_is_stale(const struct serve *s, uint32_t now_s,
                                  const struct cache_hit *hit);

// Copies what is over but may be given for want of better.
[[nodiscard]] bool serve_recall_stale(const struct serve *s, uint64_t now_us, const struct key *key,
                                      uint8_t *out, size_t size, struct cache_hit *hit);

// Looks at a question that has just ended, before its answer is kept. True: it goes on as another
// one, and is not to be touched any more.
[[nodiscard]] bool serve_filter(struct serve *s, uint64_t now_us, struct pending *pending);

// Has an AAAA question waited so long that its waiters are to have addresses made of IPv4 ones? To
// be asked when its stale timer has fired and there is nothing stale.
#define SERVE_DNS64_AFTER_US 2000000u
[[nodiscard]] bool serve_dns64_is_due(struct serve *s, uint64_t now_us,
                                      const struct pending *pending);

// The key of what the clients of a question have asked: its own, or that of an AAAA question, which
// is written to `room`.
const struct key *serve_client_key(const struct pending *pending, struct key *room);

// Lets the reply to a query carry what it asks for apart from a cookie, behind a cookie if there is
// one; `options` must live as long as the query.
void serve_options(const struct serve *s, struct query *query, struct reply_options *options);

// Writes the answer to a question about this server itself (class CH). Returns its length; 0: it is
// none that may be answered.
[[nodiscard]] size_t serve_chaos(const struct serve *s, const struct query *query, uint8_t *out);

// Writes the answer to a question for all types of a name, which it must be. Returns its length; 0:
// it is to be looked for like any other.
[[nodiscard]] size_t serve_any(const struct serve *s, const struct query *query, uint8_t *out);

// Counts one of the `count` lookups of a batch for all since the one before, where it is time for
// that; and a question that has failed.
void serve_top_note(struct serve *s, uint64_t now_us, size_t count);
void serve_top_failed(struct serve *s, uint64_t now_us, const struct key *key);

// --- serve_refresh.c: popular answers ----------------------------------------------------------

// Another worker says that an answer whose home is here is popular; `out` has room for a reply.
void serve_note_take(struct serve *s, uint64_t now_us, struct lookup *lookup, uint8_t *out);

// One of an answer's first hits, whose value stands at `value`.
void serve_hit_learn(struct serve *s, struct lookup *lookup, const uint8_t *value,
                     const struct cache_hit *hit);

// The time has come to ask again for an answer that was noted as popular.
void serve_refresh_due(struct serve *s, uint64_t now_us, struct refresh *refresh);

// Keeps the forwarder's answer to a question that has ended with one.
void serve_keep(struct serve *s, uint64_t now_us, const struct pending *pending);
