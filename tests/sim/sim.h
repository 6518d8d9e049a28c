// SPDX-License-Identifier: MIT
#pragma once
#include "core/forward/failure.h"
#include "core/forward/forward.h"
#include "core/forward/refresh.h"
#include "core/serve/serve.h"
#include "core/serve/waiter_table.h"
#include "tests/sim/dice.h"
#include "tests/sim/strict.h"

// A virtual network around one `struct serve` for each worker: clients, links, upstream servers, a
// spoofer, and a clock that moves when nothing is left to do at its time. One seed decides all of
// it, so what went wrong once can be seen again:
//
//   params     draws the parameters and makes settings, zone table and access list of them
//   network    packets, the event queue, links, the clock
//   tcp        connections from workers to upstream servers
//   client     writes queries and knows what each of them must get
//   server     upstream servers and what goes wrong with them
//   spoof      an outside forger that sends in their names
//   truth      what a server says to a question
//   judge      holds every answer against all that servers have said
//   memory     what the cache must and must not hold
//   worker     drives a worker by the contract of core/serve/serve.h
//   asking     what workers ask of upstreams: whether they may, and how each question ends
//   budget     how much they ask
//   inside     a look into a worker, to see which questions it has and whether its tables are sound
//   world      runs a seed: what happens when, and what must hold in the end
//   bench      experiments with figures, in virtual time
//
// `struct sim` is made once and used for one seed after the other.

enum {
    WORKERS_MAX = 4,
    SERVERS_MAX = 4,
    ZONES_MAX = 4,
    NAMES_MAX = 64, // that clients ask for; behind them stand the zones' own
    NAMES_ALL = NAMES_MAX + ZONES_MAX,
    TYPES_MAX = 12,
    FLAGS_MAX = 4, // DO, CD
    QUESTIONS_MAX = NAMES_ALL * TYPES_MAX * FLAGS_MAX,
    ASKED_MAX = 4096,
    ASKINGS_MAX = 8192,
    SENDS_MAX = 32768,
    SERVED_MAX = 32768,
    EVENTS_MAX = 32768,
    PORTS_MAX = 512,
    PORT_SENDS_MAX = 2 * SOURCE_PORT_USES,
    WIRE_SENDS_MAX = 1024,
    STREAMS_MAX = 16,
    PENDING_MAX = 256,
    INBOX_MAX = 1024,
    PACKET_MAX = 66000,
    CANARY_LEN = 256,
    SENDS_PER_SERVER_MAX = 3, // RFC 9520 3.1
    LOSSES_MAX = 64,          // of one question over TCP, beyond those
    OTHER_WAYS_MAX = 3,       // without a cookie, without EDNS, in lower case
    DEADLINE_US = 4900000,    // of a question
    PROBE_US = 1000000,       // of one that no client waits for
    TICK_US = 1000,
};

#define NEVER    UINT64_MAX
#define OUT_SIZE ((size_t)SERVE_BATCH_MAX * SERVE_MESSAGE_ROOM)

// Octets of their exact number, so that a sanitizer detects reads past them.
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
    uint16_t mtu; // what is longer is lost, or cut; 0: nothing is
    bool cuts;
};

struct params {
    uint32_t workers, clients, queries, names, types, zones, servers;
    uint32_t span_us;    // in which the queries come
    uint32_t popularity; // 0: all names alike, up to 3: few names get nearly all
    uint32_t malformed_pm, edns_pm, do_pm, cd_pm, unasked_pm, tcp_pm, repeat_pm, burst_pm,
        handed_fail_pm;
    uint32_t handed_us, refuse_pm, connect_fail_pm, wake_late_us, stalls, stall_us, spoof_us;
    uint32_t mode_us;            // between changes of a server's mode; 0: never
    uint32_t outages, outage_us; // times when no server answers but the steady one
    uint32_t big_pm, huge_pm, inbox_max;
    uint32_t pending_max, source_ports_max, upstream_connections_max;
    bool brief;       // answers live for seconds
    bool plain;       // nothing happens but what an experiment wants; no answer is cached
    bool lazy;        // drains once for several batches, as the daemon's loop does
    bool icmp;        // forged ICMP reports sends as undeliverable
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

// What a server makes of EDNS: knows it, does not see it, or says so in one way or the other.
enum server_edns {
    EDNS_KNOWN,
    EDNS_UNSEEN,
    EDNS_FORMERR,
    EDNS_FORMERR_BARE, // a header and no question
    EDNS_NOTIMP,
    EDNS_NOTIMP_BARE,
    EDNS_BADVERS,
    EDNS_COUNT
};

// What a server makes of a name in mixed case.
// What a server does with some of the names, whatever else it is like: their owner decides.
enum server_mood {
    MOOD_NONE,
    MOOD_SILENT,
    MOOD_STALLS, // truncated, and nothing over TCP
    MOOD_CLOSES, // truncated, and the connection is closed
    MOOD_COUNT
};

enum server_mixed { MIXED_TAKEN, MIXED_REFUSED, MIXED_SERVFAIL, MIXED_IGNORED, MIXED_COUNT };

enum server_case { CASE_KEPT, CASE_LOWERED, CASE_SHOUTED, CASE_COUNT };

enum server_cookies {
    COOKIES_NONE,
    COOKIES_GIVEN,
    COOKIES_DEMANDED,  // BADCOOKIE without the right one
    COOKIES_FORGOTTEN, // now and then
    COOKIES_ODD,       // of no valid length
    COOKIES_WRONG,     // with another client's part, now and then
    COOKIES_HOPELESS,  // BADCOOKIE whatever comes
    COOKIES_COUNT
};

enum server_tcp {
    TCP_GOOD,
    TCP_CLOSES_AFTER, // some replies
    TCP_CLOSES_IDLE,
    TCP_CLOSES_EARLY, // before it has answered
    TCP_REFUSED,
    TCP_SILENT,
    TCP_COUNT
};

struct server {
    struct address address;
    struct link there;
    struct link back;
    uint32_t slow_us;
    uint32_t miss_us;   // more for a question that it has not in its own cache
    uint32_t rate_max;  // replies in a tenth of a second; 0: any number
    uint32_t tcp_after; // replies, or microseconds of rest, after which it closes
    uint64_t rate_from_us;
    uint32_t rate_count;
    int upstream;        // index into zone_table.upstreams; -1: no zone is forwarded there
    uint8_t mode;        // enum server_mode
    uint8_t edns;        // enum server_edns
    uint8_t name_case;   // enum server_case
    uint8_t cookies;     // enum server_cookies
    uint8_t tcp;         // enum server_tcp
    uint8_t mixed;       // enum server_mixed
    bool bare;           // its errors are a header alone
    bool formerr_cookie; // says FORMERR to a cookie
    bool moody;          // enum server_mood
    bool oversized;      // does not look how long a datagram the other side takes
    bool unordered;      // replies over TCP in any order
    bool slips;          // above its rate it says TC instead of nothing
    bool flaps;          // is well or dead and nothing else
    bool steady;         // stays good
    uint64_t known[QUESTIONS_MAX / 64]; // what its own cache holds
};

struct sim_zone {
    struct strict_name name;
    uint8_t servers[SERVERS_MAX];
    uint8_t server_count;
};

struct qname {
    struct strict_name name; // lower case
    int zone;                // -1: in none
};

// What the cache holds of a question, or of the denial of a name, unless it had to make room.
struct kept {
    uint32_t served; // the reply that it came with + 1; 0: none
    uint32_t hits;   // answers given with it while it was alive
    uint64_t birth_s;
    uint64_t expiry_s;
    uint64_t popular_us; // when it was asked for so often; 0: it was not
    bool refreshed;      // was fetched before its predecessor had expired
    bool hasty;          // took the place of one that lived, and may be taken for that
};

struct topic {
    struct kept kept;
    uint32_t served; // last reply made for it + 1; 0: none
    uint32_t asking; // the one under way + 1; 0: none
    uint32_t ended;  // the one that ended last + 1; 0: none
    // What is remembered of its failing.
    uint64_t fail_until_us; // 0: nothing
    uint64_t fail_lasts_us;
    uint32_t fail_recoveries;
    uint16_t fail_rcode;
    bool fail_network;
    bool fail_counted; // among those of its bucket
};

enum asking_end { ASKING_OPEN, ASKING_ANSWERED, ASKING_FAILED, ASKING_ABANDONED };

// A question on its way through the forwarder, from its start to its end.
struct asking {
    uint64_t hash; // of its key
    uint32_t question;
    uint32_t answer;  // the reply that ended it + 1
    uint32_t waiting; // clients that wait for it now
    uint32_t credits; // sends that something forced: a reply, a refusal, the end of a connection
    uint64_t began_us;
    uint64_t ended_us;
    uint64_t
        stale_since_us;    // since when a client waits that could have had a stale answer; 0: none
    uint64_t last_send_us; // 0: none
    uint16_t rcode;        // it ended with
    uint8_t worker;
    uint8_t last_server; // that it was sent to
    uint8_t end;         // enum asking_end
    uint8_t failed;      // a bit for each server that has said that it cannot or will not
    uint8_t complained;  // of one that did not take the query as it was, or the answer is too long
    uint8_t sends[SERVERS_MAX];
    uint8_t tcp_sends[SERVERS_MAX]; // but for those that were lost with a connection
    uint8_t losses;
    uint8_t other_ways[SERVERS_MAX]; // that it may have wanted it in, as it said over TCP
    bool refresh;
    bool probe; // of the zone's SOA, to see whether the upstream is back
    bool gone;  // the network has said meanwhile that none of its upstreams is there
    bool tcp_only;
    bool apart;    // is asked for networks alone that are held apart
    bool released; // was, before another network joined: it starts again over TCP, once
    bool heard_rcode;
};

enum asked_state { ASKED_FLYING, ASKED_WAITING, ASKED_ANSWERED, ASKED_DROPPED };
enum expectation { EXPECT_ANSWER, EXPECT_RCODE, EXPECT_DROP, EXPECT_ANY };

// A datagram on its way from a client; one that the network doubles is two of them. The client's
// `listener` carries its number, so that an answer shows which it is for.
struct asked {
    struct packet *packet;
    struct client client;
    uint64_t waiting_since_us;
    uint64_t left_us;
    uint64_t answered_us;
    uint32_t question; // where EXPECT_ANSWER
    uint32_t asking;   // that it waits for
    uint16_t rcode;    // where EXPECT_RCODE
    uint16_t room;     // octets that the client takes
    uint8_t name_len;
    uint8_t state;  // enum asked_state
    uint8_t expect; // enum expectation
    bool edns, dnssec_ok, checking_disabled, recursion, refused, cut, arrived;
    uint32_t stale; // what was over when it began to wait, as in struct kept
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

// A query that a worker sent to a server.
struct sent {
    uint64_t at_us;
    uint64_t answered_us; // when a reply to it came that was read; NEVER: none yet
    uint32_t asking;
    uint32_t generation;
    uint16_t port; // slot of the source port, or of the connection
    uint16_t id;
    uint8_t worker;
    uint8_t server;
    bool tcp;
    bool probe;
};

enum slot_state { SLOT_FREE, SLOT_OPEN, SLOT_FAILED };

// What the network knows of a worker's source port.
struct slot {
    uint32_t generation;
    uint32_t sent_count;
    uint16_t number;
    uint8_t server;
    uint8_t state;                 // enum slot_state
    uint32_t sent[PORT_SENDS_MAX]; // numbers of the sends from here
};

// A connection from a worker to a server.
struct wire {
    uint32_t generation;
    uint32_t replies;
    uint32_t sent_count;
    uint64_t there_us; // when the last of what was sent arrives: nothing overtakes it
    uint64_t back_us;
    uint64_t used_us;
    uint8_t server;
    bool open;   // as the worker sees it
    bool silent; // all that is sent is lost: the other side is dead, or has closed
    uint32_t sent[WIRE_SENDS_MAX];
};

struct inbox_item {
    uint32_t asked;
    bool handed;
    bool hint;
};

// What is known of a server by what one worker has heard from it.
struct heard {
    uint64_t reply_sent_us; // the latest sent of what it has answered, over UDP
    uint64_t probe_us;      // when it was last asked while dead
    uint64_t dead_us;       // since when the worker takes it for dead
    uint32_t answers;
    uint8_t cookie[8]; // the worker's part of the cookie there, once it was seen
    bool has_cookie;
    bool dead;
    bool gone; // ICMP has reported it unreachable since the last reply
};

struct node {
    struct serve *serve;
    const struct forward *forward; // what is inside, for looking only
    struct counters counters;
    uint64_t wake_us; // when the driver calls serve_expire
    uint32_t inbox_count;
    uint32_t began;    // questions
    uint32_t budgeted; // sends that nothing but the budget allows
    uint32_t looks;
    uint32_t loops;     // replies left out as their receiver answers everything
    uint32_t open_most; // questions at a time
    bool inbox_event;
    bool drain_event;
    uint32_t slot_asking[PENDING_MAX];  // what stands in each place of its table + 1
    uint16_t failures[PENDING_MAX / 2]; // questions of each bucket that have failed at some time
    struct heard heard[SERVERS_MAX];
    struct slot slots[PORTS_MAX];
    struct wire wires[STREAMS_MAX];
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
    EVENT_UNREACHABLE, // or ICMP reports it unreachable
    EVENT_TCP_ASKED,   // a query arrives at a server over a connection
    EVENT_TCP_REPLY,
    EVENT_TCP_OPEN,   // the news that one is established
    EVENT_TCP_CLOSED, // the news that a connection has ended, or could not be had
    EVENT_TCP_IDLE,   // a server looks whether anything was asked of late
    EVENT_MODE,
    EVENT_OUTAGE,
    EVENT_SPOOF,
    EVENT_STALL,
    EVENT_BENCH,
};

struct event {
    uint64_t at_us;
    uint64_t order;
    struct packet *packet;
    uint32_t number; // of what was asked, sent or served, + 1 for the latter; 0: none
    uint32_t generation;
    uint16_t port;
    uint8_t kind; // enum event_kind
    uint8_t worker;
    uint8_t server;
    bool hint;
};

// What the driver did and saw, to be held against the counters.
struct tally {
    uint64_t arrived, arrived_tcp, answered, dropped, dropped_full, handed, handed_failed,
        truncated;
    uint64_t hits, fresh, stale, failures, hints, popular;
    uint64_t sends, tcp_sends, resends, opens, refusals, unreachables, closes, replies, forged;
    uint64_t connects, disconnects, ends, refreshes, refreshes_used, refreshes_used_maybe;
};

struct sim {
    uint64_t seed;
    struct dice dice;
    uint64_t start_us;
    uint64_t now_us;
    uint64_t stall_from_us; // the last leap of the clock, up to
    uint64_t stall_until_us;
    uint64_t outage_until_us;
    uint64_t digest;
    uint64_t order;
    uint64_t steps;
    bool trace;
    bool failed;
    char why[1600]; // with a name whose octets are all escaped

    struct params params;
    struct settings settings;
    struct forward_zone forward[ZONES_MAX];
    struct endpoint forward_to[ZONES_MAX][SERVERS_MAX];
    struct prefix prefixes[4];
    struct zone_table zone_table;
    struct access_list access;
    struct cache cache;
    struct tally tally;
    uint64_t totals[COUNTER_COUNT]; // of all seeds so far
    struct tally tallies;
    struct link client_link;
    struct server servers[SERVERS_MAX];
    struct sim_zone zones[ZONES_MAX];
    struct qname names[NAMES_ALL];
    uint16_t types[TYPES_MAX];
    uint64_t ports_taken[UINT16_MAX / 64 + 1]; // a bit a number
    uint32_t queries_left;
    uint32_t asked_count;
    uint32_t asking_count;
    uint32_t sent_count;
    uint32_t served_count;
    size_t event_count;
    size_t reply_room;

    struct node nodes[WORKERS_MAX];
    struct topic questions[QUESTIONS_MAX];
    struct kept denials[NAMES_ALL][FLAGS_MAX]; // that a name does not exist, for all types
    struct asked asked[ASKED_MAX];
    struct asking askings[ASKINGS_MAX];
    struct sent sent[SENDS_MAX];
    struct served served[SERVED_MAX];
    struct event events[EVENTS_MAX];
    // Taken once, at the largest size that parameters can want.
    void *zone_table_memory;
    void *access_memory;
    void *region;
    uint8_t *serve_memory[WORKERS_MAX];
    size_t serve_memory_size;
    struct cache_copy *copy;
    uint8_t *out;      // replies of a batch
    uint8_t *outgoing; // one thing that is drained
};

// sim_make takes the memory; sim_run runs a seed and returns whether all held, with the digest in
// sim->digest and otherwise a sentence in sim->why.
struct sim *sim_make(void);
void sim_free(struct sim *sim);
bool sim_run(struct sim *sim, uint64_t seed, bool trace);

// The same in parts, for experiments: a world where all is well, with so many servers that take no
// time for their replies; what comes next, and false where nothing does; and the end.
void sim_begin_plain(struct sim *sim, uint64_t seed, unsigned servers);
bool sim_step(struct sim *sim);
bool sim_end(struct sim *sim);

// Only the first failure of a seed is recorded: the rest often follows from it.
__attribute__((format(printf, 2, 3))) void sim_fail(struct sim *sim, const char *format, ...);
__attribute__((format(printf, 2, 3))) void sim_trace_line(struct sim *sim, const char *format, ...);
#define sim_trace(sim, ...)                   \
    do {                                      \
        if ((sim)->trace)                     \
            sim_trace_line(sim, __VA_ARGS__); \
    } while (0)
void sim_note(struct sim *sim, uint64_t value);
void sim_note_bytes(struct sim *sim, const uint8_t *bytes, size_t len);
const char *sim_question_text(const struct sim *sim, uint32_t question); // until the next call

static inline uint64_t sim_counted(const struct node *node, enum counter counter)
{
    return counter_get(&node->counters, counter);
}

// params.c
void params_draw(struct sim *sim);
void params_plain(struct sim *sim, unsigned servers);
void params_largest(struct sim *sim); // settings that want the most memory
struct serve_config params_config(struct sim *sim, unsigned worker);

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
// How long the link takes where what gets lost is sent again until it arrives.
uint64_t link_surely_us(struct sim *sim, struct link *link);

// tcp.c
void tcp_connect(struct sim *sim, unsigned worker, uint16_t slot, unsigned server);
void tcp_send(struct sim *sim, unsigned worker, uint16_t slot, uint32_t question,
              const uint8_t *bytes, size_t len);
void tcp_disconnect(struct sim *sim, unsigned worker, uint16_t slot);
void tcp_reply(struct sim *sim, const struct event *asked, struct packet *packet, uint32_t number,
               uint64_t after_us);
void tcp_event(struct sim *sim, struct event *event);
// The server closes the connection that this was asked on.
void tcp_close(struct sim *sim, const struct event *asked);

// client.c
void client_next(struct sim *sim);
// A query that an experiment wants to be asked now, from that port; returns its number.
uint32_t client_ask(struct sim *sim, uint32_t question, uint16_t port);
// The number of the datagram that arrives: a copy where this one was here already.
uint32_t client_arrives(struct sim *sim, uint32_t asked);

// truth.c
struct truth_record {
    struct strict_name owner;
    uint32_t ttl;
    uint16_t type;
    uint16_t class;
    uint32_t data_at; // in `data`; names uncompressed and in lower case
    uint16_t data_len;
    uint8_t section;
};

enum { TRUTH_RECORDS_MAX = 64 };

struct truth {
    uint16_t rcode;
    bool truncated;
    bool huge;
    bool brief;
    bool plain;
    unsigned count;
    size_t data_used;
    size_t size; // of the message when nothing is compressed, without OPT
    struct truth_record records[TRUTH_RECORDS_MAX];
    uint8_t data[PACKET_MAX];
};

// What a server reads in a query.
struct upstream_asked {
    struct strict message;
    bool edns;
    uint16_t udp_size; // 512 without EDNS
    uint8_t cookie[40];
    uint8_t cookie_len;
};

// How a server writes a reply.
struct manner {
    uint16_t room; // octets that the other side takes; more is truncated. 0: does not matter
    uint8_t name_case;
    bool opt;  // may be there
    bool bare; // a header alone
    uint8_t cookie[44];
    uint8_t cookie_len;
};

void truth_make(struct truth *truth, const struct sim *sim, uint32_t number);
// Writes it as a server would: compressed or not, with an OPT or without.
size_t truth_write(const struct truth *truth, const struct sim *sim, uint32_t number,
                   const struct strict *query, const struct manner *manner,
                   uint8_t out[static PACKET_MAX]);

// judge.c: holds a reply to a client against the query and all that was served.
void judge_reply(struct sim *sim, unsigned worker, uint32_t asked, const uint8_t *bytes,
                 size_t len);
bool judge_same(const struct sim *sim, uint32_t served, const uint8_t *bytes, size_t len);
// The TTLs with which a reply to a question of type `asked` is cached (RFC 2181 5.2, 8, RFC 2308 2
// and 5); returns the lifetime.
uint32_t judge_ttls(const struct sim *sim, const struct truth *truth, uint16_t asked,
                    uint32_t ttls[static TRUTH_RECORDS_MAX]);

// memory.c
// A server's reply was taken and put into the cache, or could not be: remembers what that now
// holds.
void memory_taken(struct sim *sim, uint32_t number, bool inserted, bool refresh);
// What lives of a question's own answers, or of denials of its name; NULL: nothing.
struct kept *memory_alive(struct sim *sim, uint32_t question, bool denial);
bool memory_has(struct sim *sim, uint32_t question); // one of them, surely
// A stale answer that may still be given, if it is still there; NULL: none.
const struct kept *memory_stale(const struct sim *sim, uint32_t question);
// What may be given if that had to go: an answer, where it is a denial, or the reverse.
const struct kept *memory_stale_older(const struct sim *sim, uint32_t question);
bool memory_whole(const struct sim *sim); // nothing had to make room
void memory_hit(struct sim *sim, struct kept *kept, bool tcp);
void memory_check(struct sim *sim);

// server.c
void server_mode_change(struct sim *sim, unsigned server, bool again);
void server_outage(struct sim *sim);
void server_asked(struct sim *sim, const struct event *event);

// spoof.c
// A reply with marked data to any question, for forgers.
#define FORGED_MARK "FoRgEd!!"
size_t forged_write(uint8_t out[static PACKET_MAX], uint16_t id, const struct strict_name *name,
                    uint16_t type, uint16_t class);
struct strict_name forged_name(struct dice *d, const struct strict_name *name);
// May ouzel take this for a right reply, and rightly? Only a liar's luck can make it so.
bool forged_right(const struct sim *sim, unsigned worker, uint16_t port, bool tcp,
                  const struct packet *packet);
void spoof(struct sim *sim);
void spoof_blind(struct sim *sim); // by a forger that knows all but the ID and the 0x20 case

// world.c
// A datagram arrives at a worker's source port, or a message on a connection; `number` is that of
// what was served + 1, or 0 for what no server means.
void world_reply(struct sim *sim, unsigned worker, uint16_t port, bool tcp,
                 const struct packet *packet, uint32_t number);
// The news that a source port leads nowhere arrives, be it true or not.
void world_unreachable(struct sim *sim, unsigned worker, uint16_t port);
bool world_busy(const struct sim *sim); // a client waits or will ask

// worker.c: the driver of one worker, as core/serve/serve.h asks for it.
void worker_start(struct sim *sim, unsigned worker);
const char *worker_check(struct sim *sim, unsigned worker); // NULL, or what is not sound
void worker_inbox(struct sim *sim, unsigned worker);
void worker_arrived(struct sim *sim, unsigned worker, uint32_t asked, bool handed, bool hint);
void worker_wake(struct sim *sim, unsigned worker);
void worker_drain(struct sim *sim, unsigned worker);
// The latest time by which what was due then must have been done.
uint64_t worker_patience(const struct sim *sim, uint64_t due_us);

// asking.c
int asking_question(const struct sim *sim, const uint8_t *key, size_t len); // of a key; -1: none
unsigned asking_home(const struct sim *sim, const struct asking *asking);
// To be called after each verb: sees which questions have begun and ended.
void asking_look(struct sim *sim, unsigned worker);
// Which asking a waiting client belongs to + 1; 0: none.
uint32_t asking_of_client(const struct sim *sim, unsigned worker, uint32_t question,
                          uint32_t asked);
void asking_open(struct sim *sim, unsigned worker, const struct outgoing *out);
void asking_close(struct sim *sim, unsigned worker, uint16_t port);
void asking_send(struct sim *sim, unsigned worker, const struct outgoing *out);
void asking_connect(struct sim *sim, unsigned worker, const struct outgoing *out);
void asking_disconnect(struct sim *sim, unsigned worker, uint16_t slot);
// The send that a reply which came there answers + 1; 0: none.
uint32_t asking_sent_find(const struct sim *sim, unsigned worker, uint16_t port, bool tcp,
                          uint16_t id);
// All that was asked from that port or connection and is not answered may be asked again.
void asking_credit_all(struct sim *sim, unsigned worker, uint16_t port, bool tcp);

// budget.c
void budget_sent(struct sim *sim, const struct sent *sent, struct asking *asking);

// bench.c: returns how many figures were missed.
unsigned bench_run(struct sim *sim);

// inside.c: what cannot be seen from outside of core/serve.
const struct forward *inside_forward(const struct serve *serve);
const struct question *inside_told(const struct serve *serve); // those that have answers to deliver
bool inside_fails(const struct serve *serve, uint64_t hash);   // a failure is in the table
const char *inside_check(const struct serve *serve);           // NULL, or what is not sound
uint32_t inside_slot(const struct serve *serve, const struct question *question);
const struct waiting *inside_waiting(const struct serve *serve, const struct question *question);
