// SPDX-License-Identifier: MIT
#include "core/serve/identity.h"

#include <assert.h>

// What a worker says of itself: options of its replies, names of class CH, and the small answer to
// a question for all types.

static_assert(sizeof((struct short_text *)0)->text - 1 == IDENTITY_LEN_MAX);

enum { ANY_TTL_S = 3600 }; // RFC 8482 4.2: long enough that it is not asked for again and again

void serve_options(const struct serve *s, struct query *query, struct reply_options *options)
{
    const struct settings *settings = s->config.settings;
    const struct short_text *identity = &settings->server_identity;
    if (!query->options)
        options->len = 0;
    if (query->asks & ASKS_NSID && identity->len > 0)
        reply_options_add(options, EDNS_NSID, identity->text, identity->len);
    if (query->asks & ASKS_KEEPALIVE && query_has_connection(query)) {
        uint64_t tenths = settings->server_tcp_idle_timeout / 100; // RFC 7828 3.1
        uint8_t timeout[2];
        store_be16(timeout, (uint16_t)(tenths < UINT16_MAX ? tenths : UINT16_MAX));
        reply_options_add(options, EDNS_KEEPALIVE, timeout, sizeof timeout);
    }
    if (options->len > 0)
        query->options = options;
}

static size_t text_give(const struct serve *s, const struct query *query, uint8_t *out,
                        const char *text, size_t len)
{
    uint8_t data[SYNTHESISED_DATA_MAX];
    data[0] = (uint8_t)len;
    memcpy(data + 1, text, len);
    struct synthesised_record record = {
        .data = data, .type = TYPE_TXT, .data_len = (uint16_t)(len + 1)};
    return reply_synthesised(out, query, &record, s->limits.udp_payload_max);
}

static bool is_asked(const struct query *query, const char *name, size_t name_size)
{
    uint8_t lower[NAME_MAX_LEN];
    if (query->name_len != name_size)
        return false;
    name_lower(lower, query_name(query), name_size);
    return memcmp(lower, name, name_size) == 0;
}

// In wire format; the text's own NUL is the root.
#define IS_ASKED(query, name) is_asked(query, name, sizeof name)

size_t serve_chaos(const struct serve *s, const struct query *query, uint8_t *out)
{
    static const char version[] = "ouzel " OUZEL_VERSION;
    static_assert(sizeof version <= SYNTHESISED_DATA_MAX);
    const struct settings *settings = s->config.settings;
    const struct short_text *identity = &settings->server_identity;
    bool of_version = IS_ASKED(query, "\7version\4bind") || IS_ASKED(query, "\7version\6server");
    bool of_identity = IS_ASKED(query, "\2id\6server") || IS_ASKED(query, "\10hostname\4bind");
    if (of_version && settings->server_version)
        return text_give(s, query, out, version, sizeof version - 1);
    if (of_identity && identity->len > 0)
        return text_give(s, query, out, identity->text, identity->len);
    return 0;
}

size_t serve_any(const struct serve *s, const struct query *query, uint8_t *out)
{
    // CPU and OS, each a text with its length in front (RFC 8482 4.2).
    static const uint8_t data[] = "\7RFC8482";
    struct synthesised_record record = {
        .data = data, .ttl = ANY_TTL_S, .type = TYPE_HINFO, .data_len = sizeof data};
    if (s->config.settings->server_any == ANY_HINFO)
        return reply_synthesised(out, query, &record, s->limits.udp_payload_max);
    return reply_empty(out, query, RCODE_NOERROR, HEADER_TC, true, s->limits.udp_payload_max,
                       EDE_NONE);
}
