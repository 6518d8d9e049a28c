// SPDX-License-Identifier: MIT
#pragma once
#include "core/forward/connection_table.h"
#include "core/forward/kind.h"
#include "core/forward/latency.h"
#include "core/forward/rng.h"
#include "core/forward/support.h"
#include "core/forward/zone_table.h"

// What one worker knows of an upstream, learned from traffic and probes: how long it takes, how
// much gets lost, whether it is alive, and what it does not support. And the choice that follows
// from it.
//
// An upstream is unknown until its first reply, then alive. Silence counts against the kind of the
// question (kind.h): an upstream that owes a reply to a kind is not trusted with that kind, and
// with none when it owes replies to several. It is dead when several sends in a row and an SOA
// probe have gone without a reply for a while; one that never replied is dead with the first such
// send. Its first reply makes it alive again.
//
// ICMP may report it unreachable, but anyone can forge that. It counts where the upstream has not
// replied of late, and then the upstream is dead.
//
// A dead one may still answer over TCP: then it is asked over TCP alone, until a datagram comes
// back or TCP fails too.
//
// One that is unknown, dead, or owes a reply is not trusted with a question alone. It gets probes,
// at a capped rate: copies of questions that another upstream is asked too, single questions where
// there is no other, or questions for the zone's SOA. The same goes for one that fails: it answered
// SERVFAIL, REFUSED or the like to several questions in a row that another one then answered. It
// fails questions of their kinds, or of any kind where they were of several. What no upstream can
// answer (a zone whose signatures are wrong) counts against none.

#define UPSTREAM_SENDS_MAX    3  // of a question to one server and transport (RFC 9520 3.1)
#define UPSTREAM_OVERDUE_DEAD 3  // late sends in a row with which one may be dead
#define UPSTREAM_FAILED_FAILS 3  // questions in a row that it failed and another one answered
#define UPSTREAM_COPIES       16 // probes in a row with copies; after that half are for the SOA

enum upstream_health { UPSTREAM_UNKNOWN, UPSTREAM_ALIVE, UPSTREAM_DEAD };

struct upstream {
    struct latency latency;
    uint8_t health;            // enum upstream_health
    bool gone;                 // reported unreachable, and nothing was received since
    bool over_tcp;             // dead, but for TCP
    bool probe_late;           // an SOA probe is late, since the last reply
    uint8_t probes;            // since the last reply
    uint8_t overdue;           // late sends, since the last reply
    uint8_t failed;            // questions in a row that it failed and another one answered
    struct kinds silent_to;    // kinds of the late sends
    struct kinds failed_at;    // kinds of the failed questions
    uint16_t loss_pm;          // share of sends that got no reply, smoothed, in thousandths
    uint32_t in_flight;        // sends whose reply may still come
    uint64_t reply_us;         // time of the last reply
    uint64_t udp_reply_us;     // over UDP
    uint64_t tcp_reply_us;     // and over TCP
    uint64_t vouched_until_us; // it replied to an SOA probe: until then silence counts against
                               // kinds alone
    uint64_t tcp_probe_us;     // when the next probe over TCP may be sent
    uint64_t reply_sent_us;    // the send time of what the last reply answered; 0: none
    uint64_t silent_since_us;  // send time of the first late send
    uint64_t probe_us;         // when the next probe may be sent

    struct support support;
    bool tcp_any_order;    // it has answered out of order
    uint8_t tcp_failures;  // connections in a row that failed
    uint64_t tcp_retry_us; // when the next one may be opened
    // The batch of a connection in each lane, for each part of the networks; 0: any number.
    uint16_t tcp_batches[LANES][LANE_BATCHES];

    // Cookies (RFC 7873): ours for this server, and the one it gave us.
    uint8_t cookie[8];
    uint8_t cookie_server_len; // 0: none yet; else 8 .. 32
    uint8_t cookie_server[32];
    uint64_t cookie_us; // when it last sent one
};

// The length of the server's part of its cookie; 0: there is none, or it is older than an hour. A
// server that has sent one sends it every time (RFC 7873 5.3).
static inline uint8_t upstream_cookie_len(const struct upstream *upstream, uint64_t now_us)
{
    return now_us - upstream->cookie_us < SUPPORT_LEARNED_US ? upstream->cookie_server_len : 0;
}

void upstream_init(struct upstream *upstream, struct rng *rng, uint64_t now_us);

// A question of that kind was sent; and how that ended: with a reply to what was sent at `sent_us`,
// whatever it says; lost; or unknown. Only with `sample` does it count for times and losses, of
// datagrams alone.
void upstream_sent(struct upstream *upstream, enum transport transport, uint64_t now_us);
void upstream_replied(struct upstream *upstream, uint32_t kind, uint64_t sent_us, uint64_t now_us,
                      enum transport transport, bool sample);
void upstream_lost(struct upstream *upstream, bool sample);
void upstream_forgotten(struct upstream *upstream);

// It answered a question; it failed one of that kind, which another one has answered now.
void upstream_answered(struct upstream *upstream);
void upstream_failed(struct upstream *upstream, uint32_t kind, uint64_t now_us);

// What was sent at `sent_us` is late. SOA probes (KIND_PROBE) are given more time than others.
void upstream_overdue(struct upstream *upstream, uint32_t kind, uint64_t sent_us, uint64_t now_us);

// The same for an SOA probe over TCP.
void upstream_tcp_overdue(struct upstream *upstream, uint64_t sent_us);

// Declares those of the zone dead that have been silent for too long.
void upstreams_age(const struct zone *zone, struct upstream *upstreams, uint64_t now_us);

// The network reports it unreachable for what was sent at `sent_us` (0: it could not be sent).
// True: that counts, as the upstream has not replied since, nor of late.
bool upstream_unreachable(struct upstream *upstream, uint64_t sent_us, uint64_t now_us);

// A connection failed, and the next one has to wait longer each time; one gave a reply.
void upstream_tcp_failed(struct upstream *upstream, uint64_t now_us);
void upstream_tcp_worked(struct upstream *upstream);

// How long to wait for a reply before the question is sent again: for a reply of the fast mode, or
// for any reply.
[[nodiscard]] uint32_t upstream_early_us(const struct upstream *upstream);
[[nodiscard]] uint32_t upstream_late_us(const struct upstream *upstream);

// Chooses the upstream for the next send of a question of that kind, among those that are not dead.
// `sends[i]` counts the sends to the zone's i-th so far; with UPSTREAM_SENDS_MAX it is out. Those
// with the fewest sends come first, among these the known ones, then those that owe no reply, then
// those that do not fail; among equals the zone's strategy decides, as for the question's first
// send where `first` is set. Returns the place in the zone's list, or -1.
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

// True if it replies with failures where others have answers: to all kinds, or to this one.
static inline bool upstream_fails_all(const struct upstream *upstream)
{
    return upstream->failed >= UPSTREAM_FAILED_FAILS && kinds_several(&upstream->failed_at);
}

static inline bool upstream_fails(const struct upstream *upstream, uint32_t kind)
{
    return upstream->failed >= UPSTREAM_FAILED_FAILS &&
           (kinds_several(&upstream->failed_at) || kinds_have(&upstream->failed_at, kind));
}

// True if it owes a reply to this kind, or to so many that it may be dead.
static inline bool upstream_owes(const struct upstream *upstream, uint32_t kind, uint64_t now_us)
{
    if (upstream->overdue == 0)
        return false;
    return upstream->probe_late || kinds_have(&upstream->silent_to, kind) ||
           (kinds_several(&upstream->silent_to) && now_us >= upstream->vouched_until_us);
}

// True if it may be asked at all, perhaps over TCP alone.
static inline bool upstream_is_there(const struct upstream *upstream)
{
    return upstream->health != UPSTREAM_DEAD || upstream->over_tcp;
}

// True if it may be asked a question of this kind without another upstream.
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
