// SPDX-License-Identifier: MIT
#pragma once
#include "core/address.h"
#include "core/policy/siphash24.h"
#include "core/wire/message.h"

// Server cookies (RFC 7873 in the form of RFC 9018), by which a client proves its source address.
// No state is kept for a client; time and secrets are arguments.
//
//   client's 8 | version 1 | reserved 3 | time 4 | hash 8     octets of the whole option
//
// The hash is SipHash-2-4 with a secret key, over all that precedes it and the client's address.

#define COOKIE_SERVER_LEN 16
#define COOKIE_WHOLE_LEN  (COOKIE_CLIENT_LEN + COOKIE_SERVER_LEN)

enum {
    COOKIE_AGE_MAX_S = 3600,   // RFC 9018 4.3: older ones are invalid
    COOKIE_AGE_RENEW_S = 1800, // older ones are renewed
    COOKIE_AHEAD_MAX_S = 300,
    COOKIE_OVERLAP_S = 3600, // for which a secret is valid after its successor began
};

// The secrets in force. The first one makes cookies, and all of them check cookies.
struct cookie_secrets {
    uint8_t keys[2][SIPHASH_KEY_LEN];
    uint32_t count;
    uint64_t until_s; // when others follow
};

// The source of secrets: given ones that stay, or a sequence derived from one that is drawn at the
// start. So all workers have the same without communication, and a secret that leaks reveals
// neither the next nor the one before.
struct cookie_source {
    uint8_t keys[2][SIPHASH_KEY_LEN]; // the given ones, or in keys[0] the drawn one
    uint32_t count;                   // of those given, 1 or 2
    uint32_t period_s;                // for which a derived one is used; 0: they are given
};

void cookie_secrets_at(struct cookie_secrets *secrets, const struct cookie_source *source,
                       uint64_t now_s);

enum cookie_verdict {
    COOKIE_CLIENT_ONLY, // there is no server's part
    COOKIE_INVALID,     // not ours, not this client's, or too old
    COOKIE_VALID,
    COOKIE_RENEW, // valid, but due for renewal
};

// Checks a cookie as it was received (8 or 16 to 40 octets). `now_s` is wall-clock time.
[[nodiscard]] enum cookie_verdict cookie_check(const struct cookie_secrets *secrets,
                                               const uint8_t *cookie, size_t len,
                                               const struct address *from, uint64_t now_s);

// Makes a whole cookie for the client whose part is at `client`.
void cookie_make(uint8_t whole[static COOKIE_WHOLE_LEN], const struct cookie_secrets *secrets,
                 const uint8_t client[static COOKIE_CLIENT_LEN], const struct address *from,
                 uint64_t now_s);
