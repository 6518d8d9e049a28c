// SPDX-License-Identifier: MIT
#pragma once
#include "core/answer.h"
#include "core/policy/block.h"
#include "core/policy/special.h"
#include "core/settings/settings.h"
#include "core/wire/text.h"

// Names that are answered here and never asked upstream: records of the settings and of hosts
// files, special names, and names on block lists.
//
// All of it is one block of memory that nothing changes once it is made: a header, and behind it a
// filter, the names with their records ready to be copied, and the set of blocked names. Inside are
// offsets only. Who wants other local names makes another block aside and gives every worker that
// one (serve_local); so a reload stops nobody and nobody sees half of it.
//
// Making one takes three steps, in memory of the caller:
//   local_draft, local_add_...     gathers records in the draft; block_line_read gathers entries
//   local_size                     says how large the block will be at most
//   local_build                    makes it
//
// What a name is, in this order: a local record's (that name alone), a special name's (the longest
// zone that it lies in, unless a forward zone lies between), a blocked one's (the longest entry
// that it lies in, unless that is an exception).

struct local; // opaque; also the address of the whole block

// --- making ------------------------------------------------------------------------------------

// Records as they are gathered: `size` octets at `bytes` that the caller may make larger between
// two calls, which moves them. Begins with local_draft.
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

// Takes a line of a block list, or of a list of exceptions, into the fingerprint: its entries are
// hashes that differ from process to process.
void local_add_line(struct local_draft *draft, const char *line, size_t len, bool allow);

// Adds a record. `tag` is the caller's, for what local_build may have to say of it. False: there is
// no room, and nothing was added.
[[nodiscard]] bool local_add_record(struct local_draft *draft, const struct text_record *record,
                                    uint32_t tag);

// Adds a host's address under a name in lower case and, where `canonical` is set, the name under
// the address: of those only the first of an address counts, and none for 0.0.0.0 and ::.
[[nodiscard]] bool local_add_host(struct local_draft *draft, const struct name *name,
                                  const struct prefix *address, uint32_t ttl, bool canonical);

// Adds what the settings say of special names: their zones and the forward zones that override
// them.
[[nodiscard]] bool local_add_special(struct local_draft *draft, const struct settings *settings);

struct local_making {
    struct local_draft *draft; // spoilt by the making
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

// Makes the block in zeroed memory, 64-octet aligned. NULL: two records contradict each other (a
// CNAME stands beside other records, RFC 1034 3.6.2, or there are too many of a type), or CNAMEs
// lead round in a circle. Of hosts files what contradicts a record is left out instead.
[[nodiscard]] const struct local *local_build(struct local_making *making, void *memory);

struct local_counts {
    size_t names;   // with records
    size_t blocked; // entries, exceptions among them
    size_t left_out;
    size_t octets; // of the block
};

struct local_counts local_counts(const struct local *local);

// What a block was made of, in 32 bits: equal for equal records, files and settings, in every
// process. NULL: 0.
[[nodiscard]] uint32_t local_fingerprint(const struct local *local);

// --- asking ------------------------------------------------------------------------------------

enum local_source {
    LOCAL_NOWHERE,
    LOCAL_OWN,
    LOCAL_ALIAS, // the same, but all there is are CNAMEs that lead out of the local names
    LOCAL_BLOCKED,
};

// Answers the query that `key` was made of, if its name is answered here. `out` has room for
// answer_limits.udp_payload_max octets, or for MESSAGE_LEN_MAX over TCP. Returns the length, and in
// *source where it comes from; 0: LOCAL_NOWHERE.
//
// Answers from records and special names carry AA, as those of dnsmasq and Unbound do: there is
// no one else to ask. Those for blocked names do not: the name is somebody else's. Without a record
// of the type asked for the answer is empty, with an SOA that is made here. ANY gets one RRset (RFC
// 8482 4.1). A CNAME is followed as long as its target has local records; where it leads outside,
// the answer ends with it, and LOCAL_ALIAS says so.
size_t local_answer(const struct local *local, const struct query *query, const struct key *key,
                    uint32_t turn, const struct answer_limits *limits, uint8_t *out,
                    enum local_source *source);

// Where do the CNAMEs of such a name lead outside? False: it is none. `target` is in lower case.
[[nodiscard]] bool local_alias(const struct local *local, const struct key *key,
                               struct name *target);

// Is this name, in lower case, answered here from records, or as a special one?
[[nodiscard]] bool local_owns(const struct local *local, const struct name *name);

// Does an alias lead from this key's name to a blocked one? `value` is what is kept under the key,
// the whole of it. Not where the name itself is excepted: then it may have what it leads to.
[[nodiscard]] bool local_blocks_chain(const struct local *local, const struct key *key,
                                      const uint8_t *value, size_t value_len);

// Writes what such a query gets, as if the name itself were listed. Returns the length.
size_t local_block_answer(const struct local *local, const struct query *query,
                          const struct answer_limits *limits, uint8_t *out);

#define LOCAL_BLOCKED_TTL_S 60 // so that what is no longer blocked works a minute later

// What was asked of late, is answered nowhere here and leads to no blocked name, so that popular
// names are not looked up again: the hashes of keys, which nobody outside can guess, with four
// places for each.
#define LOCAL_MEMO_SETS 1024

struct local_memo {
    _Alignas(32) uint64_t sets[LOCAL_MEMO_SETS][4];
};

static inline bool local_memo_holds(const struct local_memo *memo, uint64_t hash)
{
    const uint64_t *set = memo->sets[hash % LOCAL_MEMO_SETS];
    return set[0] == hash || set[1] == hash || set[2] == hash || set[3] == hash;
}

// The oldest of the four gives way.
static inline void local_memo_keep(struct local_memo *memo, uint64_t hash)
{
    uint64_t *set = memo->sets[hash % LOCAL_MEMO_SETS];
    memmove(set + 1, set, 3 * sizeof *set);
    set[0] = hash;
}
