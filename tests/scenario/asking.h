// SPDX-License-Identifier: MIT
#pragma once
#include "tests/scenario/record.h"

// A query in words: what a client is to ask, or what an upstream has been asked.

enum cookie_words {
    COOKIE_UNSAID,
    COOKIE_ABSENT,
    COOKIE_ANY,    // there is one
    COOKIE_CLIENT, // with the client's part alone
    COOKIE_SERVER, // with that server's part
};

enum case_words { CASE_UNSAID, CASE_LOWER, CASE_MIXED };

struct asking {
    struct name name;
    uint16_t type;
    uint16_t id;
    bool dnssec_ok;
    bool checking_disabled;
    bool recursion;
    bool edns;
    bool tcp;
    uint16_t udp_size;
    enum cookie_words cookie;
    enum case_words name_case;
    size_t cookie_len; // of the server's part
    uint8_t cookie_server[32];
    size_t options_len;
    uint8_t options[512]; // of a client's OPT
    char *trouble;        // of one that was read: what no query to an upstream may be
};

// Reads "NAME TYPE" and the words behind it up to the first that it does not know. `by_client`
// says whether EDNS has to be asked for, or is there unless the words say otherwise.
[[nodiscard]] struct asking asking_parse(const struct script *script, struct phrase *phrase,
                                         bool by_client);

// Writes a client's query. Returns its length.
[[nodiscard]] size_t asking_write(const struct asking *asking, uint8_t *out, size_t size);

// Reads what was sent to an upstream.
[[nodiscard]] struct asking asking_read(const uint8_t *bytes, size_t len, bool tcp);

// The words for a query to an upstream; of cookie and name_case only what `wanted` speaks of.
void asking_print(FILE *out, const struct asking *asking, const struct asking *wanted);

// Adds an EDNS option.
void option_write(struct writer *out, uint16_t code, const uint8_t *bytes, size_t len);
