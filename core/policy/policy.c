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
    if (source == LOCAL_OWN)
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

// --- after ---------------------------------------------------------------------------------------

// Puts what a blocked name is answered with in the place of an answer whose alias leads to one. It
// is kept as long as a client keeps it, so that it is not asked for each time.
static bool block_aliases(const struct policy *policy, const struct key *key, struct answer *answer)
{
    const struct local *local = policy->config.local;
    const struct answer_limits *limits = policy->config.limits;
    uint8_t message[UPSTREAM_QUERY_MAX], reply[MESSAGE_UDP_MIN];
    if (!local || answer->truncated || !local_blocks_chain(local, key, answer->value, answer->len))
        return false;
    struct query query = {.message = message,
                          .type = key_type(key),
                          .class = key_class(key),
                          .name_len = key_name_len(key)};
    uint8_t *end = message + MESSAGE_HEADER_LEN + key_name_len(key);
    memcpy(message + MESSAGE_HEADER_LEN, key_name(key), key_name_len(key));
    store_be16(end, key_type(key));
    store_be16(end + 2, key_class(key));
    size_t len = local_block_answer(local, &query, limits, reply);
    enum reply_verdict verdict = answer_parse(answer, reply, len, key, limits);
    assert(verdict == REPLY_GOOD); // we have written it
    if (answer->lifetime_s == 0)   // REFUSED
        answer->lifetime_s = LOCAL_BLOCKED_TTL_S;
    answer_withhold(answer);
    return true;
}

// Empties an answer with an address of the inside; where one stands in the additional section
// alone, that is left out. A forward zone other than the root is there to have such names.
static bool rebind_empties(const struct policy *policy, const struct question *question,
                           struct answer *answer)
{
    const struct settings *settings = policy->config.settings;
    const struct key *key = &question->key;
    enum rebind_place place = REBIND_NOWHERE;
    if (settings->filter_rebind && question->zone->settings->zone.len == 1 && !answer->truncated)
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

// Not for whoever validates, nor where the name does not exist; where a server has failed at AAAA,
// or says nothing to it, it may yet know A (RFC 6147 5.1.2, 5.1.3).
bool policy_wants_dns64(const struct policy *policy, uint64_t now_us,
                        const struct question *question, enum policy_clients clients,
                        const struct answer *answer)
{
    const struct settings *settings = policy->config.settings;
    if (key_type(&question->key) != TYPE_AAAA ||
        !dns64_serves(settings, key_flags(&question->key)) || clients == POLICY_CLIENTS_TOLD ||
        question->state == QUESTION_ABANDONED)
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
                                 struct answer *answer, bool second)
{
    bool answered = question->state == QUESTION_ANSWERED;
    if (answered && block_aliases(policy, &question->key, answer))
        return POLICY_REPLACED;
    if (answered && rebind_empties(policy, question, answer))
        return POLICY_EMPTIED;
    if (!second && policy_wants_dns64(policy, now_us, question, clients, answer))
        return POLICY_DNS64_WANT;
    return POLICY_KEEP;
}

bool policy_holds_question(const struct policy *policy, const struct question *question)
{
    const struct zone_table *zone_table = policy->config.zone_table;
    const struct key *key = &question->key;
    if (zone_table_has(zone_table, question->zone))
        return true;
    const struct zone *zone = zone_table_find(zone_table, key_name(key), key_name_len(key));
    return zone && zone->fingerprint == question->zone->fingerprint;
}

bool policy_seal(const struct policy *policy, const struct question *question,
                 struct answer *answer)
{
    const struct zone_table *zone_table = policy->config.zone_table;
    const struct local *local = policy->config.local;
    bool withheld = answer_is_withheld(answer->value, answer->len);
    if (!policy_holds_question(policy, question))
        return false;
    const struct address *upstream = &zone_table->upstreams[answer->upstream].address;
    answer_seal(answer, &(struct answer_origin){
                            .generation = policy->generation,
                            .zone = generation_zone(question->zone, local, withheld),
                            .upstream = upstream_tag(upstream),
                            .transport = answer->transport,
                            .validation = ANSWER_UNCHECKED,
                        });
    return true;
}
