// SPDX-License-Identifier: MIT
#pragma once
#include "core/serve.h"
#include "tests/sim/dice.h"
#include "tests/sim/strict.h"

// A virtual network around one `struct serve` for each worker: clients, links, upstream servers, a
// spoofer, and a clock that moves when nothing is left to do at its time. One seed decides all of
// it, so what went wrong once can be seen again:
//
//   scenario   draws the parameters and makes settings, plan and access list of them
//   network    packets, the event queue, links, the clock
//   client     writes queries and knows what each of them must get
//   server     upstream servers and what goes wrong with them; the spoofer
//   truth      what a server says to a question
//   judge      holds every answer against all that servers have said
//   worker     drives a worker by the contract of core/serve.h and watches what it asks for
//   world      runs a seed: what happens when, and what must hold in the end
//
// `struct sim` is made once and used for one seed after the other.

enum {
    WORKERS_MAX = 4,
    SERVERS_MAX = 4,
    ZONES_MAX = 4,
    NAMES_MAX = 64,
    TYPES_MAX = 12,
    FLAGS_MAX = 4, // DO, CD
    QUESTIONS_MAX = NAMES_MAX * TYPES_MAX * FLAGS_MAX,
    ASKED_MAX = 4096,
    SERVED_MAX = 16384,
    EVENTS_MAX = 16384,
    PORTS_MAX = 64,
    PORT_SENDS_MAX = 32,
    PENDING_MAX = 64,
    INBOX_MAX = 1024,
    PACKET_MAX = 4608,
    SENDS_PER_SERVER_MAX = 3, // RFC 9520 3.1
    DEADLINE_US = 5000000,
    TICK_US = 1000,
};

#define NEVER UINT64_MAX

// Octets of their exact number, so that a sanitizer sees who reads past them.
struct packet {
    size_t len;
    uint8_t bytes[];
};

struct link {
    uint32_t base_us;
    uint32_t jitter_us;
    uint16_t loss_pm;
    uint16_t duplicate_pm;
    uint16_t reorder_pm;
    uint16_t burst_pm; // a burst of losses begins
    uint16_t burst_left;
};

struct scenario {
    uint32_t workers, clients, queries, names, types, zones, servers;
    uint32_t span_us;    // in which the queries come
    uint32_t popularity; // 0: all names alike, up to 3: few names get nearly all
    uint32_t malformed_pm, edns_pm, do_pm, cd_pm, unasked_pm, repeat_pm, burst_pm, handed_fail_pm;
    uint32_t handed_us, refuse_pm, connect_fail_pm, wake_late_us, stalls, stall_us, spoof_us;
    uint32_t mode_us; // between changes of a server's mode; 0: never
    uint32_t big_pm, inbox_max;
    uint32_t pending_max, ports_max;
    bool lazy;        // drains once for several batches, as the daemon's loop does
    bool must_answer; // each zone has a good server behind a good link: no failure is excused
};

enum server_mode {
    MODE_GOOD,
    MODE_SLOW,
    MODE_DEAD,
    MODE_CLOSED,
    MODE_SERVFAIL,
    MODE_REFUSED,
    MODE_ODD, // rcodes that only OPT can say
    MODE_TRUNCATING,
    MODE_GARBAGE,
    MODE_LYING, // another question, another ID, no response at all
    MODE_TWICE,
    MODE_MIXED,
    MODE_COUNT
};

struct server {
    struct address address;
    struct link there;
    struct link back;
    uint32_t slow_us;
    uint8_t mode; // enum server_mode
    bool steady;  // stays good
};

struct zone {
    struct strict_name name;
    uint8_t servers[SERVERS_MAX];
    uint8_t server_count;
};

struct qname {
    struct strict_name name; // lower case
    int zone;                // -1: in none
};

struct question {
    uint32_t served;            // last reply made for it + 1; 0: none
    uint32_t waiting;           // clients that wait for it now
    uint64_t kept_until_s;      // an answer is in the cache, unless it had to make room
    uint8_t sends[SERVERS_MAX]; // since it began to wait
    uint8_t worker;
    uint8_t failed; // a bit for each server that has said that it cannot or will not
    bool sent;
};

// That a name does not exist is in the cache, for all types, unless it had to make room.
struct denial {
    uint32_t served; // the reply that said so + 1; 0: there is none
    uint64_t until_s;
};

enum asked_state { ASKED_FLYING, ASKED_WAITING, ASKED_ANSWERED, ASKED_DROPPED };
enum expectation { EXPECT_ANSWER, EXPECT_RCODE, EXPECT_DROP, EXPECT_ANY };

// A datagram on its way from a client; one that the network doubles is two of them. The client's
// `listener` carries its number, so that an answer shows which it is for.
struct asked {
    struct packet *packet;
    struct client client;
    uint64_t waiting_since_us;
    uint32_t question; // where EXPECT_ANSWER
    uint16_t rcode;    // where EXPECT_RCODE
    uint16_t room;     // octets that the client takes
    uint8_t name_len;
    uint8_t state;  // enum asked_state
    uint8_t expect; // enum expectation
    bool edns, dnssec_ok, checking_disabled, recursion, refused, cut, arrived;
};

enum served_kind { SERVED_GOOD, SERVED_RCODE, SERVED_TRUNCATED };

// A reply that a server made; what stands in it follows from the seed and its number.
struct served {
    uint64_t delivered_us; // NEVER: not yet
    uint32_t question;
    uint32_t before; // the one before it for this question + 1
    uint16_t rcode;
    uint8_t kind; // enum served_kind
};

enum slot_state { SLOT_FREE, SLOT_OPEN, SLOT_FAILED };

struct sent {
    uint32_t question;
    uint16_t id;
};

// What the network knows of a worker's source port.
struct slot {
    uint32_t generation;
    uint32_t sent_count;
    uint16_t number;
    uint8_t server;
    uint8_t state; // enum slot_state
    struct sent sent[PORT_SENDS_MAX];
};

struct inbox_item {
    uint32_t asked;
    bool handed;
};

struct node {
    struct serve *serve;
    struct counters counters;
    uint64_t wake_us; // when the driver calls serve_expire
    uint32_t inbox_count;
    uint32_t waiting; // clients, and the questions that they wait for
    uint32_t questions;
    bool inbox_event;
    bool drain_event;
    struct slot slots[PORTS_MAX];
    struct inbox_item inbox[INBOX_MAX];
};

enum event_kind {
    EVENT_CLIENT, // the next query leaves a client
    EVENT_QUERY,  // it arrives
    EVENT_HANDED, // or is handed over from another worker
    EVENT_INBOX,  // the worker looks at what has arrived
    EVENT_DRAIN,
    EVENT_ASKED,       // a query arrives at an upstream server
    EVENT_REPLY,       // a reply at a source port
    EVENT_UNREACHABLE, // or the news that there is nobody
    EVENT_MODE,
    EVENT_SPOOF,
    EVENT_STALL,
};

struct event {
    uint64_t at_us;
    uint64_t order;
    struct packet *packet;
    uint32_t number; // of what was asked or served, + 1 for the latter; 0: none
    uint32_t generation;
    uint16_t port;
    uint8_t kind; // enum event_kind
    uint8_t worker;
    uint8_t server;
};

// What the driver did and saw, to be held against the counters.
struct tally {
    uint64_t arrived, answered, dropped, dropped_full, handed, handed_failed, truncated;
    uint64_t sends, resends, opens, refusals, unreachables, closes, replies, forged;
};

struct sim {
    uint64_t seed;
    struct dice dice;
    uint64_t start_us;
    uint64_t now_us;
    uint64_t stall_from_us; // the last leap of the clock, up to
    uint64_t stall_until_us;
    uint64_t digest;
    uint64_t order;
    uint64_t steps;
    bool trace;
    bool failed;
    char why[400];

    struct scenario scenario;
    struct settings settings;
    struct forward_zone forward[ZONES_MAX];
    struct address forward_to[ZONES_MAX][SERVERS_MAX];
    struct prefix prefixes[4];
    struct plan plan;
    struct access_list access;
    struct cache cache;
    struct tally tally;
    uint64_t totals[COUNTER_COUNT]; // of all seeds so far
    uint64_t forged_total;
    struct link client_link;
    struct server servers[SERVERS_MAX];
    struct zone zones[ZONES_MAX];
    struct qname names[NAMES_MAX];
    uint16_t types[TYPES_MAX];
    uint64_t ports_taken[UINT16_MAX / 64 + 1]; // a bit a number
    uint32_t queries_left;
    uint32_t asked_count;
    uint32_t served_count;
    size_t event_count;
    size_t reply_room;

    struct node nodes[WORKERS_MAX];
    struct question questions[QUESTIONS_MAX];
    struct denial denials[NAMES_MAX][FLAGS_MAX];
    struct asked asked[ASKED_MAX];
    struct served served[SERVED_MAX];
    struct event events[EVENTS_MAX];
    // Taken once, at the largest size that a scenario can want.
    void *plan_memory;
    void *access_memory;
    void *region;
    void *serve_memory[WORKERS_MAX];
    uint8_t *out;      // replies of a batch
    uint8_t *outgoing; // one thing that is drained
};

// sim_make takes the memory; sim_run runs a seed and returns whether all held, with the digest in
// sim->digest and otherwise a sentence in sim->why.
struct sim *sim_make(void);
void sim_free(struct sim *sim);
bool sim_run(struct sim *sim, uint64_t seed, bool trace);

// Only the first failure of a seed is kept: the rest often follows from it.
__attribute__((format(printf, 2, 3))) void sim_fail(struct sim *sim, const char *format, ...);
__attribute__((format(printf, 2, 3))) void sim_trace(struct sim *sim, const char *format, ...);
void sim_note(struct sim *sim, uint64_t value);
void sim_note_bytes(struct sim *sim, const uint8_t *bytes, size_t len);
const char *sim_question_text(const struct sim *sim, uint32_t question); // until the next call

// scenario.c
void scenario_draw(struct sim *sim);
void scenario_largest(struct sim *sim); // settings that want the most memory

static inline uint32_t question_name(uint32_t question)
{
    return question / (TYPES_MAX * FLAGS_MAX);
}

static inline uint16_t question_type(const struct sim *sim, uint32_t question)
{
    return sim->types[question / FLAGS_MAX % TYPES_MAX];
}

static inline const struct qname *question_qname(const struct sim *sim, uint32_t question)
{
    return &sim->names[question_name(question)];
}

// network.c
struct packet *packet_make(const uint8_t *bytes, size_t len);
void event_push(struct sim *sim, const struct event *event, uint64_t at_us);
bool event_take(struct sim *sim, struct event *event);
uint64_t event_next_us(const struct sim *sim);
void events_clear(struct sim *sim);
// Puts the event on the link: it arrives never, once or twice. Takes the packet over.
void link_carry(struct sim *sim, struct link *link, const struct event *event, uint64_t after_us);

// client.c
void client_next(struct sim *sim);
// The number of the datagram that arrives: a copy where this one was here already.
uint32_t client_arrives(struct sim *sim, uint32_t asked);

// truth.c
struct truth_record {
    struct strict_name owner;
    uint32_t ttl;
    uint16_t type;
    uint16_t class;
    uint16_t data_at; // in `data`; names uncompressed and in lower case
    uint16_t data_len;
    uint8_t section;
};

enum { TRUTH_RECORDS_MAX = 64 };

struct truth {
    uint16_t rcode;
    bool truncated;
    unsigned count;
    size_t data_used;
    size_t size; // of the message when nothing is compressed, without OPT
    struct truth_record records[TRUTH_RECORDS_MAX];
    uint8_t data[PACKET_MAX];
};

void truth_make(struct truth *truth, const struct sim *sim, uint32_t number);
// Writes it as a server would: compressed or not, with an OPT or without.
size_t truth_write(const struct truth *truth, const struct sim *sim, uint32_t number,
                   const struct strict *query, uint8_t out[static PACKET_MAX]);

// A reply with marked data to whatever question is given, for those who lie.
#define FORGED_MARK "FoRgEd!!"
size_t forged_write(uint8_t out[static PACKET_MAX], uint16_t id, const struct strict_name *name,
                    uint16_t type, uint16_t class);

// judge.c
// Holds a reply to a client against the query and all that was served.
void judge_reply(struct sim *sim, uint32_t asked, const uint8_t *bytes, size_t len);
// A server's reply was taken: remembers what the cache must now hold.
void judge_taken(struct sim *sim, uint32_t number);
// Must the answer to this question be in memory?
bool judge_kept(const struct sim *sim, uint32_t question);

// server.c
void server_mode_change(struct sim *sim, unsigned server);
void server_asked(struct sim *sim, const struct event *event);
void server_spoof(struct sim *sim);

// world.c
// A datagram arrives at a worker's source port; `number` is that of what was served + 1, or 0 for
// what no server means. Takes the packet over.
void world_reply(struct sim *sim, unsigned worker, uint16_t port, struct packet *packet,
                 uint32_t number);

// worker.c: the driver of one worker, as core/serve.h asks for it.
void worker_start(struct sim *sim, unsigned worker);
void worker_inbox(struct sim *sim, unsigned worker);
void worker_arrived(struct sim *sim, unsigned worker, uint32_t asked, bool handed);
void worker_wake(struct sim *sim, unsigned worker);
void worker_drain(struct sim *sim, unsigned worker);
