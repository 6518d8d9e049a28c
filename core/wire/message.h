// SPDX-License-Identifier: MIT
#pragma once
#include "core/transport.h"
#include "core/wire/name.h"

// DNS messages (RFC 1035 4.1, RFC 6891): what is read from a query, and what is checked of a reply.

#define MESSAGE_HEADER_LEN 12
#define MESSAGE_LEN_MAX    65535
#define MESSAGE_UDP_MIN    512  // what every client accepts without EDNS (RFC 1035 2.3.4)
#define UPSTREAM_UDP_SIZE  1232 // what we accept from upstreams (RFC 9715 3)
#define OPT_LEN            11   // an OPT record without options

enum rcode {
    RCODE_NOERROR = 0,
    RCODE_FORMERR = 1,
    RCODE_SERVFAIL = 2,
    RCODE_NXDOMAIN = 3,
    RCODE_NOTIMP = 4,
    RCODE_REFUSED = 5,
    RCODE_YXDOMAIN = 6,
    RCODE_BADVERS = 16, // the upper bits of this and the next are in the OPT record
    RCODE_BADCOOKIE = 23,
};

enum rr_type {
    TYPE_A = 1,
    TYPE_NS = 2,
    TYPE_CNAME = 5,
    TYPE_SOA = 6,
    TYPE_PTR = 12,
    TYPE_HINFO = 13,
    TYPE_MX = 15,
    TYPE_TXT = 16,
    TYPE_AFSDB = 18,
    TYPE_RT = 21,
    TYPE_SIG = 24,
    TYPE_AAAA = 28,
    TYPE_SRV = 33,
    TYPE_NAPTR = 35,
    TYPE_KX = 36,
    TYPE_DNAME = 39,
    TYPE_OPT = 41,
    TYPE_DS = 43,
    TYPE_RRSIG = 46,
    TYPE_NSEC = 47,
    TYPE_NSEC3 = 50,
    TYPE_SVCB = 64,
    TYPE_HTTPS = 65,
    TYPE_TKEY = 249,
    TYPE_TSIG = 250,
    TYPE_IXFR = 251,
    TYPE_AXFR = 252,
    TYPE_MAILB = 253,
    TYPE_MAILA = 254,
    TYPE_ANY = 255,
};

enum rr_class { CLASS_IN = 1, CLASS_CH = 3, CLASS_NONE = 254, CLASS_ANY = 255 };

// Bits of the header's third and fourth octet.
enum {
    HEADER_QR = 0x80,
    HEADER_OPCODE = 0x78,
    HEADER_AA = 0x04,
    HEADER_TC = 0x02,
    HEADER_RD = 0x01,
    HEADER_RA = 0x80, // fourth octet from here on
    HEADER_AD = 0x20,
    HEADER_CD = 0x10,
    HEADER_RCODE = 0x0f,
};

enum ede {
    EDE_NONE = -1,
    EDE_STALE = 3,
    EDE_CACHED_ERROR = 13,
    EDE_BLOCKED = 15,
    EDE_PROHIBITED = 18,
    EDE_STALE_NXDOMAIN = 19,
    EDE_NO_REACHABLE = 22,
    EDE_NETWORK_ERROR = 23,
};

#define EDE_LEN 6 // octets of an option with a code and no text

// Options that both clients and we send (RFC 5001, 7873, 7828).
enum edns_option { EDNS_NSID = 3, EDNS_COOKIE = 10, EDNS_KEEPALIVE = 11 };

// Those that a query has, as bits. Most have none.
enum query_asks {
    ASKS_COOKIE = 1,
    ASKS_NSID = 2,
    ASKS_KEEPALIVE = 4,
};

#define IDENTITY_LEN_MAX 63 // octets of the identity in NSID and id.server

// Cookies (RFC 7873 4): the client's part, and the shortest and longest with the server's.
#define COOKIE_CLIENT_LEN 8
#define COOKIE_SERVER_MIN 16
#define COOKIE_MAX_LEN    40

// The options of a reply's OPT record, as on the wire. Built before the reply is.
#define REPLY_OPTIONS_MAX (4 + COOKIE_MAX_LEN + 4 + IDENTITY_LEN_MAX + 4 + 2)
struct reply_options {
    uint8_t len;
    uint8_t bytes[REPLY_OPTIONS_MAX];
};

// A query of a client. Points into the message, which must live as long.
struct query {
    const uint8_t *message;
    const uint8_t *cookie; // its first COOKIE option's octets, whatever their number; NULL: none
    const struct reply_options *options; // for the OPT of every reply to it; NULL: none
    uint16_t len;
    uint16_t id;
    uint16_t type;
    uint16_t class;
    uint16_t udp_size; // what the client accepts: its OPT's size, at least 512
    uint8_t name_len;  // the name is at message + 12; 0: no question could be read
    uint8_t flags;     // the header's third octet
    bool edns;
    bool dnssec_ok;         // DO
    bool checking_disabled; // CD
    // Mostly zero from here on, and so written as one word.
    uint8_t asks; // enum query_asks
    uint16_t cookie_len;
    uint16_t rcode;    // what to answer at once; RCODE_NOERROR: go on
    uint8_t transport; // enum transport, set by the caller
    bool proven;       // its source address is proven (policy/client_limits.h)
    bool unasked; // FORMERR only as it has no question, which a cookie makes good (RFC 7873 5.4)
};

enum query_verdict {
    QUERY_GOOD,     // look for an answer
    QUERY_ERROR,    // answer with query->rcode
    QUERY_SHORT,    // no header: drop
    QUERY_RESPONSE, // QR is set: drop, or two servers could loop
};

// Parses a query. The verdicts, in the order of the checks:
//   under 12 octets                                      QUERY_SHORT
//   QR set                                               QUERY_RESPONSE
//   opcode other than QUERY                              NOTIMP   (RFC 1035, 8490)
//   TC set, QDCOUNT != 1 (RFC 9619), ANCOUNT != 0, NSCOUNT != 0 without IXFR, a question cut
//   or with a compressed name, records that are cut      FORMERR
//   an OPT twice, not at the root, or with bad options   FORMERR  (RFC 6891 6.1.1)
//   EDNS version above 0                                 BADVERS  (RFC 6891 6.1.3)
//   type OPT, TSIG, TKEY or 0 as the question            FORMERR
//   AXFR, IXFR, a class other than IN                    REFUSED
//   MAILA, MAILB                                         NOTIMP
enum query_verdict query_read(struct query *query, const uint8_t *message, size_t len);

// Writes the essential part of a good query to `out`: header, question, and an OPT record with the
// options that we know. So a query for another worker is short, however long it was. Returns the
// length; 0: it is no good query.
#define QUERY_REDUCED_MAX \
    (MESSAGE_HEADER_LEN + NAME_MAX_LEN + 4 + OPT_LEN + 4 + COOKIE_MAX_LEN + 2 * 4)
[[nodiscard]] size_t query_reduce(const uint8_t *message, size_t len,
                                  uint8_t out[static QUERY_REDUCED_MAX]);

static inline const uint8_t *query_name(const struct query *query)
{
    return query->message + MESSAGE_HEADER_LEN;
}

// True if the answer goes over a connection (client_has_connection in core/client.h).
static inline bool query_has_connection(const struct query *query)
{
    return query->transport != TRANSPORT_UDP;
}

// The most octets that a reply to this client may have.
static inline uint16_t query_reply_max(const struct query *query, uint16_t udp_payload_max)
{
    if (query_has_connection(query))
        return MESSAGE_LEN_MAX;
    if (!query->edns)
        return MESSAGE_UDP_MIN;
    return query->udp_size < udp_payload_max ? query->udp_size : udp_payload_max;
}

// The octets of the OPT record of a reply to this query, without EDE.
static inline size_t query_opt_len(const struct query *query)
{
    if (!query->edns)
        return 0;
    return OPT_LEN + (query->options ? query->options->len : 0u);
}

// True if a COOKIE option may have this length: a client's part, or that and a server's (RFC 7873
// 4).
static inline bool cookie_len_valid(size_t len)
{
    return len == COOKIE_CLIENT_LEN || (len >= COOKIE_SERVER_MIN && len <= COOKIE_MAX_LEN);
}

// Adds an option. It must fit.
void reply_options_add(struct reply_options *options, uint16_t code, const void *data,
                       uint16_t len);

// Writes a reply without records: header, the question where there is one, own OPT where the client
// sent one, with the query's options and an EDE option where `ede` is not EDE_NONE. `extra` are
// bits for the header's third octet (HEADER_TC) and `ra` says whether recursion is offered to this
// client. `out` must have room for MESSAGE_UDP_MIN octets. Returns its length.
size_t reply_empty(uint8_t *out, const struct query *query, uint16_t rcode, uint8_t extra, bool ra,
                   uint16_t udp_payload_max, int ede);

// A record made here and stored nowhere, with the name and class of the question.
struct synthesised_record {
    const uint8_t *data;
    uint32_t ttl;
    uint16_t type;
    uint16_t data_len; // SYNTHESISED_DATA_MAX at most
};

#define SYNTHESISED_DATA_MAX (IDENTITY_LEN_MAX + 1)

// Writes a reply with that record alone and AA set; otherwise as reply_empty.
size_t reply_synthesised(uint8_t *out, const struct query *query,
                         const struct synthesised_record *record, uint16_t udp_payload_max);

// Writes our own OPT record (RFC 6891 6.1.2), OPT_LEN octets, at `out`.
void opt_write(uint8_t *out, uint16_t udp_size, uint16_t rcode, bool dnssec_ok);

// Adds options to the OPT record that was just written at `opt`. Returns their length.
size_t opt_options_write(uint8_t *opt, const struct reply_options *options);

// Adds an EDE option (RFC 8914 2) to the OPT record that was just written at `opt`. Returns
// EDE_LEN.
size_t opt_ede_write(uint8_t *opt, enum ede ede);

// Writes the OPT record of a reply at `out`, where the client sent one: with the query's options,
// and an EDE option where `ede` is not EDE_NONE. Returns its length, 0 without. Cache hits
// (answer_give) write theirs step by step, which takes 13 instructions less.
size_t reply_opt_write(uint8_t *out, const struct query *query, uint16_t rcode,
                       uint16_t udp_payload_max, int ede);

// A query to an upstream: RD set, CD and DO as given, our OPT.
struct upstream_query {
    const uint8_t *name;               // in lower case
    const struct name_case *name_case; // NULL: stays in lower case
    const uint8_t *cookie; // cookie_len octets, the client's part and perhaps a server's
    uint16_t id;
    uint16_t type;
    uint16_t class;
    uint16_t udp_size; // 0: without OPT
    uint8_t name_len;
    uint8_t cookie_len; // 0: none
    bool checking_disabled;
    bool dnssec_ok;
};

#define UPSTREAM_QUERY_MAX (MESSAGE_HEADER_LEN + NAME_MAX_LEN + 4 + OPT_LEN + 4 + COOKIE_MAX_LEN)

// Writes it to `out`, which has room for UPSTREAM_QUERY_MAX octets. Returns its length.
size_t upstream_query_write(uint8_t *out, const struct upstream_query *query);

// Finds the cookie among the `len` octets of an OPT record's options. Returns its length, 8 or
// 16 .. 40, with *cookie leading to it; 0: there is none, or none of a valid length (RFC 7873 5.3).
[[nodiscard]] size_t cookie_find(const uint8_t *options, size_t len, const uint8_t **cookie);
