// SPDX-License-Identifier: MIT
#pragma once
#include "core/forward/state.h"

// Has questions answered by upstreams: which one to ask, when to ask again and over which
// transport, which reply counts, and when to give up. It knows neither clients' messages nor the
// cache: serve starts a question with forward_start and gets it back from forward_next_ended.
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
//   near miss three replies that nearly match: an attacker guesses; from then on only TCP counts
//   deadline  4.9 s after the start it has failed
//
// One per worker, part of its struct serve, whose contract it shares (core/serve/serve.h).

[[nodiscard]] size_t forward_size(const struct forward_config *config); // of its tables
void forward_init(struct forward *f, void *tables, const struct forward_config *config,
                  const uint8_t seed[static 32], uint64_t now_us);

// Copies the forwarder's part of the settings.
void forward_settings_apply(struct forward_config *config, const struct settings *settings);

// From now on this is the zone table; see serve_reload.
void forward_reload(struct forward *f, uint64_t now_us, const struct zone_table *zone_table,
                    const struct settings *settings);

// Begins to ask a question that was just added, with its zone set.
void forward_start(struct forward *f, uint64_t now_us, struct question *question);

// Begins a question that was just added, with its zone set, without asking an upstream: it is to
// wait for a subquestion (subquestion.h).
void forward_begin(struct forward *f, uint64_t now_us, struct question *question);

// Ends a question whose subquestion has ended: QUESTION_ANSWERED, with the answer that it has in
// hand, or as failed.
void forward_end(struct forward *f, uint64_t now_us, struct question *question,
                 enum question_state end);

// A client has joined those that wait for a question that is being asked.
void forward_joined(struct forward *f, uint64_t now_us, struct question *question);

// Looks whether the zone's upstreams are there, where they are due for that (probe.h).
void forward_probe(struct forward *f, uint64_t now_us, const struct zone *zone);

// Gives a question up before its time; it ends as failed: with what an upstream has said if one
// has, or else like this (QUESTION_SILENT, or what stands behind it).
void forward_give_up(struct forward *f, uint64_t now_us, struct question *question,
                     enum question_state end);

// No upstream of this zone is alive, as far as is known.
[[nodiscard]] bool forward_is_down(struct forward *f, uint64_t now_us, const struct zone *zone);

// What happened outside; see serve.h.
void forward_reply(struct forward *f, uint64_t now_us, uint16_t slot, const uint8_t *in,
                   size_t len);
void forward_message(struct forward *f, uint64_t now_us, uint16_t connection, const uint8_t *in,
                     size_t len);
void forward_connected(struct forward *f, uint64_t now_us, uint16_t connection);
void forward_closed(struct forward *f, uint64_t now_us, uint16_t connection);
void forward_unreachable(struct forward *f, uint64_t now_us, uint16_t slot);
void forward_source_port_refused(struct forward *f, uint64_t now_us, uint16_t slot);
void forward_source_port_unavailable(struct forward *f, uint64_t now_us, uint16_t slot);

// One of the forwarder's timers fired.
void forward_due(struct forward *f, uint64_t now_us, struct timer *timer);

// The next thing to send, open or close; false: there is none.
[[nodiscard]] bool forward_drain(struct forward *f, uint64_t now_us, struct outgoing *outgoing);

// The next question that has ended, unlinked, without attempts and timers; NULL: there is none.
// Where its state is QUESTION_ANSWERED, f->answer is the answer, and the caller clears
// f->answer_in_use when it is done with it.
[[nodiscard]] struct question *forward_next_ended(struct forward *f);

// The same of those that have ended with the answer in hand, which is f->answer from now on:
// nothing else may be in use as that.
[[nodiscard]] struct question *forward_next_in_hand(struct forward *f);

// The next question for which the network has just reported all upstreams unreachable. It goes on
// all the same, or has ended meanwhile. NULL: there is none.
[[nodiscard]] struct question *forward_next_hopeless(struct forward *f);
