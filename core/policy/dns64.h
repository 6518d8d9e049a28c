// SPDX-License-Identifier: MIT
#pragma once
#include "core/answer.h"
#include "core/settings/settings.h"

// DNS64 (RFC 6147): a name that has IPv4 addresses alone gets IPv6 addresses made of them, which
// lead through a translator (NAT64). This makes the addresses and the answer; when the second
// question is asked is decided in policy.c.

#define DNS64_TTL_MAX_S 600 // of what is made, where the SOA of the first answer is gone (5.1.7)

// Is the answer to an AAAA question one that leaves room for made addresses: without an error, and
// with no AAAA record but such as lie in dns64.exclude (5.1.1, 5.1.2, 5.1.4)?
[[nodiscard]] bool dns64_is_wanted(const struct settings *settings, const struct answer *answer);

// Makes the answer to the A question of a name, of which so many seconds have passed, that to its
// AAAA question, whose key this is. Private addresses are left out where the prefix is 64:ff9b::/96
// (RFC 6052 3.1).
enum dns64_verdict {
    DNS64_MADE,
    DNS64_NOTHING, // it is an answer, but has no address
    DNS64_SPOILT,  // it cannot be made, and the answer is none any more
};
[[nodiscard]] enum dns64_verdict dns64_make(const struct settings *settings, struct answer *answer,
                                            const struct key *key, uint32_t age_s,
                                            const struct answer_limits *limits);

// May AAAA questions with these key flags have synthesised addresses? Not those of clients that
// validate (RFC 6147 5.5).
static inline bool dns64_serves(const struct settings *settings, uint8_t key_flags)
{
    return settings->dns64_enable && (key_flags & (KEY_DO | KEY_CD)) != (KEY_DO | KEY_CD);
}
