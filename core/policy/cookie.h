// SPDX-License-Identifier: MIT
#pragma once
#include "core/address.h"
#include "core/policy/siphash24.h"
#include "core/wire/message.h"

// Server cookies (RFC 7873 in the form of RFC 9018): what we give a client so that it can show that
// it is where its queries say they come from. Nothing is remembered of a client; time and secrets
// are arguments.
//
//   client's 8 | version 1 | reserved 3 | time 4 | hash 8     octets of the whole option
//
// The hash is SipHash-2-4 under a secret, over all that stands before it and the client's address.

#define COOKIE_SERVER_LEN 16
#define COOKIE_WHOLE_LEN  (COOKIE_CLIENT_LEN + COOKIE_SERVER_LEN)

enum {
    COOKIE_AGE_MAX_S = 3600,   // RFC 9018 4.3: older ones are no good
    COOKIE_AGE_RENEW_S = 1800, // and from here on a new one is given
    COOKIE_AHEAD_MAX_S = 300,
    COOKIE_OVERLAP_S = 3600, // a secret still counts so long after the next one came
};

// The secrets that are in force for a while. The first one makes cookies, all of them check.
struct cookie_secrets {
    uint8_t keys[2][SIPHASH_KEY_LEN];
    uint32_t count;
    uint64_t until_s; // they are others from here on
};

// Where secrets come from: given ones that stay, or a chain of them, one after the other, that all
// follow from one that is drawn at the start. So the workers agree without a word, and who learns
// one knows neither the next nor the one before.
struct cookie_source {
    uint8_t keys[2][SIPHASH_KEY_LEN]; // the given ones, or in the first place the drawn one
    uint32_t count;                   // of those given, 1 or 2
    uint32_t period_s;                // how long one of a chain is used; 0: they are given
};

void cookie_secrets_at(struct cookie_secrets *secrets, const struct cookie_source *source,
                       uint64_t now_s);

enum cookie_verdict {
    COOKIE_CLIENT_ONLY, // there is no server's part
    COOKIE_INVALID,     // it is not ours, not this client's, or too old
    COOKIE_VALID,
    COOKIE_RENEW, // valid, but it is time to give a new one
};

// Judges a cookie as it came (8 or 16 to 40 octets). `now_s` is wall-clock time.
[[nodiscard]] enum cookie_verdict cookie_check(const struct cookie_secrets *secrets,
                                               const uint8_t *cookie, size_t len,
                                               const struct address *from, uint64_t now_s);

// Makes a whole cookie for the client whose part is at `client`.
void cookie_make(uint8_t whole[static COOKIE_WHOLE_LEN], const struct cookie_secrets *secrets,
                 const uint8_t client[static COOKIE_CLIENT_LEN], const struct address *from,
                 uint64_t now_s);
