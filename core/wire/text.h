// SPDX-License-Identifier: MIT
#pragma once
#include "core/wire/message.h"

// Records as text, one to a line, as zone files have them (RFC 1035 5.1):
//
//   owner [TTL] [class] type data        TTL and class in either order
//
// Names are absolute, with a final dot or without one. Strings may stand between quotes, \DDD and
// \X are escapes, parentheses count as spaces, and ; begins a comment. Without a TTL it is an hour.
// The class is IN. Any type may be written as TYPEn with its data as \# (RFC 3597 5). What belongs
// to a zone file (@, $ORIGIN) and wildcards are not accepted.

#define TEXT_DATA_MAX  2048 // octets of a record's data
#define TEXT_WHY_SIZE  256
#define TEXT_TTL       3600
#define TEXT_TTL_MAX   0x7fffffff // RFC 2181 8
#define TEXT_TYPE_SIZE 16         // a type's name with the final NUL

struct text_record {
    struct name owner; // in its own spelling
    uint32_t ttl;
    uint16_t type;
    uint16_t data_len;
    uint8_t data[TEXT_DATA_MAX]; // names are uncompressed
};

// Reads one record from `len` octets of text, which need not end in NUL. False: `why` says what is
// wrong with it, without a full stop.
[[nodiscard]] bool text_record_read(struct text_record *record, const char *text, size_t len,
                                    char why[static TEXT_WHY_SIZE]);

// Reads a type's name, or TYPEn. 0: there is no such type, or no record can have it.
[[nodiscard]] uint16_t text_type_read(const char *text, size_t len);

// An RCODE's name, or RCODEn; beyond BADCOOKIE "another RCODE".
[[nodiscard]] const char *text_rcode(uint16_t rcode);

// Writes a type's name, or TYPEn; returns its length.
size_t text_type_write(uint16_t type, char text[static TEXT_TYPE_SIZE]);
