// SPDX-License-Identifier: MIT
#pragma once
#include "core/client.h"
#include "core/forward/question_table.h"
#include "core/policy/access.h"
#include "core/policy/alias.h"
#include "core/policy/client_limits.h"
#include "core/policy/error_loop.h"
#include "core/policy/generation.h"
#include "core/policy/local.h"

// The rules in their order: what is decided about a query before the cache is looked at, and about
// an upstream's answer before it is cached and sent. This says which rule decides; each rule is a
// module of this directory, and serve carries out the verdict.
//
// Before, of the message (policy_before):
//   access list: drop          no reply, not even read
//   source port 0, cut         no reply: nothing can be sent there, or it is longer than any query
//   no header, a response      no reply, or two servers could loop
//   cookie                     proves the client; a malformed one is an error
//   quota                      cached answers only, or nothing at all
//   unreadable, repeatedly     no reply: an error loop
//   access list: refuse        REFUSED
//   error                      the query's own; class CH is about this server (identity)
// and of the name, once its key is made (policy_before_name):
//   local records, special names, block lists
//   block lists                newer than the cached answer, which block an alias in it
//   ANY                        a small answer
//
// After (policy_after):
//   block lists                an alias leads to a blocked name
//   aliases                    one leads to another zone or a local name: followed (alias.h)
//   rebind                     an internal address under an external name
//   DNS64                      no IPv6 address: synthesised from IPv4 ones
// A rule that has another question asked makes another answer, which is decided about again, except
// by the last two where they have had their turn.
//
// One struct policy belongs to one worker.

struct policy_config {
    const struct settings *settings;
    const struct zone_table *zone_table;
    const struct access_list *access;
    const struct local *local;           // NULL: no name is answered here
    const struct cookie_source *cookies; // NULL: clients are given none
    const struct cache *cache;
    const struct answer_limits *limits;
    struct counters *counters;
    uint32_t workers;
    const uint8_t *seed; // 32 secret octets
};

struct policy {
    struct policy_config config;
    uint32_t generation; // of the rules in force (generation.h)
    struct local_memo local_memo;
    struct client_limits client_limits;
    struct error_loop error_loop;
};

// Octets for its tables, which have to be 64-octet aligned.
[[nodiscard]] size_t policy_size(const struct policy_config *config);
void policy_init(struct policy *policy, void *memory, const struct policy_config *config,
                 const uint64_t loop_seed[2]);

// Applies other settings, but for those that need a restart.
void policy_reload(struct policy *policy, const struct policy_config *config);

// Applies other local names alone.
void policy_local(struct policy *policy, const struct local *local);

enum policy_verdict {
    POLICY_LOOK_UP,   // no rule decides
    POLICY_HITS_ONLY, // the same, but only from the cache
    POLICY_UNUSUAL,   // no plain query of a client with access: policy_before_unusual decides
    // No reply. The first three are no access, and what is not DNS.
    POLICY_DROP_ACCESS,
    POLICY_DROP_SHORT,
    POLICY_DROP_RESPONSE,
    POLICY_DROP_CUT,
    POLICY_DROP_SOURCE,
    POLICY_DROP_ERROR_LOOP,
    POLICY_DROP_HINT, // a popularity hint whose query cannot be looked up
    // Replies without a lookup.
    POLICY_FLOOD,    // far above the quota: what client_limits_deny writes
    POLICY_REFUSED,  // by the access lists
    POLICY_ERROR,    // query->rcode
    POLICY_IDENTITY, // about this server, where that is enabled; else as POLICY_ERROR
    // Of the name.
    POLICY_LOCAL,         // from records, hosts files and special names; written
    POLICY_ALIAS,         // a local record's alias is to be followed: it goes on as with LOOK_UP
    POLICY_BLOCKED,       // by a block list; written
    POLICY_BLOCKED_ALIAS, // the cached answer has an alias that leads to a blocked name; written
    POLICY_ANY,           // for all types
};

// A message as it arrived.
struct policy_message {
    const struct client *client;
    const uint8_t *bytes;
    size_t len;
    bool handed_over; // another worker has counted and admitted it
    bool cut;         // it was longer than what was received
};

// The verdict, with what was found on the way. Small, as is the next: both are returned for each
// query.
struct policy_reading {
    enum policy_verdict verdict;
    uint8_t access; // enum access_verdict
    uint8_t query;  // enum query_verdict
};

static inline enum policy_verdict policy_before_quota(struct policy *policy,
                                                      const struct client *client,
                                                      const struct query *query)
{
    switch (client_limits_query(&policy->client_limits, &client->from, query)) {
    case QUOTA_FLOOD:
        return POLICY_FLOOD;
    case QUOTA_HITS_ONLY:
        return POLICY_HITS_ONLY;
    default:
        return POLICY_LOOK_UP;
    }
}

// Parses a message and says which rule decides.
static inline struct policy_reading policy_before(struct policy *policy,
                                                  const struct policy_message *message,
                                                  struct query *query)
{
    const struct client *client = message->client;
    enum access_verdict access = ACCESS_ALLOW;
    if (!message->handed_over)
        access = access_check(policy->config.access, &client->from);
    if (access == ACCESS_DROP)
        return (struct policy_reading){.verdict = POLICY_DROP_ACCESS};
    if (client->from.port == 0 || message->cut)
        return (struct policy_reading){.verdict =
                                           message->cut ? POLICY_DROP_CUT : POLICY_DROP_SOURCE};
    enum query_verdict verdict = query_read(query, message->bytes, message->len);
    query->transport = client->transport;
    query->proven = client_has_connection(client);
    if (verdict != QUERY_GOOD || access != ACCESS_ALLOW || query->asks)
        return (struct policy_reading){POLICY_UNUSUAL, (uint8_t)access, (uint8_t)verdict};
    if (policy->client_limits.limits_queries && !message->handed_over)
        return (struct policy_reading){.verdict = policy_before_quota(policy, client, query)};
    return (struct policy_reading){.verdict = POLICY_LOOK_UP};
}

// Decides about POLICY_UNUSUAL. The reply may have a cookie, for which `options` must live as long
// as the query. `hint`: it is a popularity hint of another worker, which has answered the query.
[[nodiscard]] enum policy_verdict policy_before_unusual(struct policy *policy,
                                                        const struct policy_message *message,
                                                        bool hint, struct policy_reading reading,
                                                        struct query *query,
                                                        struct reply_options *options);

// A verdict about a name.
struct policy_decision {
    enum policy_verdict verdict;
    uint32_t len; // of the reply that was written
};

// The part of policy_before_name for names that local_memo does not have.
[[nodiscard]] struct policy_decision policy_before_local(struct policy *policy, uint64_t now_us,
                                                         const struct query *query,
                                                         const struct key *key, uint8_t *out,
                                                         size_t room, uint32_t turn);
[[nodiscard]] enum policy_verdict policy_before_any(const struct policy *policy,
                                                    const struct query *query);

// Says which rule decides about a name, before the cache and upstreams. Its reply is written to
// `out`, of `room` octets; `turn` rotates addresses, as in struct answer_giving.
static inline struct policy_decision policy_before_name(struct policy *policy, uint64_t now_us,
                                                        const struct query *query,
                                                        const struct key *key, uint8_t *out,
                                                        size_t room, uint32_t turn)
{
    if (policy->config.local && !local_memo_holds(&policy->local_memo, key->hash)) {
        struct policy_decision decision =
            policy_before_local(policy, now_us, query, key, out, room, turn);
        if (decision.verdict != POLICY_LOOK_UP)
            return decision;
    }
    if (query->type == TYPE_ANY)
        return (struct policy_decision){policy_before_any(policy, query), 0};
    return (struct policy_decision){POLICY_LOOK_UP, 0};
}

// True if a cached value was made under the rules in force, or under ones that would make the same.
// Otherwise it does not count as cached. `value` is complete.
static inline bool policy_holds(const struct policy *policy, const struct key *key,
                                const uint8_t *value, size_t value_len)
{
    return answer_generation(value, value_len) == policy->generation ||
           generation_holds(policy->config.zone_table, policy->config.local, key, value, value_len);
}

// True if the name, or an alias in what is cached for it, is one that local names or block lists
// answer otherwise. Then only who goes by the rules may give what is cached, as to a type or a
// client that they do not decide about. `value` is complete.
[[nodiscard]] bool policy_overrules(const struct policy *policy, const struct key *key,
                                    const uint8_t *value, size_t value_len);

enum policy_outcome {
    POLICY_KEEP,       // the answer, or the failure, as it is
    POLICY_REPLACED,   // the answer was replaced by that of a blocked name
    POLICY_EMPTIED,    // the answer's records were removed
    POLICY_FOLLOW,     // the target of its alias is to be asked for
    POLICY_DNS64_WANT, // the A records of the name are wanted
};

// What the clients of a question have so far.
enum policy_clients {
    POLICY_CLIENTS_WAIT,
    POLICY_CLIENTS_STALE, // there is a stale answer for them
    POLICY_CLIENTS_TOLD,  // they are being sent it
};

// Says what becomes of a question that has ended, and changes its answer accordingly, which is
// `answer` if the question's state is QUESTION_ANSWERED. `target` is set with POLICY_FOLLOW.
[[nodiscard]] enum policy_outcome policy_after(const struct policy *policy, uint64_t now_us,
                                               const struct question *question,
                                               enum policy_clients clients, struct answer *answer,
                                               struct name *target);

// The target of a local name's alias that has to be followed; false: there is none.
[[nodiscard]] bool policy_follows_local(const struct policy *policy, const struct key *key,
                                        struct name *target);

// Makes the answer from local names that a client would get, in the form of an upstream's; false:
// there is none. An answer for a blocked name is withheld.
[[nodiscard]] bool policy_local_answer(const struct policy *policy, const struct key *key,
                                       struct answer *answer);

// True if a question was started under the rules in force, or under ones by which it would be asked
// in the same way.
[[nodiscard]] bool policy_holds_question(const struct policy *policy,
                                         const struct question *question);

// Writes into an answer under which rules it was made, before it is cached. False: they are no
// longer in force, and it must not be cached. What denies a name that is answered here for other
// types denies its own type alone.
[[nodiscard]] bool policy_seal(const struct policy *policy, const struct question *question,
                               struct answer *answer);

// True if DNS64 would ask for the A records of this AAAA question, if it ended now without an
// answer.
[[nodiscard]] bool policy_wants_dns64(const struct policy *policy, uint64_t now_us,
                                      const struct question *question, enum policy_clients clients,
                                      const struct answer *answer);
