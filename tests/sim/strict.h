// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A second reader of DNS messages, written apart from core's and stricter: nothing may be left
// over, every pointer must lead back, reserved bits are reported. The simulator and the fuzz
// targets hold what ouzel writes against it. It shares no code with core, so that one mistake does
// not hide another.

#define STRICT_NAME_MAX 255

struct strict_name {
    uint8_t len;  // 1 .. 255
    bool pointed; // a compression pointer was part of it
    uint8_t bytes[STRICT_NAME_MAX];
};

struct strict_record {
    struct strict_name owner;
    uint8_t section; // 0 answer, 1 authority, 2 additional
    uint16_t type;
    uint16_t class;
    uint32_t ttl;
    size_t ttl_at;
    size_t data_at;
    uint16_t data_len;
};

struct strict {
    const uint8_t *bytes;
    size_t len;
    size_t at;
    uint16_t id;
    uint8_t flags[2]; // the header's third and fourth octet
    uint16_t counts[4];
    struct strict_name question; // len 0: there is none
    size_t question_end;
    uint16_t type;
    uint16_t class;
    uint16_t left[3]; // records not read yet
    const char *why;  // what is wrong; NULL: nothing so far
};

// Reads the header and the question, where there is one. False: `why` says what is wrong.
bool strict_open(struct strict *m, const uint8_t *bytes, size_t len);

// Reads the next record. False: there is none left, or `why` is set.
bool strict_next(struct strict *m, struct strict_record *record);

// Reads what is left; NULL if all of it is well-formed and the message ends with it.
const char *strict_rest(struct strict *m);

// Writes a record's data with its names uncompressed and in lower case; returns the length, or -1
// where it is malformed or more than `size`. `pointed` tells whether a pointer was in it, `known`
// whether the type is one of RFC 1035, in which there may be some.
int strict_data(const struct strict *m, const struct strict_record *record, uint8_t *out,
                size_t size, bool *pointed, bool *known);

// Lower case, octet by octet; the length octets too, as they are no letters.
void strict_lower(uint8_t *to, const uint8_t *from, size_t len);
bool strict_equal(const struct strict_name *a, const struct strict_name *b);
