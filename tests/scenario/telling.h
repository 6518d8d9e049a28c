// SPDX-License-Identifier: MIT
#pragma once
#include "core/address.h"
#include "tests/scenario/asking.h"

// A reply in words: what an upstream says, or what a client is to get.

#define TELLING_EDES_MAX      4
#define TELLING_ADDRESSES_MAX 16

enum told_case { TOLD_AS_ASKED, TOLD_LOWER, TOLD_UPPER, TOLD_OTHER };

struct telling {
    uint16_t rcode;
    bool authoritative;
    bool truncated;
    bool authentic;
    bool recursion; // RA
    unsigned edes[TELLING_EDES_MAX];
    unsigned ede_count;
    uint32_t ttl;
    struct address addresses[TELLING_ADDRESSES_MAX];
    size_t address_count;
    struct writer sections[SECTIONS]; // records, uncompressed
    uint16_t counts[SECTIONS];
    char *trouble; // of one that was read: what no answer to a client may be

    // Of an upstream's reply alone.
    bool response; // QR
    bool edns;     // where the query has it
    enum cookie_words cookie;
    bool cookie_wrong;
    size_t cookie_len;
    uint8_t cookie_server[32];
    size_t options_len;
    uint8_t options[512];
    bool id_wrong;
    bool question_none;
    bool question_other;
    struct name question_name;
    uint16_t question_type;
    enum told_case name_case;
    size_t cut; // 0: not cut
    bool counts_lie;
    uint16_t counts_said[SECTIONS];
    unsigned times;
};

// Reads all words and items. `name` is what is asked for: the owner of what has none. Words that
// only make sense of an upstream are taken where `by_upstream` is set.
[[nodiscard]] struct telling telling_parse(const struct script *script, struct phrase *phrase,
                                           const struct phrase *items, size_t item_count,
                                           const struct name *name, bool by_upstream);

// Writes an upstream's reply to the query. Returns its length.
[[nodiscard]] size_t telling_write(const struct telling *telling, const uint8_t *query,
                                   size_t query_len, uint8_t *out, size_t size);

// Reads the answer that a client got to its query. `payload_max` is what the settings allow over
// UDP.
[[nodiscard]] struct telling telling_read(const uint8_t *bytes, size_t len, const uint8_t *query,
                                          size_t query_len, bool tcp, unsigned payload_max);

[[nodiscard]] char *telling_text(const struct telling *telling);
