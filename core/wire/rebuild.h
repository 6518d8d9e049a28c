// SPDX-License-Identifier: MIT
#pragma once
#include "core/wire/message.h"
#include "core/wire/seen.h"

// Records of a message, read and written one by one. Writing keeps a table of the names that the
// message already holds, so that later ones point to them (RFC 1035 4.1.4).

#define REBUILD_NAMES    512 // places of the table, a power of two
#define REBUILD_HOPS_MAX 4   // pointers that a name of ours leads over

struct record {
    struct name owner;
    uint16_t type;
    uint16_t class;
    uint32_t ttl;
    size_t data_at; // in the message that was read
    uint16_t data_len;
};

struct rebuild {
    struct writer out;
    struct suffix_seed seed;
    uint16_t names[REBUILD_NAMES];  // offset of a name already written, 0: free place
    uint64_t hashes[REBUILD_NAMES]; // of it
    uint8_t hops[REBUILD_NAMES];    // pointers that it leads over
    uint16_t name_count;
};

// Reads the record at the reader's place up to and with its data. False, and the reader failed, if
// it is cut or its owner is no name.
[[nodiscard]] bool record_read(struct reader *r, struct record *record);

// The same behind the owner, which is not touched.
[[nodiscard]] bool record_read_rest(struct reader *r, struct record *record);

// Do a record's data have the form of its type: of those of RFC 1035 (3.3, 3.4), AAAA (RFC
// 3596 2.2) and the others with names? The names themselves are not followed. Other types are
// opaque and fit.
[[nodiscard]] bool record_fits(const struct record *record, const struct reader *message);

// Begins a message: `out` has `size` octets, the header's 12 are left to the caller. `seed` is
// secret, so that whoever chooses the names cannot make them meet: they are compared by their
// hashes.
void rebuild_begin(struct rebuild *b, uint8_t *out, size_t size, uint64_t seed);

// Writes a name, compressed where `compress` is set and a part of it stands already. To read it one
// follows REBUILD_HOPS_MAX pointers at most, so that name_read has enough for all of a message that
// was written here: the least octets for each name are 5 1/3 (MINFO).
void rebuild_name(struct rebuild *b, const struct name *name, bool compress);

// Writes the record that was read from `message`, with its data's names decompressed and, for the
// types of RFC 1035, compressed anew; `message` counts the pointers in them. Returns the place of
// its TTL in the new message, or 0 if its data is malformed or the room is over.
[[nodiscard]] size_t rebuild_record(struct rebuild *b, const struct record *record,
                                    struct reader *message);

// Reads the record at the place of `message` and writes it in the same way, with this TTL. `seen`
// knows the names of `message`, and has the same seed: what is written with a pointer is not read
// beyond one, so that all of a message costs no more than the octets of both.
[[nodiscard]] size_t rebuild_copy(struct rebuild *b, struct reader *message,
                                  struct seen_names *seen, uint32_t ttl);
