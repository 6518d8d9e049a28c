// SPDX-License-Identifier: MIT
#pragma once
#include "core/forward/upstream.h"

// What a worker has learned of an upstream, in the form that a process passes to its successor: how
// fast it is, how much gets lost, whether it is alive, what it supports, and both cookies. Times
// are on the workers' clock, which goes on in the successor. Sends in flight and connections are
// not part of it, nor what counts against kinds of questions, as each worker hashes those with its
// own secret.

// Raise it with each change of the struct or of a member's meaning: other forms are refused.
#define LEARNED_FORM 4u

struct learned {
    uint32_t form;
    uint8_t health;   // enum upstream_health
    uint8_t over_tcp; // 0 or 1
    uint16_t loss_pm;
    struct address address;
    uint64_t reply_us;
    uint64_t udp_reply_us;
    uint64_t tcp_reply_us;
    uint64_t reply_sent_us;
    uint64_t vouched_until_us;
    uint64_t silent_since_us;
    struct latency latency;
    struct support support;
    uint64_t tcp_retry_us;
    uint8_t tcp_failures;
    uint8_t cookie_server_len;
    uint8_t cookie[8];
    uint8_t cookie_server[32];
    uint8_t unused[6]; // 0
    uint64_t cookie_us;
};

// Copies what is known of an upstream.
void learned_export(struct learned *learned, const struct upstream *upstream,
                    const struct address *address);

// Replaces what is known of an upstream that nothing was sent to yet. False: it has another form,
// or values that no worker can have learned; nothing has changed.
[[nodiscard]] bool learned_import(const struct learned *learned, struct upstream *upstream,
                                  uint64_t now_us);
