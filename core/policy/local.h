// SPDX-License-Identifier: MIT
#pragma once
#include "core/answer.h"
#include "core/policy/block.h"
#include "core/policy/special.h"
#include "core/settings/settings.h"
#include "core/wire/text.h"

// Local names, which are answered here and never asked upstream: records of the settings and of
// hosts files, special names, and names on block lists.
//
// All of them are one immutable block of memory: a header, a filter, the names with their records
// ready to be copied, and the set of blocked names, with offsets inside. A reload builds another
// block aside and hands it to every worker (serve_local), so no worker waits or sees half of it.
//
// Building takes three steps, in the caller's memory:
//   local_draft, local_add_...     gather records in the draft; block_line_read gathers entries
//   local_size                     says how large the block will be at most
//   local_build                    builds it
//
// The first of these that matches decides: a local record of exactly this name; the closest special
// zone, unless a forward zone is closer; the closest entry of a block list, unless it is an
// exception.

struct local; // opaque; also the address of the whole block

// --- making ------------------------------------------------------------------------------------

// Records while they are gathered: `size` octets at `bytes`, which the caller may reallocate
// between two calls. Begins with local_draft.
struct local_draft {
    uint8_t *bytes;
    size_t size;
    size_t used;
    size_t item_count;
    size_t bound; // octets that the items will take at most
    struct suffix_seed seed;
    uint64_t fingerprint; // of all that was added, in its order
};

void local_draft(struct local_draft *draft, uint64_t seed);

// Adds a line of a block list, or of a list of exceptions, to the fingerprint, as its entries are
// hashes that differ by process.
void local_add_line(struct local_draft *draft, const char *line, size_t len, bool allow);

// Adds a record. `tag` is the caller's, and names the record if local_build fails. False: there is
// no room, and nothing was added.
[[nodiscard]] bool local_add_record(struct local_draft *draft, const struct text_record *record,
                                    uint32_t tag);

// Adds a host's address under a name in lower case and, if `canonical`, a PTR record to the name:
// only the first one of an address counts, and there is none for 0.0.0.0 and ::.
[[nodiscard]] bool local_add_host(struct local_draft *draft, const struct name *name,
                                  const struct prefix *address, uint32_t ttl, bool canonical);

// Adds the special names, as far as the settings want them, and the forward zones that override
// them.
[[nodiscard]] bool local_add_special(struct local_draft *draft, const struct settings *settings);

struct local_making {
    struct local_draft *draft; // changed by local_build
    const uint64_t *entries;   // of block_line_read
    size_t entry_count;
    uint32_t block_answer; // enum local_block_answer
    // Where local_build fails: the record at fault and what is wrong with it.
    uint32_t tag;
    const char *why;
};

enum local_block_answer { LOCAL_BLOCK_NXDOMAIN, LOCAL_BLOCK_NULL, LOCAL_BLOCK_REFUSED };

// Octets that local_build needs.
[[nodiscard]] size_t local_size(const struct local_making *making);

// Builds the block in zeroed memory, 64-octet aligned. NULL: two records contradict each other (a
// CNAME and other records of a name, RFC 1034 3.6.2, or too many of a type), or CNAMEs form a loop.
// What contradicts a record in a hosts file is left out instead.
[[nodiscard]] const struct local *local_build(struct local_making *making, void *memory);

struct local_counts {
    size_t names;   // with records
    size_t blocked; // entries of block lists, with exceptions
    size_t left_out;
    size_t octets; // of the block
};

struct local_counts local_counts(const struct local *local);

// The fingerprint of what a block was built from: equal for equal records, files and settings, in
// every process. NULL: 0.
[[nodiscard]] uint32_t local_fingerprint(const struct local *local);

// --- answering ---------------------------------------------------------------------------------

enum local_source {
    LOCAL_NOWHERE,
    LOCAL_OWN,
    LOCAL_ALIAS, // the same, but all there is are CNAMEs that lead out of the local names
    LOCAL_BLOCKED,
};

// Answers the query of `key` if its name is a local one. `out` has room for
// answer_limits.udp_payload_max octets, or for MESSAGE_LEN_MAX over TCP. Returns the length, and in
// *source where the answer comes from; 0: LOCAL_NOWHERE.
//
// Answers from records and special names have AA set, as those of dnsmasq and Unbound do; those for
// blocked names do not. A name without a record of the question's type gets an empty answer with a
// synthesised SOA. ANY gets one RRset (RFC 8482 4.1). A CNAME is followed while its target has
// local records; with a target elsewhere the answer ends, and the source is LOCAL_ALIAS.
size_t local_answer(const struct local *local, const struct query *query, const struct key *key,
                    uint32_t turn, const struct answer_limits *limits, uint8_t *out,
                    enum local_source *source);

// The target outside of a local name's CNAMEs, in lower case; false: they do not lead outside.
[[nodiscard]] bool local_alias(const struct local *local, const struct key *key,
                               struct name *target);

// True if this name, in lower case, is answered from local records or as a special name.
[[nodiscard]] bool local_owns(const struct local *local, const struct name *name);

// True if this key's name is a local, special or blocked one, so that queries for it are answered
// here, or all but those of a type.
[[nodiscard]] bool local_decides(const struct local *local, const struct key *key);

// True if an alias leads from this key's name to a blocked one. `value` is the complete value
// cached under the key. Never for a name that is an exception itself.
[[nodiscard]] bool local_blocks_chain(const struct local *local, const struct key *key,
                                      const uint8_t *value, size_t value_len);

// Writes the reply to such a query, as if the name itself were blocked. Returns the length.
size_t local_block_answer(const struct local *local, const struct query *query,
                          const struct answer_limits *limits, uint8_t *out);

#define LOCAL_BLOCKED_TTL_S 60 // so that an unblocked name works a minute later

// Recent questions whose names are not local and have no alias to a blocked name, so that popular
// names are not looked up again: the hashes of their keys, whose seed is secret, in sets of four.
#define LOCAL_MEMO_SETS 1024

struct local_memo {
    _Alignas(32) uint64_t sets[LOCAL_MEMO_SETS][4];
};

static inline bool local_memo_holds(const struct local_memo *memo, uint64_t hash)
{
    const uint64_t *set = memo->sets[hash % LOCAL_MEMO_SETS];
    return set[0] == hash || set[1] == hash || set[2] == hash || set[3] == hash;
}

// Replaces the oldest of the set.
static inline void local_memo_keep(struct local_memo *memo, uint64_t hash)
{
    uint64_t *set = memo->sets[hash % LOCAL_MEMO_SETS];
    memmove(set + 1, set, 3 * sizeof *set);
    set[0] = hash;
}
