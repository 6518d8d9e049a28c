// SPDX-License-Identifier: MIT
#pragma once
#include "core/wire/message.h"

// Records of a message, read and written one by one. Writing keeps a table of the names that the
// message already holds, so that later ones point to them (RFC 1035 4.1.4).

#define REBUILD_NAMES 512 // places of the table, a power of two

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
    uint16_t names[REBUILD_NAMES]; // offset of a name already written, 0: free place
    uint16_t name_count;
};

// Reads the record at the reader's place up to and with its data. False, and the reader failed, if
// it is cut or its owner is no name.
[[nodiscard]] bool record_read(struct reader *r, struct record *record);

// Begins a message: `out` has `size` octets, the header's 12 are left to the caller.
void rebuild_begin(struct rebuild *b, uint8_t *out, size_t size);

// Writes a name, compressed where `compress` is set and a part of it stands already.
void rebuild_name(struct rebuild *b, const struct name *name, bool compress);

// Writes the record that was read from `message`, with its data's names decompressed and, for the
// types of RFC 1035, compressed anew. Returns the place of its TTL in the new message, or 0 if its
// data is malformed or the room is over.
[[nodiscard]] size_t rebuild_record(struct rebuild *b, const struct record *record,
                                    const struct reader *message);
