// SPDX-License-Identifier: MIT
#pragma once
#include "core/forward/attempt.h"

// How a question goes on: whom to ask next, when to ask again, and when to give up. The forwarder's
// own; what forward.h offers of it stands there. forward.c and reply.c call these when something
// has happened to an attempt.

#define QUESTION_EXHAUSTED_US 50000u   // until the next try, when there was no port or attempt
#define QUESTION_STREAM_US    1000000u // for a reply over TCP, which resends by itself

// Sends the question again: to one that is alive, or as a trial, or over TCP. Where nothing can be
// sent and nothing is under way it ends as failed.
void question_go_on(struct forward *f, uint64_t now_us, struct pending *pending);

// The next upstream is asked at once, unless it has the question already.
void question_go_elsewhere(struct forward *f, uint64_t now_us, struct pending *pending);

// Asks an upstream at which the question failed over TCP in lower case, where it may have failed
// for its case. False: it may not, or that cannot be.
[[nodiscard]] bool question_lower_case(struct forward *f, uint64_t now_us, struct pending *pending,
                                       int choice);

// The zone's upstream number `choice` has nothing more to say to this question: the next one is
// asked at once, and only when there is none and nothing is under way has the question failed.
void question_upstream_out(struct forward *f, uint64_t now_us, struct pending *pending, int choice);

// Has the name an upper-case letter where it is asked in mixed case?
[[nodiscard]] bool question_is_mixed_case(const struct pending *pending);

// Asks the next upstream at once that is well and has not had the question, as far as the budget
// allows. What is under way goes on.
void question_hasten(struct forward *f, uint64_t now_us, struct pending *pending);

// Sets its timer, to the deadline at the latest.
void question_wait_until(struct forward *f, struct pending *pending, uint64_t due_us);

// Ends it; what was sent and not answered becomes orphans.
void question_finish(struct forward *f, uint64_t now_us, struct pending *pending,
                     enum pending_end end);

// The time of a probe is over: whoever has not replied to it is silent (probe.c).
void probe_due(struct forward *f, uint64_t now_us, struct pending *probe);

// Its timer fired.
void question_due(struct forward *f, uint64_t now_us, struct pending *pending);

// May another of the zone's upstreams than the number `choice` be asked over TCP that has not been?
[[nodiscard]] bool question_has_others(const struct forward *f, uint64_t now_us,
                                       const struct pending *pending, int choice);

// It cannot be asked as it should be now, for want of an attempt or a connection: it is tried again
// in a moment, and meanwhile whoever else is well is asked.
void question_put_off(struct forward *f, uint64_t now_us, struct pending *pending);

// Ends a connection (connection.c). What waits there is asked again at once, as it may have been
// closed just as we asked (RFC 7766 6.2.4), but once at most where it is what the connection ended
// with.
enum stream_ending {
    STREAM_ENDED, // the other side has closed it, or it could not be had
    STREAM_STUCK, // nothing was heard for too long
    STREAM_SPENT, // all that it takes has been answered
};
void forward_stream_end(struct forward *f, uint64_t now_us, uint16_t index, enum stream_ending how);

// Ends it if it is spent or has been silent for too long.
void forward_stream_look(struct forward *f, uint64_t now_us, uint16_t index);

// The question has been waiting for a while: looks after what it has under way over TCP.
void connections_stalled(struct forward *f, uint64_t now_us, struct pending *pending);

// Looks for connections that are spent, silent or idle.
void connections_due(struct forward *f, uint64_t now_us);

// Which other upstream is well, has not had the question, and answers so much sooner than the
// zone's number `choice` that it should be asked instead? -1: none.
[[nodiscard]] int question_better(const struct forward *f, uint64_t now_us,
                                  const struct pending *pending, int choice);

// Sends the question to the zone's number `choice`, over UDP.
void question_ask(struct forward *f, uint64_t now_us, struct pending *pending, int choice);

// An upstream is back from the dead. Who waits for that, or for what was sent to one that is
// silent, need not wait any longer.
void questions_wake(struct forward *f, uint64_t now_us, uint16_t back);
