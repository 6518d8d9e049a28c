// SPDX-License-Identifier: MIT
#pragma once
#include "core/forward/question.h"

// What is sent next for a question, to which upstream and when: to the best one there is, again
// where no reply came in time, as a probe to one that may be back, over TCP where datagrams have
// not helped, and nothing after the question's deadline.

// It has just been added, with its zone set: when it ends, and its first send. Only the former of
// what is not asked upstream itself.
void schedule_begin(struct forward *f, uint64_t now_us, struct question *question);
void schedule_start(struct forward *f, uint64_t now_us, struct question *question);

// Its timer fired. The first notes which sends are late, and ends it at its deadline: true. If it
// goes on, the second sends what is to be sent now and sets the timer again.
[[nodiscard]] bool schedule_expire(struct forward *f, uint64_t now_us, struct question *question);
void schedule_due(struct forward *f, uint64_t now_us, struct question *question);

// Sends the question again: to one that is alive, or as a probe, or over TCP. Where nothing can be
// sent and nothing is under way it ends as failed.
void schedule_go_on(struct forward *f, uint64_t now_us, struct question *question);

// The next upstream is asked at once, unless it has the question already.
void schedule_go_elsewhere(struct forward *f, uint64_t now_us, struct question *question);

// The zone's upstream number `choice` has nothing more to say to this question: the next one is
// asked at once, and only when there is none and nothing is under way has the question failed.
void schedule_upstream_out(struct forward *f, uint64_t now_us, struct question *question,
                           int choice);

// Asks the next upstream at once that is well and has not had the question, as far as the budget
// allows. What is under way goes on.
void schedule_hasten(struct forward *f, uint64_t now_us, struct question *question);

// It cannot be asked as it should be now, for want of an attempt or a connection: it is tried again
// in a moment, and meanwhile whoever else is well is asked.
void schedule_put_off(struct forward *f, uint64_t now_us, struct question *question);

// Sends the question to the zone's number `choice`, over UDP.
void schedule_ask(struct forward *f, uint64_t now_us, struct question *question, int choice);

// Which other upstream is well, has not had the question, and answers so much sooner than the
// zone's number `choice` that it should be asked instead? -1: none.
[[nodiscard]] int schedule_better(const struct forward *f, uint64_t now_us,
                                  const struct question *question, int choice);

// Asks an upstream at which the question failed over TCP in lower case, where it may have failed
// for its case. False: it may not, or that cannot be.
[[nodiscard]] bool schedule_lower_case(struct forward *f, uint64_t now_us,
                                       struct question *question, int choice);

// A client has joined those that wait. Where it was asked apart for those alone, and the new one's
// network is not known for what stalls connections, it is asked again like any other.
void schedule_joined(struct forward *f, uint64_t now_us, struct question *question);

// An upstream is back from the dead. Who waits for that, or for what was sent to one that is
// silent, need not wait any longer.
void schedule_wake(struct forward *f, uint64_t now_us, uint16_t back);
