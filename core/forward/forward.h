// SPDX-License-Identifier: MIT
#pragma once
#include "core/answer.h"
#include "core/forward/budget.h"
#include "core/forward/outgoing.h"
#include "core/forward/port.h"
#include "core/forward/stalling.h"
#include "core/forward/stream.h"
#include "core/forward/upstream.h"
#include "core/settings/counters.h"

// Gets questions answered by upstreams: whom to ask, when to ask again and over what, which reply
// counts, and when to give up. It knows neither clients' messages nor the cache: serve puts a
// question in with forward_start and takes it out again with forward_take_ended.
//
// One question's life:
//
//   start     to the best upstream there is; a copy or a probe to one that is not trusted, now and
//             then
//   due       no reply in time: again, to another one where there is one, as far as the budget
//             allows (budget.h); at most three times to each over UDP, then over TCP
//   reply     what matches in address, port, ID and question to the letter (RFC 5452) ends it, or
//             sends it on: truncated -> TCP; SERVFAIL and the like -> the next upstream; EDNS or
//             cookie not understood -> again without
//   near miss three replies that are nearly right: somebody guesses; from then on only TCP counts
//   deadline  4.9 s after the start it has failed
//
// One per worker, part of its struct serve, whose contract it shares (core/serve.h).

#define FORWARD_DEADLINE_US     4900000u // so that clients who wait for 5 s hear of it
#define FORWARD_HOUSEKEEPING_US 1000000u // between two looks for what has grown old

struct forward_config {
    const struct plan *plan;
    struct counters *counters;
    const struct answer_limits *limits;
    uint32_t pending_max; // questions, a power of two
    uint16_t ports_max;
    uint16_t streams_max;
    uint64_t stream_idle_us; // after which a connection is closed
    uint64_t key_seed;       // of the keys' hash
    bool spelling;           // names go out in random spelling (0x20)
    bool cookies;            // RFC 7873
};

enum forward_timer {
    TIMER_QUESTION, // struct pending
    TIMER_STALE,    // struct pending, serve's
    TIMER_REFRESH,  // struct refresh, serve's
    TIMER_ORPHAN,   // struct attempt
    TIMER_PORTS,
    TIMER_STREAMS,
};

struct forward {
    struct forward_config config;
    struct rng rng;
    struct wheel wheel;
    struct pending_table pending;
    struct port_table ports;
    struct stream_table streams;
    struct timer ports_timer;   // runs while ports are open
    struct timer streams_timer; // runs while connections are open
    struct attempt *to_send;
    struct attempt **to_send_end;
    struct pending *ended; // by next_ended
    struct pending **ended_end;
    struct budget budget;       // of resends
    struct budget trial_budget; // of trials beside other sends
    struct budget loss_budget;  // of sends lost with connections that served nobody
    uint64_t kind_secret;
    struct kind_share shares[KIND_SHARES];
    struct stalling stalling; // networks whose questions end connections
    uint32_t attempt_count;   // of all kinds
    uint32_t attempt_max;
    uint32_t probe_count; // questions of our own that are under way
    uint32_t revivals;    // times that an upstream came back from the dead
    bool answer_taken;    // by a question that has ended and is not done with
    struct answer answer;
    struct upstream upstreams[PLAN_UPSTREAMS_MAX];
    uint8_t answer_value[ANSWER_SIZE_MAX];
};

static inline struct kind_share *forward_share(struct forward *f, uint32_t kind)
{
    return &f->shares[kind % KIND_SHARES];
}

static inline void forward_count(struct forward *f, enum counter which)
{
    counter_add(f->config.counters, which, 1);
}

[[nodiscard]] size_t forward_size(const struct forward_config *config); // of its tables
void forward_init(struct forward *f, void *tables, const struct forward_config *config,
                  const uint8_t seed[static 32], uint64_t now_us);

// Takes from the settings what the forwarder is told by them.
void forward_settings_take(struct forward_config *config, const struct settings *settings);

// From now on this is the plan; see serve_reload.
void forward_reload(struct forward *f, uint64_t now_us, const struct plan *plan,
                    const struct settings *settings);

// Begins to ask a question that was just added, with its zone set.
void forward_start(struct forward *f, uint64_t now_us, struct pending *pending);

// Where an upstream of this zone is silent and may be dead, or is dead and may be back, and is due
// for a trial, it is asked for the zone's own SOA, which every server of the zone knows: what
// clients ask may be silent by itself. Where none of the zone's is there, over TCP too. Nobody
// waits for the answer and its failure is not remembered. Probes find room whatever the table
// holds.
void forward_probe(struct forward *f, uint64_t now_us, const struct plan_zone *zone);

// Gives a question up before its time; it ends as failed.
void forward_abandon(struct forward *f, uint64_t now_us, struct pending *pending);

// No upstream of this zone is alive, as far as is known.
[[nodiscard]] bool forward_is_down(struct forward *f, uint64_t now_us,
                                   const struct plan_zone *zone);

// What happened outside; see serve.h.
void forward_reply(struct forward *f, uint64_t now_us, uint16_t port, const uint8_t *in,
                   size_t len);
void forward_stream_reply(struct forward *f, uint64_t now_us, uint16_t stream, const uint8_t *in,
                          size_t len);
void forward_stream_connected(struct forward *f, uint64_t now_us, uint16_t stream);
void forward_stream_closed(struct forward *f, uint64_t now_us, uint16_t stream);
void forward_unreachable(struct forward *f, uint64_t now_us, uint16_t port);
void forward_port_refused(struct forward *f, uint64_t now_us, uint16_t port);
void forward_port_unavailable(struct forward *f, uint64_t now_us, uint16_t port);

// One of the forwarder's timers fired.
void forward_due(struct forward *f, uint64_t now_us, struct timer *timer);

// The next thing to send, open or close; false: there is none.
[[nodiscard]] bool forward_drain(struct forward *f, uint64_t now_us, struct outgoing *outgoing);

// The next question that has ended, unlinked and without attempts and timers of its own; NULL:
// there is none. Where its end is PENDING_ANSWERED, f->answer is the answer; the taker clears
// f->answer_taken when it is done with it.
[[nodiscard]] struct pending *forward_take_ended(struct forward *f);
