// SPDX-License-Identifier: MIT
#pragma once
#include "core/forward/connection_table.h"
#include "core/forward/kind.h"
#include "core/forward/latency.h"
#include "core/forward/rng.h"
#include "core/forward/support.h"
#include "core/forward/zone_table.h"

// What one worker knows of an upstream, learned from real traffic and probes: how long it takes,
// how much gets lost, whether it is alive, and what it cannot do. And the choice that follows from
// it.
//
// An upstream is unknown until its first reply, then alive. Silence is held against what was asked
// (kind.h): to a question of a kind that it owes a reply to it is not trusted, and to any question
// only when it owes replies to several kinds. It is dead when several sends in a row went without a
// reply for a while and a probe, a question of our own, did as well; one that never replied is dead
// with the first such send. Its first reply makes it alive again.
//
// That nobody is there, which the network says (ICMP), anybody can say. It counts where the
// upstream has not replied of late, and then it is dead.
//
// Over TCP a dead one may still be there: then it is asked that way alone, until a datagram comes
// back or TCP fails too.
//
// One that is unknown, dead, or owes a reply is not trusted with a question alone. It gets probes,
// at a capped rate: copies of questions that another upstream is asked too, single questions where
// there is no other, or questions for the zone's SOA. The same goes for one that fails: it answered
// SERVFAIL, REFUSED or the like to several questions in a row that another one then answered. It
// fails questions of their kinds, or of any kind where they were of several. What no upstream can
// answer (a zone whose signatures are wrong) counts against none.

#define UPSTREAM_SENDS_MAX    3  // of a question to one server and transport (RFC 9520 3.1)
#define UPSTREAM_OVERDUE_DEAD 3  // sends in a row without a reply, with which one may be dead
#define UPSTREAM_FAILED_FAILS 3  // questions in a row that it failed and another one answered
#define UPSTREAM_COPIES       16 // probes in a row with copies; after that half are for the SOA

enum upstream_health { UPSTREAM_UNKNOWN, UPSTREAM_ALIVE, UPSTREAM_DEAD };

struct upstream {
    struct latency latency;
    uint8_t health;            // enum upstream_health
    bool gone;                 // the last thing heard is that nobody is there
    bool over_tcp;             // dead, but for TCP
    bool probe_late;           // a probe got no reply in its time, since the last reply
    uint8_t probes;            // since the last reply
    uint8_t overdue;           // sends that are late, since the last reply
    uint8_t failed;            // questions that another one answered, since it last answered one
    struct kinds silent_to;    // the kinds of what is overdue, but for those beyond several
    struct kinds failed_at;    // and of what it failed
    uint16_t loss_pm;          // share of sends that got no reply, smoothed, in thousandths
    uint32_t in_flight;        // sends whose reply may still come
    uint64_t reply_us;         // when the last reply came
    uint64_t udp_reply_us;     // over UDP
    uint64_t tcp_reply_us;     // and over TCP
    uint64_t vouched_until_us; // it replied to a probe: until then silence is the kinds' affair
    uint64_t tcp_probe_us;     // when the next probe over TCP may be sent
    uint64_t reply_sent_us;    // and when what it answered had been sent; 0: there was none
    uint64_t silent_since_us;  // when the first of the overdue was sent
    uint64_t probe_us;         // when the next probe may be sent

    struct support support;
    bool tcp_any_order;    // it has answered what was asked later before what was asked first
    uint8_t tcp_failures;  // connections in a row that could not be had
    uint64_t tcp_retry_us; // when the next one may be tried
    // How many questions a connection takes in each lane, for each part of the networks; 0: any.
    uint16_t tcp_batches[LANES][LANE_BATCHES];

    // Cookies (RFC 7873): ours for this server, and the one it gave us.
    uint8_t cookie[8];
    uint8_t cookie_server_len; // 0: none yet; else 8 .. 32
    uint8_t cookie_server[32];
    uint64_t cookie_us; // when it last gave one
};

// The length of the server's part of its cookie; 0: there is none that still counts. Whoever has
// given one gives it every time (RFC 7873 5.3), until it was not heard for an hour.
static inline uint8_t upstream_cookie_len(const struct upstream *upstream, uint64_t now_us)
{
    return now_us - upstream->cookie_us < SUPPORT_LEARNED_US ? upstream->cookie_server_len : 0;
}

void upstream_init(struct upstream *upstream, struct rng *rng, uint64_t now_us);

// A send of a question of that kind left, and how it ended: with a reply to what was sent at
// `sent_us` (whatever it says; one over TCP tells nothing of the time and the loss of datagrams),
// as lost for good, or without anybody knowing. Where `sample` is not set it tells nothing of times
// and losses.
void upstream_sent(struct upstream *upstream, enum transport transport, uint64_t now_us);
void upstream_replied(struct upstream *upstream, uint32_t kind, uint64_t sent_us, uint64_t now_us,
                      enum transport transport, bool sample);
void upstream_lost(struct upstream *upstream, bool sample);
void upstream_forgotten(struct upstream *upstream);

// It answered a question; or it failed one of that kind that another one has answered now.
void upstream_answered(struct upstream *upstream);
void upstream_failed(struct upstream *upstream, uint32_t kind, uint64_t now_us);

// What was sent at `sent_us` should have been answered by now, and has not been. A probe has more
// time than others.
void upstream_overdue(struct upstream *upstream, uint32_t kind, uint64_t sent_us, uint64_t now_us);

// The same of a probe over TCP.
void upstream_tcp_overdue(struct upstream *upstream, uint64_t sent_us);

// Time has passed: those of the zone that have been silent for too long are dead now.
void upstreams_age(const struct zone *zone, struct upstream *upstreams, uint64_t now_us);

// The network says of what was sent at `sent_us` (0: it could not even be sent) that nobody is
// there. True: that is believed, as the upstream has not replied since, nor within the last
// moments.
bool upstream_unreachable(struct upstream *upstream, uint64_t sent_us, uint64_t now_us);

// A connection could not be had; the next one may be tried later and later. Or one gave a reply.
void upstream_tcp_failed(struct upstream *upstream, uint64_t now_us);
void upstream_tcp_worked(struct upstream *upstream);

// How long to wait for a reply before the question is sent again: for one of the fast mode, or for
// any, which is when a resend needs no luck to be right.
[[nodiscard]] uint32_t upstream_early_us(const struct upstream *upstream);
[[nodiscard]] uint32_t upstream_late_us(const struct upstream *upstream);

// Chooses the upstream that the next send of a question of that kind goes to, among those that are
// not dead: `sends[i]` counts those to the zone's i-th so far, UPSTREAM_SENDS_MAX or more: it is
// out. Those with fewer sends come first, among them the known, among them those that owe nothing,
// among them those that do not fail, and among them the zone's strategy decides, as it would for
// the question's first send where `first` is set. Returns the place in the zone's list, or -1.
struct choice {
    const struct zone *zone;
    const struct upstream *upstreams;
    const uint8_t *sends;
    uint32_t kind;
    bool first;
    uint64_t now_us;
};
[[nodiscard]] int upstream_choose(const struct choice *choice, struct rng *rng);

// Chooses one that gets a copy of the question as a probe, among those that are not trusted with
// this kind, are due for a probe, and have had fewer than `sends_max` sends of the question. It
// counts as probed from then on. -1: none.
[[nodiscard]] int upstream_try(const struct zone *zone, struct upstream *upstreams, uint32_t kind,
                               const uint8_t *sends, uint8_t sends_max, uint64_t now_us);

// True if one is due for an SOA probe over this transport, as it may be dead, or may be back. The
// second chooses it, and it counts as probed from then on; -1: none.
[[nodiscard]] bool upstream_probe_due(const struct zone *zone, const struct upstream *upstreams,
                                      enum transport transport, uint64_t now_us);
[[nodiscard]] int upstream_probe(const struct zone *zone, struct upstream *upstreams,
                                 enum transport transport, uint64_t now_us);

// Does it reply, but with failures where others have answers: to this kind, or to all?
static inline bool upstream_fails_all(const struct upstream *upstream)
{
    return upstream->failed >= UPSTREAM_FAILED_FAILS && kinds_several(&upstream->failed_at);
}

static inline bool upstream_fails(const struct upstream *upstream, uint32_t kind)
{
    return upstream->failed >= UPSTREAM_FAILED_FAILS &&
           (kinds_several(&upstream->failed_at) || kinds_have(&upstream->failed_at, kind));
}

// Does it owe a reply, to this kind or to so many that it may be dead?
static inline bool upstream_owes(const struct upstream *upstream, uint32_t kind, uint64_t now_us)
{
    if (upstream->overdue == 0)
        return false;
    return upstream->probe_late || kinds_have(&upstream->silent_to, kind) ||
           (kinds_several(&upstream->silent_to) && now_us >= upstream->vouched_until_us);
}

// May it be asked at all, and over which transport?
static inline bool upstream_is_there(const struct upstream *upstream)
{
    return upstream->health != UPSTREAM_DEAD || upstream->over_tcp;
}

// May this one be trusted with a question of this kind alone?
static inline bool upstream_is_trusted(const struct upstream *upstream, uint32_t kind,
                                       uint64_t now_us)
{
    bool well = upstream->health == UPSTREAM_ALIVE && !upstream_owes(upstream, kind, now_us);
    return (well || upstream->over_tcp) && !upstream_fails(upstream, kind);
}

// When the next probe of any of the zone's may be sent; UINT64_MAX: all are trusted with this kind.
[[nodiscard]] uint64_t upstream_next_probe_us(const struct zone *zone,
                                              const struct upstream *upstreams, uint32_t kind,
                                              uint64_t now_us);

// True if each upstream of the zone is known to be dead.
[[nodiscard]] bool upstream_all_dead(const struct zone *zone, const struct upstream *upstreams);
