// SPDX-License-Identifier: MIT
#pragma once
#include "io/engine/answer_log.h"

// Answers to clients in the form of dnstap (dnstap.info), CLIENT_RESPONSE messages in Frame Streams
// over a Unix socket at which another program listens. The libraries are fstrm, which has a thread
// of its own and connects again when the listener has restarted, and protobuf-c. In a build without
// them dnstap_open fails with a sentence that says so.
//
// While no reader is connected, fstrm drops the messages.

struct dnstap; // opaque

// `identity` names this server in messages; "": none. NULL: `why` is a sentence.
#define DNSTAP_WHY_SIZE 400
[[nodiscard]] struct dnstap *dnstap_open(const char *path, const char *identity,
                                         char why[static DNSTAP_WHY_SIZE]);

// Queues a message. False: the queue is full, as the reader is slow; try later. For one thread.
[[nodiscard]] bool dnstap_tell(struct dnstap *dnstap, const struct logged_answer *logged,
                               const struct client *client, const uint8_t *reply, size_t len);

// Writes the queued messages first, if the reader accepts them within half a second.
void dnstap_close(struct dnstap *dnstap);
