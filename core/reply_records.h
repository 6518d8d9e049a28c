// SPDX-License-Identifier: MIT
#pragma once
#include "core/wire/key.h"
#include "core/wire/rebuild.h"
#include "core/wire/seen.h"

// The records of an upstream's reply, and which of them are passed on: those that answer the
// question, speak of what does, or are named there. Knows nothing of what becomes of them.

#define REPLY_RECORDS_MAX 5957 // a message has room for so many, of 11 octets each
#define REPLY_CHAIN_MAX   16   // CNAMEs that are followed

enum reply_section { SECTION_ANSWER, SECTION_AUTHORITY, SECTION_ADDITIONAL, SECTIONS };

struct reply_record {
    uint64_t owner; // the hash of its name (suffix.h)
    uint32_t ttl;   // seconds, as it came
    uint16_t at;    // where it stands in the reply, as the next
    uint16_t data_at;
    uint16_t data_len;
    uint16_t type;
    uint16_t covered; // of an RRSIG the type that it signs (RFC 4034 3), else 0
    uint8_t rank;     // 0: left out; a section's records go in the order of their ranks
};

struct reply_records {
    struct reader reader; // of the reply; counts what all looks at it follow
    struct suffix_seed seed;
    struct seen_names seen; // in the reply
    unsigned
        ends[SECTIONS]; // of a section's records in `all`; each begins where the one before ends
    uint8_t ranks;      // the highest of the answer section
    bool answered;      // there is a record of the type asked for at the end of the chain
    struct record opt;  // its owner's length is 0 where there is none
    struct reply_record all[REPLY_RECORDS_MAX];
};

static inline unsigned reply_section_begin(const struct reply_records *records, unsigned section)
{
    return section > 0 ? records->ends[section - 1] : 0;
}

// Reads all records of a reply to this question. TSIG and SIG(0) speak of the way here and are not
// among them (RFC 8945 4, RFC 2931), nor are those of another class than the question's. False: one
// is cut, has data that do not fit its type (record_fits), or is an OPT where none or no second one
// may be (RFC 6891 6.1.1). `seed` is secret.
[[nodiscard]] bool reply_records_read(struct reply_records *records, const uint8_t *reply,
                                      size_t len, const struct key *key, uint64_t seed);

// Ranks what is passed on:
//   answer      from the question's name the CNAMEs one after the other, wherever they stood, each
//               with the DNAMEs that it was made of (RFC 6672 3.1), and the records of the type
//               asked for at their end; to ANY all records of the name itself; with signatures
//   authority   SOA, NS and DS, each of a zone that one of these names lies in but for SOA, and
//   what
//               proves that there is none (NSEC, NSEC3), with signatures
//   additional  addresses, SRV, TXT, SVCB and HTTPS of names that stand in the data of the former
void reply_records_pick(struct reply_records *records, const struct key *key);
