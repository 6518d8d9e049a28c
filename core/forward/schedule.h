// SPDX-License-Identifier: MIT
#pragma once
#include "core/forward/question.h"

// What is sent next for a question, to which upstream and when: to the best one there is, again
// where no reply came in time, as a probe to one that may be back, over TCP where datagrams have
// not helped, and nothing after the question's deadline.

// A question was just added, with its zone set. The first sets its deadline, and is enough for one
// that is not asked upstream itself. The second also makes its first send.
void schedule_begin(struct forward *f, uint64_t now_us, struct question *question);
void schedule_start(struct forward *f, uint64_t now_us, struct question *question);

// Its timer fired. The first records which sends are late; true: the deadline has passed, and it
// has ended. Otherwise the second sends what is due and sets the timer again.
[[nodiscard]] bool schedule_expire(struct forward *f, uint64_t now_us, struct question *question);
void schedule_due(struct forward *f, uint64_t now_us, struct question *question);

// Sends the question again: to one that is alive, or as a probe, or over TCP. Where nothing can be
// sent and nothing is under way, it ends as failed.
void schedule_go_on(struct forward *f, uint64_t now_us, struct question *question);

// Asks the next upstream at once, unless it has the question already.
void schedule_go_elsewhere(struct forward *f, uint64_t now_us, struct question *question);

// The zone's upstream number `choice` is out for this question: asks the next one at once. The
// question fails only where there is none and nothing is under way.
void schedule_upstream_out(struct forward *f, uint64_t now_us, struct question *question,
                           int choice);

// Asks the next healthy upstream that has not had the question at once, as far as the budget
// allows. What is under way goes on.
void schedule_hasten(struct forward *f, uint64_t now_us, struct question *question);

// There is no free attempt or connection for the next send: tries again in a moment, and asks
// another healthy upstream meanwhile.
void schedule_put_off(struct forward *f, uint64_t now_us, struct question *question);

// Sends the question to the zone's number `choice`, over UDP.
void schedule_ask(struct forward *f, uint64_t now_us, struct question *question, int choice);

// Another healthy upstream that has not had the question, and answers so much faster than the
// zone's number `choice` that it should be asked instead; -1: there is none.
[[nodiscard]] int schedule_better(const struct forward *f, uint64_t now_us,
                                  const struct question *question, int choice);

// Asks an upstream that failed the question over TCP again in lower case, where the 0x20 case may
// be the reason. False: it is not, or that cannot be sent.
[[nodiscard]] bool schedule_lower_case(struct forward *f, uint64_t now_us,
                                       struct question *question, int choice);

// A client has joined the question. Where it was asked in the lane for stalling networks, and the
// new client's network is not one of these, it is asked again like any other.
void schedule_joined(struct forward *f, uint64_t now_us, struct question *question);

// Upstream `back` is alive again: wakes the questions that wait for it, or for one that is silent.
void schedule_wake(struct forward *f, uint64_t now_us, uint16_t back);
