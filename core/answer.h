// SPDX-License-Identifier: MIT
#pragma once
#include "core/transport.h"
#include "core/wire/key.h"

// The form of an answer in the cache, and how it becomes a client's.
//
// A value is a whole wire-format message without OPT, built from the upstream's records with our
// own compression, followed by the offsets of its TTLs and a trailer:
//
//   | message | TTL offset (2 octets each) ... | struct answer_trailer |
//
// The message comes first, so one copy from the cache into the send buffer is the answer; what
// follows is read there and overwritten by the OPT record. The question is at octet 12 and every
// record of that name points to it, so writing the client's own spelling there changes it in the
// whole answer (RFC 1034 3.1).

#define ANSWER_SIZE_MAX     CACHE_VALUE_MAX
#define ANSWER_ROTATE_MAX   64         // addresses that are rotated
#define ANSWER_ADDRESS_HEAD 12         // octets of an address record before its data
#define ANSWER_TTL_MAX      0x7fffffff // RFC 2181 8
#define ANSWER_NO_UPSTREAM  UINT16_MAX // it comes from local names, or is not known

// Numbers and TTL offsets are in the machine's byte order. What each hit needs is the last word.
struct answer_trailer {
    uint32_t generation; // of the rules that made it (core/policy/generation.h)
    uint32_t zone;       // the same of its forward zone alone
    uint16_t upstream;   // upstream_tag of its upstream; 0: not known
    uint16_t sum;        // inet_sum of what follows the question
    uint16_t message_len;
    uint16_t ttl_count;
    uint16_t rotate_at;   // the data of the first address of the RRset that was asked for
    uint8_t rotate_count; // addresses of that RRset, in records of equal length; below two: no
                          // rotation
    uint8_t flags;        // enum answer_flags
};

enum answer_flags {
    ANSWER_TRANSPORT = 0x07,  // enum transport that it came over
    ANSWER_VALIDATION = 0x18, // enum answer_validation, shifted by ANSWER_VALIDATION_SHIFT
    ANSWER_REFRESHED = 0x20,  // fetched before its predecessor expired
    ANSWER_WITHHELD = 0x40,   // replaces what upstream said; EDE 15 says so
    ANSWER_IPV6 = 0x80,       // the addresses have 16 octets, else 4
};

#define ANSWER_VALIDATION_SHIFT 3

// The state of an answer's signatures (RFC 4035 4.3, which calls "unchecked" indeterminate).
enum answer_validation { ANSWER_UNCHECKED, ANSWER_INSECURE, ANSWER_SECURE, ANSWER_BOGUS };

// Where an answer came from, and under which rules. Cached with it.
struct answer_origin {
    uint32_t generation;
    uint32_t zone;
    uint16_t upstream;  // upstream_tag
    uint8_t transport;  // enum transport
    uint8_t validation; // enum answer_validation
};

struct answer_limits {
    uint64_t seed; // secret, for hashes of the names in a reply
    uint32_t ttl_min_s;
    uint32_t ttl_max_s;
    uint32_t ttl_negative_max_s;
    uint32_t ttl_stale_s; // TTL of stale answers (RFC 8767 4)
    uint16_t udp_payload_max;
    bool rotate; // the addresses of an RRset, from answer to answer
};

struct answer {
    uint8_t *value; // of ANSWER_SIZE_MAX octets, the caller's
    uint32_t len;
    uint32_t lifetime_s;  // 0: not to be cached
    uint16_t rcode_heard; // the upstream's, extended by its OPT
    uint8_t rcode;        // the one for clients
    bool answers;         // NOERROR, NXDOMAIN, or YXDOMAIN with a DNAME of the name (RFC 6672 2.2)
    bool truncated;
    bool too_long;          // longer than a message may be when rebuilt: `rcode` is SERVFAIL
    bool wrong_case;        // the caller's: its question was not in the 0x20 case that was sent
    bool edns;              // there was an OPT
    const uint8_t *options; // its options, within the reply that was parsed
    uint16_t options_len;
    bool denies; // the name itself, and so every type of it
    // The forwarder's: which upstream it came from, and how.
    uint16_t upstream; // index in the zone table, or ANSWER_NO_UPSTREAM
    uint8_t transport; // enum transport
};

enum reply_verdict {
    REPLY_GOOD,
    REPLY_GARBAGE,     // no header, or not a response
    REPLY_QUESTION,    // another question
    REPLY_NO_QUESTION, // none or several, too short for the one asked, or another opcode
    REPLY_WRONG_CASE,  // the question, but not in the 0x20 case that it was sent in
    REPLY_MALFORMED,   // the question, but unreadable records (reply_records_read)
    REPLY_BARE,        // an error without a question, as some servers refuse
};

// Compares the header and the question of an upstream's reply with what was sent: ID, QR, opcode,
// and the question octet by octet (RFC 5452 4.2, 9.1), in the 0x20 case of `name_case`.
enum reply_verdict reply_match(const uint8_t *reply, size_t len, uint16_t id, const struct key *key,
                               const struct name_case *name_case);

// Parses a bare reply: its rcode, and the options of its OPT where it has a readable one. It is no
// answer, as nothing says to which question.
void answer_parse_bare(struct answer *answer, const uint8_t *reply, size_t len);

// Sets what a reply amounts to that cannot be read: a failure.
void answer_set_malformed(struct answer *answer);

// Turns a matched reply into a value. REPLY_MALFORMED: its records cannot be read or rebuilt. Else
// REPLY_GOOD:
//   - The value has those records that answer the question (reply_records_pick), rebuilt: names are
//     decompressed in the types of RFC 1035 and its neighbours, and compressed in those of RFC 1035
//     only (RFC 3597 4). AA and AD are cleared, and an RRset's TTLs are its lowest (RFC 2181 5.2).
//     Where that is longer than a message may be, only SERVFAIL is left (`too_long`).
//   - The lifetime is the lowest TTL, within the limits; 0 for TC and for rcodes other than NOERROR
//     and NXDOMAIN.
//   - Negative are NXDOMAIN, and an answer section without a record of the question's type, CNAMEs
//   or
//     not (RFC 2308 2.2); for ANY each record counts. Of a negative answer's SOA the lower of TTL
//     and MINIMUM counts (RFC 2308 5); without an SOA the lifetime is 0.
//   - NXDOMAIN denies the name where the answer section is empty. After CNAMEs it is about the
//   target
//     of the last one (RFC 6604 3, RFC 8020 1.1).
enum reply_verdict answer_parse(struct answer *answer, const uint8_t *reply, size_t len,
                                const struct key *key, const struct answer_limits *limits);

// Begins a message that answer_parse is to read, in `out` of MESSAGE_LEN_MAX octets: writes the
// question of this key and leaves the header to the caller. `seed` as for rebuild_begin.
struct rebuild;
void answer_begin(struct rebuild *b, uint8_t *out, const struct key *key, uint64_t seed);

// Writes an answer's origin into its trailer, in place of an older one.
void answer_seal(struct answer *answer, const struct answer_origin *origin);
[[nodiscard]] struct answer_origin answer_origin(const uint8_t *value, size_t value_len);

// Its generation alone, which each hit checks.
static inline uint32_t answer_generation(const uint8_t *value, size_t value_len)
{
    uint32_t generation;
    memcpy(&generation, value + value_len - sizeof(struct answer_trailer), sizeof generation);
    return generation;
}

// Where in the value that is.
static inline uint32_t answer_generation_at(uint32_t value_len)
{
    return value_len - (uint32_t)sizeof(struct answer_trailer);
}

// Marks an answer that was fetched to refresh a popular one, before that expired.
void answer_mark_refreshed(struct answer *answer);
[[nodiscard]] bool answer_is_refreshed(const uint8_t *value, size_t value_len);

// Removes all records of an answer that clients must not get. Its lifetime stays, and clients get
// EDE 15 (RFC 8914 4.16).
void answer_empty(struct answer *answer);

// Marks an answer that replaces an upstream's: clients get EDE 15, and NXDOMAIN denies only this
// type of the name.
void answer_withhold(struct answer *answer);

[[nodiscard]] bool answer_is_withheld(const uint8_t *value, size_t value_len);

// Removes the additional section, without which an answer is still one.
void answer_leave_out_additional(struct answer *answer);

// Reads what answer_parse wrote, from the first record on.
[[nodiscard]] struct reader answer_reader(const struct answer *answer);

// The targets of a value's CNAMEs, one after the other; false: there are no more. The value must be
// complete.
struct answer_chain {
    struct reader reader;
    unsigned left; // records of the answer section
};
[[nodiscard]] struct answer_chain answer_chain_of(const uint8_t *value, size_t value_len);
[[nodiscard]] bool answer_chain_next(struct answer_chain *chain, struct name *target);

struct answer_giving {
    uint32_t age_s;
    uint32_t turn; // for rotation: a number that differs from answer to answer
    bool stale;    // expired: TTLs are ttl_stale_s, with EDE 3 or 19 (RFC 8914)
};

// Makes the value at `out` (`value_len` octets of `out_size`) the answer to a query: its ID, RD and
// CD, its spelling of the question, TTLs less the age, our OPT, and addresses rotated. Where that
// is longer than the client accepts, or did not fit, writes TC and the question alone (RFC 9715).
// Returns the length of the message.
size_t answer_give(uint8_t *out, size_t out_size, size_t value_len, const struct query *query,
                   const struct answer_giving *giving, const struct answer_limits *limits);

// True if this is a value as answer_parse writes it. For values from other processes or files: if
// it is true, answer_give stays within the value, whatever the octets are. The data of records is
// not checked beyond that.
[[nodiscard]] bool answer_check(const uint8_t *value, size_t len);
