// SPDX-License-Identifier: MIT
#pragma once
#include "cache/cache.h"
#include "core/answer.h"
#include "core/forward/outgoing.h"
#include "core/policy/access.h"
#include "core/policy/local.h"
#include "core/settings/counters.h"
#include "core/top.h"

// The verbs: all that a worker's loop, the simulator, the fuzzers and the benchmarks call.
//
// One `struct serve` belongs to one worker and is used by its thread alone. It makes no system
// call, takes no memory but what it is given, and learns the time and all that happens through
// these calls. Time is in microseconds on one clock that starts at the wall clock's time and never
// goes back. What it wants done is fetched with serve_drain.
//
//   datagrams from clients  ->  serve_queries   -> answered at once, waiting, elsewhere or dropped
//   a reply from upstream   ->  serve_reply, serve_stream_reply
//   time has passed         ->  serve_expire      (serve_deadline says when)
//   and after each of them  ->  serve_drain       until it returns false

#define SERVE_BATCH_MAX 64

struct serve_config {
    const struct settings *settings;
    const struct plan *plan;
    const struct access_list *access;
    const struct local *local;           // NULL: no name is answered here
    const struct cookie_source *cookies; // NULL: clients are given none
    struct cache *cache; // the number of its shards is a multiple of that of the workers
    struct counters *counters;
    uint32_t worker; // 0 .. worker_count - 1; writes shard n where n % worker_count is this
    uint32_t worker_count;
    uint32_t pending_max; // questions, a power of two
    uint16_t ports_max;
    uint16_t streams_max;
    uint8_t seed[32]; // for IDs, ports and choices
};

enum serve_verdict {
    SERVE_ANSWERED,  // item->out holds item->out_len octets for item->client
    SERVE_WAITING,   // the answer comes out of serve_drain
    SERVE_ELSEWHERE, // give the datagram to worker item->owner, with handed_over set
    SERVE_DROPPED,   // counted with its reason
    SERVE_NOTED,     // was a note, of which nothing more is to be done
};

struct serve_item {
    struct client client;
    const uint8_t *in;
    uint16_t in_len;
    bool handed_over; // comes from another worker, which has counted and admitted it
    bool cut;         // the datagram was longer than what was received of it
    // In, of what is handed over: its worker has answered it, and it only tells that the answer is
    // popular. Out, where SERVE_ANSWERED: give the datagram to worker item->owner as such a note.
    // It is no loss if that has no room.
    bool note;
    bool noise; // out, where SERVE_DROPPED: it was no query at all, or is not to be heard
    // Filled in by serve_queries:
    uint8_t verdict; // enum serve_verdict
    uint8_t source;  // enum counter, where SERVE_ANSWERED: the one that it was counted under
    uint16_t owner;
    uint16_t out_len;
    uint8_t *out;
};

struct serve; // opaque

// Octets for a worker's state, and its making. The memory must be 64-octet aligned and all that the
// config points to must live as long.
[[nodiscard]] size_t serve_size(const struct serve_config *config);
[[nodiscard]] struct serve *serve_init(void *memory, const struct serve_config *config,
                                       uint64_t now_us);

// Octets that one reply needs in the caller's buffer while it is made: to a datagram, and to a
// message over TCP.
[[nodiscard]] size_t serve_reply_room(const struct serve *serve);
#define SERVE_REPLY_ROOM_MAX 5120 // whatever the settings say
#define SERVE_STREAM_ROOM    (ANSWER_SIZE_MAX + 64)

// Handles up to SERVE_BATCH_MAX queries from clients. Replies are packed into `out`, and not in the
// order of the items; `out_size` is at least serve_reply_room for each datagram and
// SERVE_STREAM_ROOM for each message over TCP. Returns how many octets of `out`, from its begin,
// the replies take: what lies behind them is the caller's again.
[[nodiscard]] size_t serve_queries(struct serve *serve, uint64_t now_us, struct serve_item *items,
                                   size_t count, uint8_t *out, size_t out_size);

// From now on these are the local names; NULL: none. The ones before are not looked at any more.
void serve_local(struct serve *serve, const struct local *local);

// From now on these are the settings. The plan must begin with the upstreams of the one before, in
// their order. Questions that wait go on as they were begun: what was in force before must live on
// for SERVE_RELOAD_REST_US. What cannot change while a worker runs (options.def) is not looked at.
#define SERVE_RELOAD_REST_US 10000000u
struct serve_update {
    const struct settings *settings;
    const struct plan *plan;
    const struct access_list *access;
    const struct local *local;           // NULL: none
    const struct cookie_source *cookies; // NULL: none
};
void serve_reload(struct serve *serve, uint64_t now_us, const struct serve_update *update);

// From now on somebody else writes this worker's shards (false), or it does so again: answers go to
// those who wait and are not kept, and nothing is refreshed. Looking up goes on.
void serve_keeps(struct serve *serve, bool keeps);

// The hand-over of an item found SERVE_ELSEWHERE failed, for want of room: counts the drop.
void serve_handover_failed(struct serve *serve);

// A datagram arrived at the socket of source port `port`.
void serve_reply(struct serve *serve, uint64_t now_us, uint16_t port, const uint8_t *in,
                 size_t len);

// A message arrived on the connection of slot `stream`, without its length in front.
void serve_stream_reply(struct serve *serve, uint64_t now_us, uint16_t stream, const uint8_t *in,
                        size_t len);

// The connection of slot `stream` is established.
void serve_stream_connected(struct serve *serve, uint64_t now_us, uint16_t stream);

// The connection of slot `stream` has ended, or could not be opened. The slot may come again. May
// be called between two calls of serve_drain, as may the next two.
void serve_stream_closed(struct serve *serve, uint64_t now_us, uint16_t stream);

// The network reported that what left from this port cannot be delivered (ICMP, no route).
void serve_unreachable(struct serve *serve, uint64_t now_us, uint16_t port);

// The socket for this port could not be opened: another number is tried.
void serve_port_refused(struct serve *serve, uint64_t now_us, uint16_t port);

// There is no socket to be had, for want of descriptors or memory, whatever the number: what was to
// leave from there is put off.
void serve_port_unavailable(struct serve *serve, uint64_t now_us, uint16_t port);

// Drops what this worker's shards keep of one name (all types and variants), of a name and all
// below it, or everything; of names as well whose CNAMEs lead there. A piece at a time, of up to
// `budget` buckets of the index, so that the worker goes on answering in between: call it again,
// with the same `flush`, until it returns false. Then nothing is left of what was there at the
// first call.
enum flush_what { FLUSH_NAME, FLUSH_SUBTREE, FLUSH_ALL };
struct serve_flush {
    enum flush_what what;
    struct name name;
    struct cache_sweep sweep; // starts as zero, as the next; `removed` counts
    uint32_t shards_done;
};
[[nodiscard]] bool serve_flush(struct serve *serve, struct serve_flush *flush, size_t budget);

// What this worker knows of an upstream.
struct serve_upstream {
    struct address address;
    uint8_t health;       // enum upstream_health
    bool fails;           // replies with failures where others have answers
    bool in_use;          // a zone names it
    bool knows_edns;      // or is not known not to
    bool keeps_spelling;  // of names (0x20); the same
    bool knows_cookies;   // has given one
    uint16_t loss_pm;     // sends that got no reply, smoothed, in thousandths
    uint32_t in_flight;   // sends whose reply may still come
    uint32_t fast_us;     // the middle of what it answers from its own memory; 0: not known
    uint32_t slow_us;     // by which nearly all of its answers have come
    uint64_t heard_us;    // when its last reply came; 0: never
    uint32_t connections; // over TCP
};
// Fills in one for each upstream of the plan, in its order, and returns how many (up to
// PLAN_UPSTREAMS_MAX).
[[nodiscard]] size_t serve_upstreams(const struct serve *serve, uint64_t now_us,
                                     struct serve_upstream *upstreams);

// What this worker has learned of the upstreams of its plan, for the one that takes its place in
// another process (core/forward/learned.h): fills in up to `max` and returns how many. And the
// other one's side: takes what concerns its own upstreams to which nothing was sent yet.
struct learned;
[[nodiscard]] size_t serve_learned(const struct serve *serve, struct learned *learned, size_t max);
void serve_learn(struct serve *serve, uint64_t now_us, const struct learned *learned, size_t count);

// What this worker has seen most of in the last minutes. A question's key is that of struct key
// without flags; a client's a struct address without a port, cut to its network (/32 or /56).
enum serve_top_kind { TOP_QUESTIONS, TOP_CLIENTS, TOP_FAILURES, TOP_KINDS };
[[nodiscard]] const struct top *serve_top(struct serve *serve, uint64_t now_us,
                                          enum serve_top_kind kind);

// What this worker knows of a question, and what it would do with it now. What is kept and what is
// under way is known at its home alone: where `home` is another worker, ask that one.
struct serve_kept {
    bool there;
    uint8_t rcode;
    uint8_t hits; // up to CACHE_HITS_MAX
    bool refreshed;
    uint32_t birth_s, expiry_s; // Unix time
    uint32_t len;               // octets of the message
    uint16_t records;           // in its answer section
};

enum serve_outcome {
    OUTCOME_REFUSED,  // by the access lists, or as no zone covers the name
    OUTCOME_DROPPED,  // by the access lists
    OUTCOME_LOCAL,    // from records, hosts files or special names
    OUTCOME_BLOCKED,  // by a block list
    OUTCOME_MEMORY,   // from what is kept
    OUTCOME_DENIED,   // from what is kept of the name: that it does not exist
    OUTCOME_FAILURE,  // it failed a moment ago
    OUTCOME_STALE,    // from what is over, as no upstream is alive
    OUTCOME_JOIN,     // waits with others for what is under way
    OUTCOME_UPSTREAM, // is asked upstream
};

struct serve_explanation {
    uint32_t home;
    uint8_t outcome; // enum serve_outcome
    uint8_t access;  // enum access_verdict, where a client was named
    struct key key;
    const struct plan_zone *zone; // NULL: none covers the name
    bool zone_down;               // all of its upstreams are dead
    struct serve_kept kept, denial;
    uint16_t local_rcode;  // where it is answered here
    uint32_t waiting;      // clients, for what is under way
    uint64_t asked_us;     // when that began; 0: nothing is
    uint8_t sends;         // of it so far
    uint16_t failed_rcode; // of a failure that is remembered
    uint64_t failed_until_us;
};
// `client` may be NULL.
void serve_explain(struct serve *serve, uint64_t now_us, const struct name *name, uint16_t type,
                   const struct address *client, struct serve_explanation *explanation);

// Does all that is due.
void serve_expire(struct serve *serve, uint64_t now_us);

// When serve_expire wants to be called next, at the latest; WHEEL_NEVER: nothing is waiting.
[[nodiscard]] uint64_t serve_deadline(const struct serve *serve);

// Fetches the next thing that serve wants done. To be called until it returns false, after each of
// the verbs above; only several serve_queries in a row may share one draining. serve_reply keeps
// the answer that it delivers only so long.
[[nodiscard]] bool serve_drain(struct serve *serve, uint64_t now_us, struct outgoing *outgoing);
