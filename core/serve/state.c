// SPDX-License-Identifier: MIT
#include "core/serve/state.h"

#include <assert.h>

struct policy_config serve_policy_config(const struct serve_config *config,
                                         const struct answer_limits *limits)
{
    return (struct policy_config){
        .settings = config->settings,
        .zone_table = config->zone_table,
        .access = config->access,
        .local = config->local,
        .cookies = config->cookies,
        .cache = config->cache,
        .limits = limits,
        .counters = config->counters,
        .workers = config->worker_count,
        .seed = config->seed,
    };
}

void serve_limits_apply(struct serve *s, const struct settings *settings)
{
    s->limits = (struct answer_limits){
        .seed = s->config.cache->seed,
        .ttl_min_s = (uint32_t)(settings->cache_ttl_min / 1000),
        .ttl_max_s = (uint32_t)(settings->cache_ttl_max / 1000),
        .ttl_negative_max_s = (uint32_t)(settings->cache_ttl_negative_max / 1000),
        .ttl_stale_s = (uint32_t)(settings->cache_stale_ttl / 1000),
        .udp_payload_max = (uint16_t)settings->server_udp_payload_max,
        .rotate = settings->cache_rotate,
    };
    s->stale_max_s = (uint32_t)(settings->cache_stale_max_age / 1000);
    s->stale_after_us = settings->cache_stale_answer_after * 1000;
    // A record takes 11 octets at least and its TTL's place 2 more, behind the message.
    s->reply_room = s->limits.udp_payload_max + s->limits.udp_payload_max / 5u + 64;
    assert(s->reply_room <= SERVE_REPLY_ROOM_MAX);
}
