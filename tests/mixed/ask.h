// SPDX-License-Identifier: MIT
#pragma once
#include "tests/mixed/truth.h"

// What clients of the mixed run ask: each question is a family's name in one of many shapes, from
// plain to broken. Its octets follow from a few numbers, so a client need not keep them.

#define ASK_QUERY_MAX     512
#define ASK_COOKIE_CLIENT 8
#define ASK_COOKIE_SERVER 16

enum cookie_form {
    ASK_COOKIE_NONE,
    ASK_COOKIE_NEW,     // the client's part alone (RFC 7873 5.2)
    ASK_COOKIE_VALID,   // with what this server has given, where it has
    ASK_COOKIE_INVALID, // with what it has not
    ASK_COOKIE_BROKEN,  // of a length that there is none of
};

// What is wrong with a query, or unusual beyond its header and options.
enum spoil {
    SPOIL_NOTHING,
    SPOIL_SHORT_HEADER,
    SPOIL_NO_QUESTION,
    SPOIL_COUNT_ZERO,
    SPOIL_TWO_QUESTIONS,
    SPOIL_CUT_NAME,
    SPOIL_CUT_TYPE,
    SPOIL_POINTER_LOOP,
    SPOIL_LONG_LABEL,
    SPOIL_TWO_OPTS,
    SPOIL_CUT_OPT,
    SPOIL_OPT_NAMED,
    SPOIL_TRAILING,
    SPOIL_RECORD,
    SPOIL_COUNT,
};

struct shape {
    const char *what; // for reports
    uint8_t family;
    uint16_t type; // as asked
    uint16_t class;
    uint16_t flags; // the header's second word
    bool edns;
    uint8_t version;
    uint16_t size; // that the client takes over UDP, with EDNS
    bool dnssec_ok;
    bool unknown_option;
    uint16_t padding; // octets of that option (RFC 7830); 0: without it
    enum cookie_form cookie;
    enum spoil spoil;
    bool odd; // answered at once or not at all, whatever is cached
};

struct shapes {
    size_t count, good; // the first `good` are no odd ones
    struct shape items[320];
};

void shapes_make(struct shapes *shapes);

// One query, but for its ID.
struct ask {
    uint16_t shape;
    bool waiting;
    uint32_t number;
    uint32_t letters; // which are upper-case (0x20)
};

struct cookie {
    uint8_t client[ASK_COOKIE_CLIENT];
    uint8_t server[ASK_COOKIE_SERVER];
    bool known; // the server's part
};

// Writes the query's octets and returns their count, up to ASK_QUERY_MAX.
size_t ask_write(const struct truth *truth, const struct shape *shape, const struct ask *ask,
                 uint16_t id, const struct cookie *cookie, uint8_t out[static ASK_QUERY_MAX]);
