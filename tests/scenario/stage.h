// SPDX-License-Identifier: MIT
#pragma once
#include "core/serve/control.h"
#include "io/edge/settings_file.h"
#include "tests/scenario/names.h"
#include "tests/scenario/telling.h"
#include "tests/support/beside.h"

// What a scenario is played on: workers under a virtual clock, clients, and upstreams that do what
// they are told. It drives the workers as io/engine does in the daemon, calls each of them when it
// wants to be called, and keeps a list of all that happens, which the scenario's expectations are
// then held against (expect.h).

#define STAGE_START_US          1000000000000000u // a whole second, from which TTLs are counted
#define WORKERS_MAX             4
#define STAGE_REGION_LEN        (2 << 20) // of the cache
#define STAGE_SHARDS_PER_WORKER 2
#define PORTS_MAX               512
#define CONNECTIONS_MAX         32
#define UPSTREAMS_MAX           16
#define CLIENTS_MAX             1024

enum event_kind {
    EVENT_ASKED,   // an upstream was sent a query
    EVENT_ANSWER,  // a client got an answer
    EVENT_DROPPED, // a query got none
    EVENT_CONNECT,
    EVENT_DISCONNECT,
    EVENT_OPEN, // these two only where the scenario watches ports
    EVENT_CLOSE,
    EVENT_HANDED,
    EVENT_HINTED,
};

// Where an upstream's reply has to go to.
struct route {
    unsigned worker;
    uint16_t port; // slot of a source port or of a connection
    bool tcp;
    uint32_t generation; // of what is in the slot
};

struct event {
    enum event_kind kind;
    uint64_t at_us;
    unsigned upstream; // of EVENT_ASKED and those of ports and connections
    unsigned client;   // of the others
    struct route route;
    uint8_t *bytes; // of a query to an upstream or an answer
    size_t len;
    size_t asked;        // of an answer: the query
    enum counter reason; // of EVENT_DROPPED
    const char *label;   // "as LABEL", NULL: none
    bool said;           // an expectation has spoken of it
    bool replied;        // the scenario has given a reply to it
};

// A client's query.
struct asked {
    unsigned client;
    uint8_t *bytes;
    size_t len;
    bool tcp;
    bool waiting;
};

// What is to happen at a certain time.
enum plot_kind { PLOT_ASK, PLOT_REPLY, PLOT_UNREACHABLE, PLOT_CONNECTED, PLOT_HANG_UP };

struct plot {
    struct plot *next;
    uint64_t at_us;
    enum plot_kind kind;
    struct route route;
    unsigned client; // of PLOT_ASK, at worker route.worker, over TCP where route.tcp
    uint8_t *bytes;
    size_t len;
};

// What an upstream does of itself. The latest rule that fits a question counts.
struct rule {
    struct rule *before;
    bool silent;
    bool any_transport;
    bool tcp;
    struct name within; // names at or below this one
    uint64_t delay_us;
    struct statement saying; // its words from `head.at` on are the reply's
};

// When the answer to what a name was asked for first is there.
struct known {
    struct known *before;
    struct name name;
    uint64_t ready_us;
};

#define AT_ONCE_MAX 64

struct upstream_side {
    char *name;
    struct address address;
    struct rule *rules;
    bool unreachable;
    bool refuses_tcp;
    bool drops_tcp;        // connection attempts get no reply
    struct name closes_on; // closes a connection on which it is asked for this or below
    bool closes;           // there is such a name
    unsigned closes_after; // so many answers on a connection closes it; 0: does not
    unsigned at_once;      // questions of a connection that it works on at once; 0: all
    bool in_turn;          // answers those of a connection in the order in which they came
    bool remembers;        // what it was asked is known when it would first have been
    struct known *known;
    bool seems_unreachable; // forged ICMP says so
    uint64_t unreachable_after_us;
};

struct client_side {
    char *name;
    struct address address;
};

struct slot {
    bool open;
    bool failed; // it was to be opened, and could not be
    unsigned upstream;
    unsigned answers;              // that have come over a connection
    uint64_t last_us;              // when the last of its answers so far is to come
    uint64_t busy_us[AT_ONCE_MAX]; // until when the upstream works on one each
    uint16_t number;
    uint32_t generation;
};

struct stage {
    struct script *script;
    bool begun;
    bool trace;
    struct beside *beside; // NULL: none
    bool watch_ports;
    uint32_t pending_max;
    uint16_t source_ports_max;
    uint16_t upstream_connections_max;
    uint32_t worker_count;
    struct settings settings;
    struct zone_table zone_table;
    struct access_list access;
    struct names names;
    const struct local *local; // NULL: no name is answered here
    struct cache cache;
    struct counters counters[WORKERS_MAX];
    struct serve *workers[WORKERS_MAX];
    struct slot ports[WORKERS_MAX][PORTS_MAX];
    struct slot connections[WORKERS_MAX][CONNECTIONS_MAX];
    struct upstream_side upstreams[UPSTREAMS_MAX];
    size_t upstream_count;
    struct client_side clients[CLIENTS_MAX];
    size_t client_count;
    size_t reply_room;
    uint64_t now_us;
    uint16_t next_id;
    unsigned ports_taken; // so many of the next ones cannot be opened
    unsigned handovers_fail;
    struct plot *plots;   // by time
    struct plot *plotted; // the last one put there, if it still is
    struct event *events;
    size_t event_count;
    size_t event_room;
    struct asked *asked;
    size_t asked_count;
    size_t asked_room;
};

// Makes the workers out of what the scenario has set so far; the second call does nothing.
void stage_begin(struct stage *stage);

// The upstream or client of that name; clients come into being when they are first named.
[[nodiscard]] int stage_upstream(const struct stage *stage, const char *name);
[[nodiscard]] unsigned stage_client(struct stage *stage, const char *name);

// The worker that is home to a query's question.
[[nodiscard]] unsigned stage_home(const struct stage *stage, const uint8_t *query, size_t len);

// Has something happen at a time that is not over. The octets are copied.
void stage_plot(struct stage *stage, const struct plot *plot);

// Goes on to the next moment at which something is to be done, and does it; false, with the clock
// at until_us: there is none up to then.
bool stage_step(struct stage *stage, uint64_t until_us);
void stage_go(struct stage *stage, uint64_t until_us);

// Calls serve_drain until it has nothing more. Each verb must be followed by it.
void stage_drain(struct stage *stage, unsigned worker);

// The upstream ends its connections.
void stage_hang_up(struct stage *stage, unsigned upstream);

[[nodiscard]] uint64_t stage_counter(const struct stage *stage, enum counter which);

// Adds an event at the present time and returns it.
struct event *stage_event(struct stage *stage, enum event_kind kind, unsigned upstream,
                          unsigned client);
[[nodiscard]] char *stage_event_text(const struct stage *stage, const struct event *event);

// upstreams.c: what they do of themselves when they have been sent something.
void upstreams_asked(struct stage *stage, const struct event *event);
void upstreams_reply(struct stage *stage, const struct event *event, const struct telling *telling,
                     uint64_t delay_us);
