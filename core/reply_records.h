// SPDX-License-Identifier: MIT
#pragma once
#include "core/wire/key.h"
#include "core/wire/rebuild.h"
#include "core/wire/seen.h"

// The records of an upstream's reply, and the choice of those that are passed on: the ones that
// answer the question, authority and proofs for them, and addresses of names that they mention.

#define REPLY_RECORDS_MAX 5957 // as many as fit in a message, of 11 octets each
#define REPLY_CHAIN_MAX   16   // CNAMEs that are followed

enum reply_section { SECTION_ANSWER, SECTION_AUTHORITY, SECTION_ADDITIONAL, SECTIONS };

struct reply_record {
    uint64_t owner; // hash of its name (suffix.h)
    uint32_t ttl;   // seconds, as received
    uint16_t at;    // offset in the reply, as the next
    uint16_t data_at;
    uint16_t data_len;
    uint16_t type;
    uint16_t covered; // the type that an RRSIG covers (RFC 4034 3), else 0
    uint8_t rank;     // the order within the section; 0: left out
};

struct reply_records {
    struct reader reader; // of the reply; counts the pointers that all readings follow
    struct suffix_seed seed;
    struct seen_names seen;  // in the reply
    unsigned ends[SECTIONS]; // of each section in `all`, which begins where the one before ends
    uint8_t ranks;           // the highest rank of the answer section
    bool answered;           // the chain ends in a record of the question's type
    struct record opt;       // its owner's length is 0: there is none
    struct reply_record all[REPLY_RECORDS_MAX];
};

static inline unsigned reply_section_begin(const struct reply_records *records, unsigned section)
{
    return section > 0 ? records->ends[section - 1] : 0;
}

// Reads all records of a reply to this question, but for TSIG and SIG(0), which end at this hop
// (RFC 8945 4, RFC 2931), and those of another class than the question's. False: a record is cut,
// has data that does not fit its type (record_fits), or is an OPT where none or no second one may
// be (RFC 6891 6.1.1). `seed` is secret.
[[nodiscard]] bool reply_records_read(struct reply_records *records, const uint8_t *reply,
                                      size_t len, const struct key *key, uint64_t seed);

// Ranks what is passed on:
//   answer      the chain of CNAMEs from the question's name, each with the DNAMEs that it was made
//               of (RFC 6672 3.1), in the order of the chain; the records of the question's type at
//               its end; for ANY all records of the name itself; signatures
//   authority   SOA; NS and DS of zones that these names are in; NSEC and NSEC3; signatures
//   additional  addresses, SRV, TXT, SVCB and HTTPS of names in the data of the former
void reply_records_pick(struct reply_records *records, const struct key *key);
