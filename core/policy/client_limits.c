// SPDX-License-Identifier: MIT
#include "core/policy/client_limits.h"

#include "core/wire/rebuild.h"

static struct quota_config quota_config_of(const struct client_limits_config *config)
{
    const struct settings *s = config->settings;
    struct quota_config quota = {
        .queries_per_s = (uint32_t)s->limits_client_qps,
        .answers_per_s = (uint32_t)s->limits_same_answers,
        .burst_ms = (uint32_t)s->limits_burst,
        .flood_factor = (uint32_t)s->limits_flood_factor,
        .networks = (uint32_t)s->limits_clients,
        .workers = config->workers,
        .ipv4_bits = (uint8_t)s->limits_ipv4_prefix,
        .ipv6_bits = (uint8_t)s->limits_ipv6_prefix,
    };
    for (unsigned i = 0; config->seed && i < 2; i++)
        quota.seed[i] = siphash24(config->seed, (const uint8_t[]){(uint8_t)i}, 1);
    return quota;
}

size_t client_limits_size(const struct client_limits_config *config)
{
    struct quota_config quota = quota_config_of(config);
    // Limits that are off may be turned on.
    quota.queries_per_s = quota.answers_per_s = 1;
    return quota_size(&quota);
}

static void client_limits_make(struct client_limits *g, void *memory,
                               const struct client_limits_config *config,
                               const struct quota_config *quota)
{
    *g = (struct client_limits){
        .counters = config->counters,
        .cookies = config->cookies,
        .secrets_until_us = config->cookies ? 0 : UINT64_MAX,
        .slip = (uint32_t)config->settings->limits_slip,
        .udp_payload_max = (uint16_t)config->settings->server_udp_payload_max,
        .limits_queries = quota->queries_per_s > 0,
        .limits_answers = quota->answers_per_s > 0,
        .memory = memory,
        .quota_config = *quota,
    };
}

void client_limits_init(struct client_limits *g, void *memory,
                        const struct client_limits_config *config)
{
    struct quota_config quota = quota_config_of(config);
    client_limits_make(g, memory, config, &quota);
    quota_init(&g->quota, memory, &quota);
}

void client_limits_reload(struct client_limits *g, const struct client_limits_config *config)
{
    struct client_limits before = *g;
    struct quota_config quota = quota_config_of(config);
    quota.networks = before.quota_config.networks; // for so many there is memory
    client_limits_make(g, before.memory, config, &quota);
    g->now_us = before.now_us;
    g->slips = before.slips;
    if (quota_config_equal(&quota, &before.quota_config))
        g->quota = before.quota;
    else
        quota_init(&g->quota, g->memory, &quota);
}

void client_limits_secrets_change(struct client_limits *g)
{
    cookie_secrets_at(&g->secrets, g->cookies, g->now_us / 1000000);
    g->secrets_until_us =
        g->secrets.until_s < UINT64_MAX / 1000000 ? g->secrets.until_s * 1000000 : UINT64_MAX;
}

static void cookie_add(struct query *query, struct reply_options *options, const uint8_t *whole)
{
    query->asks |= ASKS_COOKIE;
    options->len = 0;
    reply_options_add(options, EDNS_COOKIE, whole, COOKIE_WHOLE_LEN);
    query->options = options;
}

void client_limits_cookie_give(const struct client_limits *g, const struct address *from,
                               const uint8_t client[static COOKIE_CLIENT_LEN], struct query *query,
                               struct reply_options *options)
{
    uint8_t whole[COOKIE_WHOLE_LEN];
    query->asks &= ~ASKS_COOKIE; // until it has one
    if (!g->cookies)
        return;
    cookie_make(whole, &g->secrets, client, from, g->now_us / 1000000);
    cookie_add(query, options, whole);
}

static enum counter counter_of(enum cookie_verdict verdict)
{
    if (verdict == COOKIE_CLIENT_ONLY)
        return COUNTER_cookies_client_only;
    return verdict == COOKIE_INVALID ? COUNTER_cookies_invalid : COUNTER_cookies_valid;
}

bool client_limits_cookie(struct client_limits *g, const struct address *from, struct query *query,
                          struct reply_options *options, bool again)
{
    query->asks &= ~ASKS_COOKIE; // until it has one
    if (!g->cookies)
        return true;
    if (!cookie_len_valid(query->cookie_len)) {
        query->rcode = RCODE_FORMERR;
        return false;
    }
    enum cookie_verdict verdict =
        cookie_check(&g->secrets, query->cookie, query->cookie_len, from, g->now_us / 1000000);
    counter_add(g->counters, counter_of(verdict), !again);
    query->proven |= verdict == COOKIE_VALID || verdict == COOKIE_RENEW;
    if (verdict == COOKIE_VALID)
        cookie_add(query, options, query->cookie);
    else
        client_limits_cookie_give(g, from, query->cookie, query, options);
    if (query->unasked)
        query->rcode = verdict == COOKIE_INVALID ? RCODE_BADCOOKIE : RCODE_NOERROR;
    return !query->unasked;
}

enum quota_verdict client_limits_query(struct client_limits *g, const struct address *from,
                                       const struct query *query)
{
    return quota_query(&g->quota, g->now_us, from, query->proven);
}

// Every so many-th of what would be dropped is answered in a way that only an honest client can
// make use of: it comes again over a connection, or with the cookie that it is given.
static bool slips(struct client_limits *g)
{
    return g->slip > 0 && ++g->slips % g->slip == 0;
}

// The reply that asks a client to prove where it is. Never longer than what it asked with, but for
// what the options hold that it asked for.
static size_t challenge(const struct client_limits *g, uint8_t *out, const struct query *query,
                        enum counter *as)
{
    bool cookied = query->asks & ASKS_COOKIE;
    *as = cookied ? COUNTER_answers_cookie : COUNTER_answers_limited;
    if (cookied)
        return reply_empty(out, query, RCODE_BADCOOKIE, 0, true, g->udp_payload_max, EDE_NONE);
    return reply_empty(out, query, RCODE_NOERROR, HEADER_TC, true, g->udp_payload_max, EDE_NONE);
}

size_t client_limits_deny(struct client_limits *g, uint8_t *out, const struct query *query,
                          bool flood, enum counter *as)
{
    // A proven client gets a reply: it cannot be sent to a forged address.
    bool told = query->proven || !flood;
    if (!told && !slips(g)) {
        *as = COUNTER_drops_quota;
        return 0;
    }
    if (!query->proven && (flood || query->asks & ASKS_COOKIE))
        return challenge(g, out, query, as);
    *as = COUNTER_answers_limited;
    return reply_empty(out, query, RCODE_REFUSED, 0, true, g->udp_payload_max, EDE_PROHIBITED);
}

// What a denial is about: the zone that its SOA record names, for all names in it are denied alike.
// 0: there is none.
static uint32_t zone_of(const uint8_t *reply, size_t len, const struct query *query)
{
    struct reader r = reader_over(reply, len);
    struct record record;
    unsigned records = load_be16(reply + 6) + load_be16(reply + 8);
    r.at = MESSAGE_HEADER_LEN + query->name_len + 4u;
    while (records-- > 0 && record_read(&r, &record)) {
        if (record.type == TYPE_SOA)
            return name_hash(record.owner.bytes, record.owner.len) | 1;
    }
    return 0;
}

// What makes two answers the same (as BIND's and Knot's limits do it): an answer its question, a
// denial its zone, an error its code.
static uint64_t kind_of(const uint8_t *reply, size_t len, const struct query *query,
                        uint64_t question)
{
    uint8_t rcode = reply[3] & HEADER_RCODE;
    bool answers = rcode == RCODE_NOERROR && (load_be16(reply + 6) > 0 || reply[2] & HEADER_TC);
    if (answers)
        return question;
    uint64_t zone =
        rcode == RCODE_NOERROR || rcode == RCODE_NXDOMAIN ? zone_of(reply, len, query) : 0;
    return zone << 8 | rcode;
}

size_t client_limits_answer(struct client_limits *g, const struct address *from,
                            const struct query *query, uint64_t question, uint8_t *out, size_t len,
                            enum counter *as)
{
    if (query->proven ||
        quota_answer(&g->quota, g->now_us, from, kind_of(out, len, query, question)))
        return len;
    if (slips(g))
        return challenge(g, out, query, as);
    *as = COUNTER_drops_same_answers;
    return 0;
}
