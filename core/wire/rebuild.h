// SPDX-License-Identifier: MIT
#pragma once
#include "core/wire/message.h"
#include "core/wire/seen.h"

// Records of a message, read and written one by one. The writer has a table of the names in the
// message so far, to which later ones point (RFC 1035 4.1.4).

#define REBUILD_NAMES    512 // entries of the table, a power of two
#define REBUILD_HOPS_MAX 4   // pointers that lead to the end of a name of ours, at most

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
    uint16_t names[REBUILD_NAMES];  // offset of a name already written; 0: a free entry
    uint64_t hashes[REBUILD_NAMES]; // of that name
    uint8_t hops[REBUILD_NAMES];    // pointers to its end
    uint16_t name_count;
};

// Reads the record at the reader's offset, to the end of its data. False, and the reader failed: it
// is cut, or its owner is no name.
[[nodiscard]] bool record_read(struct reader *r, struct record *record);

// The same after the owner, which stays as it is.
[[nodiscard]] bool record_read_rest(struct reader *r, struct record *record);

// True if a record's data has the form of its type, for the types of RFC 1035 (3.3, 3.4), AAAA (RFC
// 3596 2.2) and others with names; any other type is opaque and fits. Pointers of names are not
// followed.
[[nodiscard]] bool record_fits(const struct record *record, const struct reader *message);

// Begins a message: `out` has `size` octets, and the caller writes the header's 12. Names are
// compared by their hashes; `seed` is secret, so that an upstream cannot make them collide.
void rebuild_begin(struct rebuild *b, uint8_t *out, size_t size, uint64_t seed);

// Writes a name; with `compress`, points to a part of it that was written before. Reading it
// follows REBUILD_HOPS_MAX pointers at most, so that name_read's bound is enough for a whole
// message: there are at least 5 1/3 octets for each name (MINFO).
void rebuild_name(struct rebuild *b, const struct name *name, bool compress);

// Writes the record that was read from `message`, with its data's names decompressed and, for the
// types of RFC 1035, compressed again; `message` counts the pointers in them. Returns the offset of
// its TTL in the new message; 0: its data is malformed, or there is no room.
[[nodiscard]] size_t rebuild_record(struct rebuild *b, const struct record *record,
                                    struct reader *message);

// Reads the record at the offset of `message` and writes it in the same way, with this TTL. `seen`
// has the names of `message`, with the same seed: a name behind a known pointer is not read again,
// so that a message costs no more than its octets, read and written.
[[nodiscard]] size_t rebuild_copy(struct rebuild *b, struct reader *message,
                                  struct seen_names *seen, uint32_t ttl);
