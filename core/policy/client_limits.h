// SPDX-License-Identifier: MIT
#pragma once
#include "core/policy/cookie.h"
#include "core/policy/quota.h"
#include "core/settings/counters.h"
#include "core/settings/settings.h"
#include "core/wire/message.h"

// What stands between a client that may ask and the answer: its cookie, its quota, and a limit to
// equal answers. It joins cookie.h and quota.h to one question each for serve: what is this client,
// how much may it have, may this answer go.
//
// A client is proven if it came over a connection or with a valid server cookie. It has a quota of
// its own and no limit to equal answers.

struct client_limits_config {
    const struct settings *settings;
    const struct cookie_source *cookies; // NULL: no cookies
    struct counters *counters;
    uint32_t workers;
    const uint8_t *seed; // 32 octets that nobody knows
};

struct client_limits {
    struct quota quota;
    struct counters *counters;
    const struct cookie_source *cookies;
    struct cookie_secrets secrets;
    uint64_t now_us;
    uint64_t secrets_until_us;
    uint32_t slip;
    uint32_t slips;
    uint16_t udp_payload_max;
    bool limits_queries;
    bool limits_answers;
    void *memory;
    struct quota_config quota_config;
};

// Octets for its tables, which have to be 64-octet aligned.
[[nodiscard]] size_t client_limits_size(const struct client_limits_config *config);
void client_limits_init(struct client_limits *limits, void *memory,
                        const struct client_limits_config *config);

// Other settings are in force. A client's quota begins anew where limits have changed.
void client_limits_reload(struct client_limits *limits, const struct client_limits_config *config);

// The secrets in force are over.
void client_limits_secrets_change(struct client_limits *limits);

// The time that the calls below are made at.
static inline void client_limits_time(struct client_limits *limits, uint64_t now_us)
{
    limits->now_us = now_us;
    if (limits->limits_queries)
        counter_set(limits->counters, COUNTER_clients_forgotten, limits->quota.queries.displaced);
    if (now_us >= limits->secrets_until_us)
        client_limits_secrets_change(limits);
}

// Looks at a query's cookie, which it must have: sets query->proven and has the reply carry a
// cookie, for which `options` must live as long as the query; query->asks tells from here on
// whether it does. False: it is malformed (RFC 7873 5.2.2), or it is a query for a cookie alone
// (5.4); query->rcode says what to reply. `again`: another worker has looked at it and counted it.
[[nodiscard]] bool client_limits_cookie(struct client_limits *limits, const struct address *from,
                                        struct query *query, struct reply_options *options,
                                        bool again);

// Lets a reply carry a cookie for the client's part at `client`, as the first of its options. Not
// where cookies are off, as they may be since the query came.
void client_limits_cookie_give(const struct client_limits *limits, const struct address *from,
                               const uint8_t client[static COOKIE_CLIENT_LEN], struct query *query,
                               struct reply_options *options);

// How much a client may have; to be asked once for each query where limits_queries is set.
[[nodiscard]] enum quota_verdict client_limits_query(struct client_limits *limits,
                                                     const struct address *from,
                                                     const struct query *query);

// Writes what a client gets that is above its quota; `flood`: far above. Returns its length and
// what to count it as; 0: nothing is sent, and this is what to count the drop as.
[[nodiscard]] size_t client_limits_deny(struct client_limits *limits, uint8_t *out,
                                        const struct query *query, bool flood, enum counter *as);

// A reply of `len` octets stands at `out`, ready to be sent: may it? To be asked where
// limits_answers is set. `question` is the hash of the query's key. Returns the length of what is
// to be sent, which may be a lesser reply in its place, with what to count it as; 0: nothing.
[[nodiscard]] size_t client_limits_answer(struct client_limits *limits, const struct address *from,
                                          const struct query *query, uint64_t question,
                                          uint8_t *out, size_t len, enum counter *as);
