// SPDX-License-Identifier: MIT
#pragma once
#include "core/forward/state.h"

// The forwarder's hands: sending a question to an upstream, from a port or on a connection, and
// each way in which that can end. schedule.h decides which of them it is
// to be.
//
// An attempt that is queued stands in `to_send` and has not been sent (sent_us is 0), nor has one
// that is deferred (connection.h); any other one has been, and counts as in flight at its upstream
// until it ends.

#define ATTEMPT_CUTS_MAX 2 // connections to an upstream that one question may end

// Queues a send of the question to the zone's upstream number `choice`, over UDP. False: there was
// no source port or attempt to be had.
[[nodiscard]] bool attempt_ask(struct forward *f, uint64_t now_us, struct question *question,
                               int choice);

// The same over TCP. False also where it cannot be, for now: that upstream's connections failed, or
// it had the question three times that way, but for what it wanted in another way.
[[nodiscard]] bool attempt_ask_tcp(struct forward *f, uint64_t now_us, struct question *question,
                                   int choice);

// One of the two.
[[nodiscard]] bool attempt_ask_over(struct forward *f, uint64_t now_us, struct question *question,
                                    int choice, enum transport transport);

// May it be asked over TCP, as far as its upstream and itself are concerned? Where it then cannot
// be it is for want of an attempt or a connection, and can be later.
[[nodiscard]] bool attempt_may_ask_tcp(const struct forward *f, uint64_t now_us,
                                       const struct question *question, int choice);

// True if this is the upstream's last chance: it is out, and was asked once more in lower case.
// Whether a deferred attempt has random case shows only when it is sent.
static inline bool attempt_is_last_chance(const struct attempt *attempt)
{
    const struct question *question = attempt->question;
    bool lower =
        attempt->deferred ? choice_in(question->no_case, attempt->choice) : !attempt->random_case;
    return lower && choice_in(question->out, attempt->choice);
}

// A connection stalled on this attempt, or was closed. That counts against its kind and the network
// that asked, so that they do not delay others. Where the reply was only slow, its network is
// forgiven once it is answered.
void attempt_stalled(struct forward *f, uint64_t now_us, const struct attempt *attempt,
                     bool closed);

// Are all networks that ask this known for what stalls connections?
[[nodiscard]] bool attempt_networks_stall(struct forward *f, uint64_t now_us,
                                          const struct question *question);

// Which of an upstream's batches are this network's?
[[nodiscard]] unsigned attempt_batch_part(const struct forward *f, const struct network *network);

// Ends an attempt, whether it was sent or still waits for that, without having learned anything.
void attempt_drop(struct forward *f, struct attempt *attempt);

// Ends an attempt whose reply has come.
void attempt_answered(struct forward *f, uint64_t now_us, struct attempt *attempt);

// Its question is over, answered or not, but its reply may still come: it becomes an orphan, if it
// was sent.
void attempt_leave(struct forward *f, uint64_t now_us, struct attempt *attempt, bool answered);

// The time of an orphan is over.
void attempt_orphan_due(struct forward *f, uint64_t now_us, struct attempt *attempt);

// The next thing to open, close or send; false: there is none.
[[nodiscard]] bool attempt_drain(struct forward *f, uint64_t now_us, struct outgoing *outgoing);
