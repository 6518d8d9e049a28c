// SPDX-License-Identifier: MIT
#pragma once
#include "core/transport.h"
#include "core/wire/key.h"

// What an answer looks like in the cache, and how it is given back.
//
// A value is a whole wire-format message without OPT, written anew from the upstream's records
// with our own compression, followed by the places of its TTLs and a trailer:
//
//   | message | ttl place (2 octets each) ... | struct answer_trailer |
//
// The message comes first so that one copy from the cache into the send buffer is the answer; what
// follows is read there and overwritten by the OPT record. The question stands at octet 12 and
// every record of that name points to it, so that writing the client's own spelling there spells
// the whole answer (RFC 1034 3.1).

#define ANSWER_SIZE_MAX     CACHE_VALUE_MAX
#define ANSWER_ROTATE_MAX   64         // addresses that take turns
#define ANSWER_ADDRESS_HEAD 12         // octets of their records in front of the data
#define ANSWER_TTL_MAX      0x7fffffff // RFC 2181 8
#define ANSWER_NO_UPSTREAM  UINT16_MAX // it comes from local names, or it is not known from whom

// Numbers are in the machine's own order, as are the TTLs' places. What is needed to give an answer
// stands last, in one word.
struct answer_trailer {
    uint32_t generation; // of the rules by which it was made (core/policy/generation.h)
    uint32_t zone;       // of those of its forward zone
    uint16_t upstream;   // upstream_tag of where it came from; 0: not known
    uint16_t sum;        // inet_sum of what lies behind the question
    uint16_t message_len;
    uint16_t ttl_count;
    uint16_t rotate_at;   // the data of the first address of the RRset that was asked for
    uint8_t rotate_count; // how many addresses it has, each with a record of the same length; less
                          // than two: there is nothing to rotate
    uint8_t flags;        // enum answer_flags
};

enum answer_flags {
    ANSWER_TRANSPORT = 0x07,  // enum transport: what it came over
    ANSWER_VALIDATION = 0x18, // enum answer_validation, shifted by ANSWER_VALIDATION_SHIFT
    ANSWER_REFRESHED = 0x20,  // was asked for before the one before it had expired
    ANSWER_WITHHELD = 0x40,   // what upstream said is not for clients, as EDE 15 tells them
    ANSWER_IPV6 = 0x80,       // the addresses have 16 octets, else 4
};

#define ANSWER_VALIDATION_SHIFT 3

// What is known of an answer's signatures (RFC 4035 4.3, where "unchecked" is "indeterminate").
enum answer_validation { ANSWER_UNCHECKED, ANSWER_INSECURE, ANSWER_SECURE, ANSWER_BOGUS };

// Where an answer comes from, by which rules. Kept with it.
struct answer_origin {
    uint32_t generation;
    uint32_t zone;
    uint16_t upstream;  // upstream_tag
    uint8_t transport;  // enum transport
    uint8_t validation; // enum answer_validation
};

struct answer_limits {
    uint64_t seed; // secret: of hashes of the names in a reply
    uint32_t ttl_min_s;
    uint32_t ttl_max_s;
    uint32_t ttl_negative_max_s;
    uint32_t ttl_stale_s; // with which what is over is given (RFC 8767 4)
    uint16_t udp_payload_max;
    bool rotate; // addresses of one RRset from answer to answer
};

struct answer {
    uint8_t *value; // of ANSWER_SIZE_MAX octets, the caller's
    uint32_t len;
    uint32_t lifetime_s;  // 0: not to be kept
    uint16_t rcode_heard; // the upstream's, with the bits of its OPT
    uint8_t rcode;        // the same as a client may hear it
    bool answers;         // NOERROR, NXDOMAIN, or YXDOMAIN with a DNAME of the name (RFC 6672 2.2)
    bool truncated;
    bool too_long;          // written again it is no message any more: `rcode` is SERVFAIL
    bool wrong_case;        // the caller's: its question was not in the 0x20 case that was sent
    bool edns;              // there was an OPT
    const uint8_t *options; // its options, in the reply that was taken
    uint16_t options_len;
    bool denies; // the name itself, and so every type of it
    // The forwarder's: who gave it.
    uint16_t upstream; // index in the zone table, or ANSWER_NO_UPSTREAM
    uint8_t transport; // enum transport
};

enum reply_verdict {
    REPLY_GOOD,
    REPLY_GARBAGE,     // no header, or not a response
    REPLY_QUESTION,    // another question
    REPLY_NO_QUESTION, // none or several, too short for the one asked, or another opcode
    REPLY_WRONG_CASE,  // the question, but not in the 0x20 case that it was sent in
    REPLY_MALFORMED,   // the question, but what is behind it cannot be read (reply_records_read)
    REPLY_BARE,        // an error without a question: all that some servers say when they refuse
};

// Reads the header and the question of an upstream's reply and compares them with what was asked:
// id, QR, opcode, and the question octet by octet (RFC 5452 4.2, 9.1), with the letters' case as in
// `name_case`.
enum reply_verdict reply_match(const uint8_t *reply, size_t len, uint16_t id, const struct key *key,
                               const struct name_case *name_case);

// Reads what there is to a bare reply: its rcode and the options of its OPT, where it has one that
// can be read. No answer follows from it, as nothing says what it is the answer to.
void answer_parse_bare(struct answer *answer, const uint8_t *reply, size_t len);

// What a reply tells that cannot be read: a failure.
void answer_set_malformed(struct answer *answer);

// REPLY_MALFORMED where the records of a matched reply cannot be read, or not be written again.
// Otherwise REPLY_GOOD, and the reply has been turned into a value: those of its records that
// answer the question (reply_records_pick) written again (RFC 3597 4: names are decompressed in the
// types of RFC 1035 and its neighbours, compressed in those of RFC 1035 only), AA and AD cleared,
// an RRset's TTLs made equal to its lowest (RFC 2181 5.2). Where that is longer than a message may
// be, nothing is left of it but SERVFAIL (`too_long`). The lifetime is the lowest TTL within the
// limits. Negative are NXDOMAIN and an answer section without a record of the type asked for, also
// where CNAMEs stand in it (RFC 2308 2.2); to ANY each record is an answer. A negative answer's SOA
// counts with the lower of its TTL and MINIMUM (RFC 2308 5), and without an SOA the lifetime is 0;
// 0 also for TC and for rcodes other than NOERROR and NXDOMAIN. NXDOMAIN denies the name where the
// answer section is empty; behind CNAMEs it speaks of what the last one leads to (RFC 6604 3, RFC
// 8020 1.1).
enum reply_verdict answer_parse(struct answer *answer, const uint8_t *reply, size_t len,
                                const struct key *key, const struct answer_limits *limits);

// Writes into an answer where it comes from. What stood there before goes.
void answer_seal(struct answer *answer, const struct answer_origin *origin);
[[nodiscard]] struct answer_origin answer_origin(const uint8_t *value, size_t value_len);

// Only its generation, which is looked at with each answer that is given.
static inline uint32_t answer_generation(const uint8_t *value, size_t value_len)
{
    uint32_t generation;
    memcpy(&generation, value + value_len - sizeof(struct answer_trailer), sizeof generation);
    return generation;
}

// Tells a kept answer apart that was asked for to keep the one before it fresh.
void answer_mark_refreshed(struct answer *answer);
[[nodiscard]] bool answer_is_refreshed(const uint8_t *value, size_t value_len);

// Takes all records out of an answer that clients are not to have; its lifetime stays, and EDE 15
// will tell them (RFC 8914 4.16).
void answer_empty(struct answer *answer);

// Says of an answer that was put in the place of an upstream's why it is another one: clients are
// told with EDE 15, and NXDOMAIN denies nothing but this type of the name.
void answer_withhold(struct answer *answer);

[[nodiscard]] bool answer_is_withheld(const uint8_t *value, size_t value_len);

// Takes the records of its additional section out of an answer, which is one without them as well.
void answer_leave_out_additional(struct answer *answer);

// Reads what answer_parse has written, from the first record on.
[[nodiscard]] struct reader answer_reader(const struct answer *answer);

// The names that a value's CNAMEs lead to, one after the other; false: there are no more. The value
// must be whole.
struct answer_chain {
    struct reader reader;
    unsigned left; // records of the answer section
};
[[nodiscard]] struct answer_chain answer_chain_of(const uint8_t *value, size_t value_len);
[[nodiscard]] bool answer_chain_next(struct answer_chain *chain, struct name *target);

struct answer_giving {
    uint32_t age_s;
    uint32_t turn; // any number that differs from answer to answer
    bool stale;    // it is over: TTLs are ttl_stale_s, and EDE 3 or 19 says so (RFC 8914)
};

// Finishes an answer that lies at `out` as it was kept (`value_len` octets of `out_size`):
// ID, RD and CD of the query, its question as it spelled it, TTLs less the age, own OPT, and
// several addresses in turn. Where the whole is more than the client takes, or did not fit, writes
// TC and the question alone (RFC 9715). Returns the length of the message.
size_t answer_give(uint8_t *out, size_t out_size, size_t value_len, const struct query *query,
                   const struct answer_giving *giving, const struct answer_limits *limits);

// Is this what answer_parse writes for an answer that is kept? For values that come from elsewhere:
// where it says yes, answer_give reads and writes nothing but the value, whatever the octets are.
// Beyond that the data of records is not looked into.
[[nodiscard]] bool answer_check(const uint8_t *value, size_t len);
