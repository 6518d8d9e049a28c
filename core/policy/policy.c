// SPDX-License-Identifier: MIT
#include "core/policy/policy.h"

#include "core/policy/dns64.h"
#include "core/policy/rebind.h"

#include <assert.h>

static struct client_limits_config client_limits_config_of(const struct policy_config *config)
{
    return (struct client_limits_config){
        .settings = config->settings,
        .cookies = config->cookies,
        .counters = config->counters,
        .workers = config->workers,
        .seed = config->seed,
    };
}

size_t policy_size(const struct policy_config *config)
{
    struct client_limits_config limits = client_limits_config_of(config);
    return client_limits_size(&limits);
}

void policy_init(struct policy *policy, void *memory, const struct policy_config *config,
                 const uint64_t loop_seed[2])
{
    struct client_limits_config limits = client_limits_config_of(config);
    policy->config = *config;
    client_limits_init(&policy->client_limits, memory, &limits);
    error_loop_init(&policy->error_loop, loop_seed);
    policy_local(policy, config->local);
}

void policy_reload(struct policy *policy, const struct policy_config *config)
{
    struct client_limits_config limits = client_limits_config_of(config);
    policy->config = *config;
    client_limits_reload(&policy->client_limits, &limits);
    policy_local(policy, config->local);
}

void policy_local(struct policy *policy, const struct local *local)
{
    policy->config.local = local;
    policy->generation = generation_of(policy->config.zone_table, local);
    memset(&policy->local_memo, 0, sizeof policy->local_memo);
}

// --- before: the message -------------------------------------------------------------------------

static bool is_about_us(const struct query *query)
{
    return query->class == CLASS_CH && query->rcode == RCODE_REFUSED &&
           (query->type == TYPE_TXT || query->type == TYPE_ANY);
}

enum policy_verdict policy_before_unusual(struct policy *policy,
                                          const struct policy_message *message, bool hint,
                                          struct policy_reading reading, struct query *query,
                                          struct reply_options *options)
{
    const struct address *from = &message->client->from;
    enum query_verdict verdict = (enum query_verdict)reading.query;
    // Its worker has answered it, perhaps by other settings than are in force here by now.
    if (hint)
        return verdict == QUERY_GOOD ? POLICY_LOOK_UP : POLICY_DROP_HINT;
    if (verdict == QUERY_SHORT)
        return POLICY_DROP_SHORT;
    if (verdict == QUERY_RESPONSE)
        return POLICY_DROP_RESPONSE;
    if (query->asks & ASKS_COOKIE &&
        !client_limits_cookie(&policy->client_limits, from, query, options, message->handed_over))
        verdict = QUERY_ERROR;
    enum policy_verdict quota = POLICY_LOOK_UP;
    if (policy->client_limits.limits_queries && !message->handed_over)
        quota = policy_before_quota(policy, message->client, query);
    if (quota == POLICY_FLOOD)
        return POLICY_FLOOD;
    bool unreadable =
        verdict == QUERY_ERROR && (query->rcode == RCODE_FORMERR || query->name_len == 0);
    if (unreadable && !query->proven &&
        !error_loop_may(&policy->error_loop, policy->client_limits.now_us, from))
        return POLICY_DROP_ERROR_LOOP;
    if (reading.access == ACCESS_REFUSE)
        return POLICY_REFUSED;
    if (verdict == QUERY_ERROR)
        return is_about_us(query) ? POLICY_IDENTITY : POLICY_ERROR;
    return quota;
}

// --- before: the name ----------------------------------------------------------------------------

// Is there a cached answer whose alias leads to a blocked name, by lists that have come since? What
// has no room here is not seen: it is not given either, but for TC.
static bool blocks_cached(struct policy *policy, uint64_t now_us, const struct key *key,
                          uint8_t *out, size_t room)
{
    struct cache_key cache_key = key_for_cache(key);
    struct cache_hit hit;
    bool cached = cache_peek(policy->config.cache, &cache_key, out, room, &hit) == CACHE_HIT;
    if (cached && hit.value_len > room)
        return false;
    cached = cached && policy_holds(policy, key, out, hit.value_len);
    if (!cached || !local_blocks_chain(policy->config.local, key, out, hit.value_len)) {
        local_memo_keep(&policy->local_memo, key->hash);
        return false;
    }
    return now_us / 1000000 < hit.expiry_s;
}

[[gnu::noinline]] struct policy_decision policy_before_local(struct policy *policy, uint64_t now_us,
                                                             const struct query *query,
                                                             const struct key *key, uint8_t *out,
                                                             size_t room, uint32_t turn)
{
    const struct local *local = policy->config.local;
    const struct answer_limits *limits = policy->config.limits;
    enum local_source source;
    size_t len = local_answer(local, query, key, turn, limits, out, &source);
    struct name target;
    if (source == LOCAL_ALIAS && query->flags & HEADER_RD &&
        policy_follows_local(policy, key, &target))
        return (struct policy_decision){POLICY_ALIAS, 0};
    if (source == LOCAL_OWN || source == LOCAL_ALIAS)
        return (struct policy_decision){POLICY_LOCAL, (uint32_t)len};
    if (source == LOCAL_BLOCKED)
        return (struct policy_decision){POLICY_BLOCKED, (uint32_t)len};
    if (!blocks_cached(policy, now_us, key, out, room))
        return (struct policy_decision){POLICY_LOOK_UP, 0};
    len = local_block_answer(local, query, limits, out);
    return (struct policy_decision){POLICY_BLOCKED_ALIAS, (uint32_t)len};
}

[[gnu::noinline]] enum policy_verdict policy_before_any(const struct policy *policy,
                                                        const struct query *query)
{
    switch ((enum any_answer)policy->config.settings->server_any) {
    case ANY_HINFO:
        return POLICY_ANY;
    case ANY_TCP:
        return query_has_connection(query) ? POLICY_LOOK_UP : POLICY_ANY;
    default:
        return POLICY_LOOK_UP;
    }
}

bool policy_overrules(const struct policy *policy, const struct key *key, const uint8_t *value,
                      size_t value_len)
{
    const struct local *local = policy->config.local;
    return local && (local_decides(local, key) || local_blocks_chain(local, key, value, value_len));
}

// --- after ---------------------------------------------------------------------------------------

// The query of a client that has room for any answer.
static struct query query_of(const struct key *key, uint8_t message[static UPSTREAM_QUERY_MAX])
{
    uint8_t *end = message + MESSAGE_HEADER_LEN + key_name_len(key);
    memcpy(message + MESSAGE_HEADER_LEN, key_name(key), key_name_len(key));
    store_be16(end, key_type(key));
    store_be16(end + 2, key_class(key));
    return (struct query){
        .message = message,
        .type = key_type(key),
        .class = key_class(key),
        .name_len = key_name_len(key),
        .dnssec_ok = key_flags(key) & KEY_DO,
        .transport = TRANSPORT_TCP,
    };
}

// A reply of our own becomes an answer. One for a blocked name is cached as long as a client caches
// it, so that it is not asked for each time.
static void answer_take_own(const struct policy *policy, const struct key *key,
                            const uint8_t *reply, size_t len, bool blocked, struct answer *answer)
{
    enum reply_verdict verdict = answer_parse(answer, reply, len, key, policy->config.limits);
    assert(verdict == REPLY_GOOD); // we have written it
    answer->upstream = ANSWER_NO_UPSTREAM;
    answer->transport = TRANSPORT_UDP;
    if (!blocked)
        return;
    if (answer->lifetime_s == 0) // REFUSED
        answer->lifetime_s = LOCAL_BLOCKED_TTL_S;
    answer_withhold(answer);
}

// Puts what a blocked name is answered with in the place of an answer whose alias leads to one.
static bool block_aliases(const struct policy *policy, const struct key *key, struct answer *answer)
{
    const struct local *local = policy->config.local;
    uint8_t message[UPSTREAM_QUERY_MAX], reply[MESSAGE_LEN_MAX];
    if (!local || answer->truncated || !local_blocks_chain(local, key, answer->value, answer->len))
        return false;
    struct query query = query_of(key, message);
    uint16_t upstream = answer->upstream;
    uint8_t transport = answer->transport;
    size_t len = local_block_answer(local, &query, policy->config.limits, reply);
    answer_take_own(policy, key, reply, len, true, answer);
    answer->upstream = upstream;
    answer->transport = transport;
    return true;
}

bool policy_local_answer(const struct policy *policy, const struct key *key, struct answer *answer)
{
    uint8_t message[UPSTREAM_QUERY_MAX], reply[MESSAGE_LEN_MAX];
    enum local_source source = LOCAL_NOWHERE;
    struct query query = query_of(key, message);
    size_t len = 0;
    if (policy->config.local)
        len = local_answer(policy->config.local, &query, key, 0, policy->config.limits, reply,
                           &source);
    if (len == 0)
        return false;
    answer_take_own(policy, key, reply, len, source == LOCAL_BLOCKED, answer);
    return true;
}

bool policy_follows_local(const struct policy *policy, const struct key *key, struct name *target)
{
    const struct zone_table *zone_table = policy->config.zone_table;
    return policy->config.local && local_alias(policy->config.local, key, target) &&
           zone_table_find(zone_table, target->bytes, target->len);
}

// The target of an answer's alias that has to be followed; false: there is none. The chain of an
// answer that was made of several has been followed.
static bool follows(const struct policy *policy, const struct question *question,
                    const struct answer *answer, struct name *target)
{
    const struct key *key = &question->key;
    return !(question->subquestions & SUBQUESTION_ALIAS) && answer->answers &&
           key_type(key) != TYPE_CNAME && key_type(key) != TYPE_ANY &&
           alias_leaves(policy->config.zone_table, policy->config.local, question->zone,
                        answer->value, answer->len, target);
}

// Empties an answer with an address of the inside; where one stands in the additional section
// alone, that is left out. A forward zone other than the root is there to have such names, and a
// local record is the operator's own; an alias from outside into such a zone is not, or any page
// could reach what is inside under a name of its own.
static bool rebind_empties(const struct policy *policy, const struct question *question,
                           struct answer *answer)
{
    const struct settings *settings = policy->config.settings;
    const struct key *key = &question->key;
    enum rebind_place place = REBIND_NOWHERE;
    if (settings->filter_rebind && question->zone->settings->zone.len == 1 && !question->local &&
        !answer->truncated)
        place = rebind_finds(settings, answer);
    if (place == REBIND_NOWHERE || rebind_allowed(settings, key_name(key), key_name_len(key)))
        return false;
    if (place == REBIND_ADDITIONAL) {
        answer_leave_out_additional(answer);
        return false;
    }
    answer_empty(answer);
    return true;
}

// Not for clients that validate, nor where the name does not exist. A server that fails at AAAA, or
// is silent, may still answer A (RFC 6147 5.1.2, 5.1.3).
bool policy_wants_dns64(const struct policy *policy, uint64_t now_us,
                        const struct question *question, enum policy_clients clients,
                        const struct answer *answer)
{
    const struct settings *settings = policy->config.settings;
    if (key_type(&question->key) != TYPE_AAAA ||
        !dns64_serves(settings, key_flags(&question->key)) || clients == POLICY_CLIENTS_TOLD ||
        question->state == QUESTION_ABANDONED || question->subquestions & SUBQUESTION_DNS64)
        return false;
    if (question->state == QUESTION_ANSWERED)
        return dns64_is_wanted(settings, answer);
    if (clients == POLICY_CLIENTS_STALE)
        return false;
    // Given up before its time it was for this.
    return question->rcode != RCODE_NOERROR ||
           (question->state != QUESTION_UNREACHABLE && now_us < question->deadline_us);
}

enum policy_outcome policy_after(const struct policy *policy, uint64_t now_us,
                                 const struct question *question, enum policy_clients clients,
                                 struct answer *answer, struct name *target)
{
    bool answered = question->state == QUESTION_ANSWERED;
    if (answered && block_aliases(policy, &question->key, answer))
        return POLICY_REPLACED;
    if (answered && follows(policy, question, answer, target))
        return POLICY_FOLLOW;
    if (answered && rebind_empties(policy, question, answer))
        return POLICY_EMPTIED;
    if (policy_wants_dns64(policy, now_us, question, clients, answer))
        return POLICY_DNS64_WANT;
    return POLICY_KEEP;
}

bool policy_holds_question(const struct policy *policy, const struct question *question)
{
    const struct zone_table *zone_table = policy->config.zone_table;
    const struct key *key = &question->key;
    struct name target;
    if (question->local != policy_follows_local(policy, key, &target))
        return false;
    if (zone_table_has(zone_table, question->zone))
        return true;
    const struct zone *zone = question->local
                                  ? zone_table_find(zone_table, target.bytes, target.len)
                                  : zone_table_find(zone_table, key_name(key), key_name_len(key));
    return zone && zone->fingerprint == question->zone->fingerprint;
}

bool policy_seal(const struct policy *policy, const struct question *question,
                 struct answer *answer)
{
    const struct zone_table *zone_table = policy->config.zone_table;
    const struct local *local = policy->config.local;
    bool withheld = answer_is_withheld(answer->value, answer->len);
    bool joined = question->subquestions & SUBQUESTION_ALIAS;
    if (key_flags(&question->key) & KEY_RETIRED)
        return false;
    if (answer->denies && local && local_decides(local, &question->key))
        answer->denies = false;
    uint16_t tag = 0;
    if (answer->upstream != ANSWER_NO_UPSTREAM)
        tag = upstream_tag(&zone_table->upstreams[answer->upstream].address);
    answer_seal(answer, &(struct answer_origin){
                            .generation = policy->generation,
                            .zone = joined ? GENERATION_OF_ALL
                                           : generation_zone(question->zone, local, withheld),
                            .upstream = tag,
                            .transport = answer->transport,
                            .validation = ANSWER_UNCHECKED,
                        });
    return true;
}
