// SPDX-License-Identifier: MIT
#pragma once
#include "tests/mixed/ask.h"

// What the right reply to each query is. It is learnt from a server that is asked one question at a
// time, and from then on every reply is held against it, octet by octet. What may differ is known
// by its place: the ID, the question's spelling, the name's label and data where the reply repeats
// them, the client's cookie, the server's, and TTLs, which only grow smaller.

#define EXPECT_REPLY_MAX 65535

enum expect_place_kind { PLACE_DATA, PLACE_LABEL };

struct expect_place {
    uint16_t at;
    uint8_t kind;
    uint8_t add; // to the data
};

struct expect {
    bool known;
    bool silent; // there is none
    uint16_t len;
    uint16_t question_end; // == 12 where it has no question
    uint16_t cookie;       // where the client's part stands; 0: nowhere
    uint16_t opt_size;     // where the length of the OPT's options stands; 0: it has none
    uint16_t ttl_count;
    uint32_t place_count;
    uint16_t ttls[64];
    uint8_t *bytes;
    struct expect_place *places;
};

enum verdict {
    VERDICT_RIGHT,   // also where it is right but stale, and says so (RFC 8767)
    VERDICT_FAILED,  // SERVFAIL, well-formed, to this question: allowed now and then
    VERDICT_LIMITED, // cut, refused or asked for a cookie for what the client may have: where there
                     // are limits
    VERDICT_WRONG,
};

struct asked {
    const struct truth *truth;
    const struct shape *shape;
    const struct ask *ask;
    const struct cookie *cookie;
    const uint8_t *query;
    size_t query_len;
};

// Keeps this reply as the right one for the query's shape; `len` 0: none. False, with a sentence in
// `why`, if it cannot be: records are missing, or it is not well-formed.
[[nodiscard]] bool expect_learn(struct expect *expect, const struct asked *asked,
                                const uint8_t *reply, size_t len, const char **why);
void expect_free(struct expect *expect);

// Holds a reply against what is expected. Where it is wrong `right` holds what would have been
// right,
// `*right_len` octets of it.
[[nodiscard]] enum verdict expect_judge(const struct expect *expect, const struct asked *asked,
                                        bool limits, const uint8_t *reply, size_t len,
                                        uint8_t right[static EXPECT_REPLY_MAX], size_t *right_len);

// The server's part of the cookie in a right reply of this length; NULL: none.
const uint8_t *expect_cookie(const struct expect *expect, const uint8_t *reply, size_t len);
