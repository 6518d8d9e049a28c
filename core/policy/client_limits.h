// SPDX-License-Identifier: MIT
#pragma once
#include "core/policy/cookie.h"
#include "core/policy/quota.h"
#include "core/settings/counters.h"
#include "core/settings/settings.h"
#include "core/wire/message.h"

// The limits of a client that has access: its cookie, its quota, and a limit to equal answers. This
// combines cookie.h and quota.h.
//
// A client is proven if its query came over a connection or with a valid server cookie. A proven
// client has its own quota and no limit to equal answers.

struct client_limits_config {
    const struct settings *settings;
    const struct cookie_source *cookies; // NULL: no cookies
    struct counters *counters;
    uint32_t workers;
    const uint8_t *seed; // 32 secret octets
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

// Applies other settings. Where limits have changed, quotas start full again.
void client_limits_reload(struct client_limits *limits, const struct client_limits_config *config);

// Computes the next cookie secrets, as those in force have ended.
void client_limits_secrets_change(struct client_limits *limits);

// Sets the time for the calls below.
static inline void client_limits_time(struct client_limits *limits, uint64_t now_us)
{
    limits->now_us = now_us;
    if (limits->limits_queries)
        counter_set(limits->counters, COUNTER_clients_forgotten, limits->quota.queries.displaced);
    if (now_us >= limits->secrets_until_us)
        client_limits_secrets_change(limits);
}

// Checks the cookie of a query, which must have one: sets query->proven, and adds a cookie to the
// reply's `options`, which must live as long as the query; after this query->asks says whether the
// reply has one. False: the cookie is malformed (RFC 7873 5.2.2), or the query is for a cookie
// alone (5.4); the reply has query->rcode. `again`: another worker has counted the query.
[[nodiscard]] bool client_limits_cookie(struct client_limits *limits, const struct address *from,
                                        struct query *query, struct reply_options *options,
                                        bool again);

// Adds a cookie for the client's part at `client` to a reply, as its first option. Does nothing
// where cookies have been turned off since the query came.
void client_limits_cookie_give(const struct client_limits *limits, const struct address *from,
                               const uint8_t client[static COOKIE_CLIENT_LEN], struct query *query,
                               struct reply_options *options);

// Charges the client's quota with a query; once for each, where limits_queries is set.
[[nodiscard]] enum quota_verdict client_limits_query(struct client_limits *limits,
                                                     const struct address *from,
                                                     const struct query *query);

// Writes the reply to a client above its quota; `flood`: far above. Returns its length, and in *as
// the counter for it; 0: nothing is sent, and *as is the reason of the drop.
[[nodiscard]] size_t client_limits_deny(struct client_limits *limits, uint8_t *out,
                                        const struct query *query, bool flood, enum counter *as);

// Applies the limit to equal answers to the reply of `len` octets at `out`, where limits_answers is
// set. `question` is the hash of the query's key. Returns the length of what is to be sent, which
// may be a shorter reply in its place, with its counter in *as; 0: nothing.
[[nodiscard]] size_t client_limits_answer(struct client_limits *limits, const struct address *from,
                                          const struct query *query, uint64_t question,
                                          uint8_t *out, size_t len, enum counter *as);
