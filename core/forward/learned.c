// SPDX-License-Identifier: MIT
#include "core/forward/learned.h"

_Static_assert(sizeof(struct latency) == 152 && sizeof(struct support) == 128 &&
                   sizeof(struct learned) == 424,
               "or another LEARNED_FORM");

void learned_export(struct learned *l, const struct upstream *u, const struct address *address)
{
    memset(l, 0, sizeof *l);
    l->form = LEARNED_FORM;
    l->health = u->health;
    l->over_tcp = u->over_tcp;
    l->loss_pm = u->loss_pm;
    l->address = *address;
    l->reply_us = u->reply_us;
    l->udp_reply_us = u->udp_reply_us;
    l->tcp_reply_us = u->tcp_reply_us;
    l->reply_sent_us = u->reply_sent_us;
    l->vouched_until_us = u->vouched_until_us;
    l->silent_since_us = u->silent_since_us;
    l->latency = u->latency;
    l->support = u->support;
    support_forget_kinds(&l->support);
    l->tcp_retry_us = u->tcp_retry_us;
    l->tcp_failures = u->tcp_failures;
    l->cookie_server_len = u->cookie_server_len;
    memcpy(l->cookie, u->cookie, sizeof l->cookie);
    memcpy(l->cookie_server, u->cookie_server, sizeof l->cookie_server);
    l->cookie_us = u->cookie_us;
}

static bool latency_is_possible(const struct latency *latency)
{
    uint32_t total = 0;
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
        total += latency->counts[i];
    return total == latency->total;
}

static bool is_possible(const struct learned *l, uint64_t now_us)
{
    bool cookie = l->cookie_server_len == 0 ||
                  (l->cookie_server_len >= 8 && l->cookie_server_len <= sizeof l->cookie_server);
    return l->form == LEARNED_FORM && l->health <= UPSTREAM_DEAD && l->loss_pm <= 1000 && cookie &&
           l->over_tcp <= 1 && l->reply_us <= now_us && l->udp_reply_us <= now_us &&
           l->tcp_reply_us <= now_us && l->reply_sent_us <= now_us &&
           l->silent_since_us <= now_us && l->cookie_us <= now_us &&
           latency_is_possible(&l->latency);
}

bool learned_import(const struct learned *l, struct upstream *u, uint64_t now_us)
{
    if (!is_possible(l, now_us))
        return false;
    u->health = l->health;
    u->over_tcp = l->over_tcp == 1;
    u->loss_pm = l->loss_pm;
    u->reply_us = l->reply_us;
    u->udp_reply_us = l->udp_reply_us;
    u->tcp_reply_us = l->tcp_reply_us;
    u->reply_sent_us = l->reply_sent_us;
    u->vouched_until_us = l->vouched_until_us;
    u->silent_since_us = l->silent_since_us;
    u->latency = l->latency;
    u->support = l->support;
    u->tcp_retry_us = l->tcp_retry_us;
    u->tcp_failures = l->tcp_failures;
    u->cookie_server_len = l->cookie_server_len;
    memcpy(u->cookie, l->cookie, sizeof u->cookie);
    memcpy(u->cookie_server, l->cookie_server, sizeof u->cookie_server);
    u->cookie_us = l->cookie_us;
    return true;
}
