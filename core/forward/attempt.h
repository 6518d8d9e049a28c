// SPDX-License-Identifier: MIT
#pragma once
#include "core/forward/state.h"

// Attempts: sending a question to an upstream, from a source port or on a connection, and each way
// in which that can end. schedule.h decides what is sent.
//
// A queued attempt is in the list `to_send` and has not been sent (sent_us is 0), nor has a
// deferred one (connection.h). Any other one has been sent, and counts as in flight at its upstream
// until it ends.

#define ATTEMPT_CUTS_MAX 2 // connections to one upstream that a question may end

// Queues a send of the question to the zone's upstream number `choice`, over UDP. False: there is
// no free source port or attempt.
[[nodiscard]] bool attempt_ask(struct forward *f, uint64_t now_us, struct question *question,
                               int choice);

// The same over TCP. False also while connections to that upstream fail, and once it has had the
// question three times over TCP, not counting sends that had to be repeated in another form.
[[nodiscard]] bool attempt_ask_tcp(struct forward *f, uint64_t now_us, struct question *question,
                                   int choice);

// One of the two, by the transport.
[[nodiscard]] bool attempt_ask_over(struct forward *f, uint64_t now_us, struct question *question,
                                    int choice, enum transport transport);

// True if neither the upstream nor the question forbids TCP. Where attempt_ask_tcp then fails,
// there is no free attempt or connection, and it can be tried later.
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

// True if all networks that ask this question are known for stalling connections.
[[nodiscard]] bool attempt_networks_stall(struct forward *f, uint64_t now_us,
                                          const struct question *question);

// The number of an upstream's batches that this network has a share in.
[[nodiscard]] unsigned attempt_batch_part(const struct forward *f, const struct network *network);

// Ends an attempt, sent or not, without learning anything from it.
void attempt_drop(struct forward *f, struct attempt *attempt);

// Ends an attempt whose reply has arrived.
void attempt_answered(struct forward *f, uint64_t now_us, struct attempt *attempt);

// Its question has ended, answered or not. Where it was sent, its reply may still come, and it
// becomes an orphan.
void attempt_leave(struct forward *f, uint64_t now_us, struct attempt *attempt, bool answered);

// An orphan's timer fired: it ends.
void attempt_orphan_due(struct forward *f, uint64_t now_us, struct attempt *attempt);

// The next thing to open, close or send; false: there is none.
[[nodiscard]] bool attempt_drain(struct forward *f, uint64_t now_us, struct outgoing *outgoing);
