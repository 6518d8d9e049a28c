// SPDX-License-Identifier: MIT
#include "tests/xdp/upstream.h"

#include "core/wire/message.h"

enum { OWNER_QUESTION = 0xc00c, SIGNATURE_LEN = 100 };

struct out {
    uint8_t *bytes;
    size_t at;
};

static void put16(struct out *out, unsigned number)
{
    store_be16(out->bytes + out->at, (uint16_t)number);
    out->at += 2;
}

static void put_random(struct world *w, struct out *out, size_t len)
{
    for (size_t i = 0; i < len; i++)
        out->bytes[out->at++] = (uint8_t)world_random(w);
}

// Returns where the data begins.
static size_t record_begin(struct out *out, unsigned type, uint32_t ttl)
{
    put16(out, OWNER_QUESTION);
    put16(out, type);
    put16(out, CLASS_IN);
    put16(out, ttl >> 16);
    put16(out, ttl & 0xffff);
    put16(out, 0);
    return out->at;
}

static void record_end(struct out *out, size_t data_at)
{
    store_be16(out->bytes + data_at - 2, (uint16_t)(out->at - data_at));
}

static void put_name(struct out *out, const char *text)
{
    struct name name;
    if (!name_parse(&name, text, strlen(text)))
        return;
    memcpy(out->bytes + out->at, name.bytes, name.len);
    out->at += name.len;
}

static uint32_t ttl_draw(struct world *w)
{
    static const uint32_t ttls[] = {0, 1, 2, 30, 300, 86400, 604800, 0x80000001};
    return ttls[world_below(w, sizeof ttls / sizeof *ttls)];
}

static unsigned addresses_put(struct world *w, struct out *out, unsigned type)
{
    static const unsigned counts[] = {1, 1, 1, 2, 3, 4, 8, 13, 16, 17, 30};
    unsigned count = counts[world_below(w, sizeof counts / sizeof *counts)];
    uint32_t ttl = ttl_draw(w);
    uint8_t first = world_below(w, 20) ? 203 : 10; // which is empty from outside (rebind)
    for (unsigned i = 0; i < count; i++) {
        size_t at = record_begin(out, type, ttl);
        out->bytes[out->at++] = type == TYPE_A ? first : 0x20;
        out->bytes[out->at++] = (uint8_t)i;
        put_random(w, out, type == TYPE_A ? 2 : 14);
        record_end(out, at);
    }
    return count;
}

// More records than the program takes at once, or nearly.
static unsigned many_put(struct world *w, struct out *out)
{
    unsigned count = 80 + world_below(w, 20);
    uint32_t ttl = ttl_draw(w);
    for (unsigned i = 0; i < count && out->at < UPSTREAM_UDP_SIZE - 200; i++) {
        size_t at = record_begin(out, TYPE_TXT, ttl);
        out->bytes[out->at++] = 0;
        record_end(out, at);
        count = out->at < UPSTREAM_UDP_SIZE - 200 ? count : i + 1;
    }
    return count;
}

static unsigned texts_put(struct world *w, struct out *out, unsigned type)
{
    unsigned count = 1 + world_below(w, 4);
    uint32_t ttl = ttl_draw(w);
    for (unsigned i = 0; i < count; i++) {
        size_t at = record_begin(out, type, ttl);
        unsigned len = world_below(w, 255);
        out->bytes[out->at++] = (uint8_t)len;
        put_random(w, out, len);
        record_end(out, at);
    }
    return count;
}

// Its owner is the question's name, and its data a name under which nothing follows.
static unsigned alias_put(struct world *w, struct out *out)
{
    static const char *const targets[] = {"elsewhere.example", "a.b.c.another.test",
                                          "www.blocked.example"};
    size_t at = record_begin(out, TYPE_CNAME, ttl_draw(w));
    put_name(out, targets[world_below(w, sizeof targets / sizeof *targets)]);
    record_end(out, at);
    return 1;
}

static unsigned signature_put(struct world *w, struct out *out)
{
    size_t at = record_begin(out, TYPE_RRSIG, ttl_draw(w));
    put_random(w, out, 18);
    put_name(out, "example");
    put_random(w, out, SIGNATURE_LEN);
    record_end(out, at);
    return 1;
}

static unsigned soa_put(struct world *w, struct out *out)
{
    size_t at = record_begin(out, TYPE_SOA, ttl_draw(w));
    put_name(out, "ns.example");
    put_name(out, "admin.example");
    put_random(w, out, 16);
    put16(out, 0);
    put16(out, 1 + world_below(w, 600));
    record_end(out, at);
    return 1;
}

static bool denied(const uint8_t *query)
{
    // Its DS alone is asked of an upstream, and what that denies is no denial of the name.
    if (memcmp(query + MESSAGE_HEADER_LEN, "\4home\4arpa", 11) == 0)
        return true;
    // The names of the form n%u.nx.example; one in three has no record of the type.
    return query[MESSAGE_HEADER_LEN] < 12 &&
           memcmp(query + MESSAGE_HEADER_LEN + 1 + query[MESSAGE_HEADER_LEN], "\2nx", 3) == 0;
}

size_t upstream_reply(struct world *w, const uint8_t *query, size_t len,
                      uint8_t reply[static UPSTREAM_REPLY_MAX])
{
    struct query read;
    if (query_read(&read, query, len) != QUERY_GOOD)
        return 0;
    struct out out = {reply, MESSAGE_HEADER_LEN + read.name_len + 4u};
    memcpy(reply, query, out.at);
    memset(reply + 6, 0, 6);
    reply[2] |= HEADER_QR;
    reply[2] |= world_below(w, 2) ? HEADER_AA : 0;
    reply[3] = HEADER_RA | (world_below(w, 2) ? HEADER_AD : 0);
    unsigned answers = 0, authority = 0;
    if (denied(query) || world_below(w, 10) == 0) {
        reply[3] |= denied(query) ? RCODE_NXDOMAIN : 0;
        authority += soa_put(w, &out);
    } else if (world_below(w, 10) == 0) {
        answers += alias_put(w, &out);
        authority += soa_put(w, &out);
        reply[3] |= world_below(w, 2) ? RCODE_NXDOMAIN : 0; // of what the alias leads to
    } else if (read.type == TYPE_A || read.type == TYPE_AAAA) {
        answers += addresses_put(w, &out, read.type);
    } else if (world_below(w, 8) == 0) {
        answers += many_put(w, &out);
    } else {
        answers += texts_put(w, &out, read.type);
    }
    if (read.dnssec_ok && answers > 0)
        answers += signature_put(w, &out);
    store_be16(reply + 6, (uint16_t)answers);
    store_be16(reply + 8, (uint16_t)authority);
    return out.at <= UPSTREAM_UDP_SIZE ? out.at : 0;
}
