// SPDX-License-Identifier: MIT
#pragma once
#include "core/wire/suffix.h"

// The names of one message, each known by its hash (suffix.h). What a pointer leads to is hashed
// once, however many names lead there: all that is read of a message costs no more than its octets.

// Octets that a pointer can lead to (RFC 1035 4.1.4), and where the labels behind can stand.
#define SEEN_REACH (0x4000 + NAME_MAX_LEN)

struct seen_names {
    struct suffix_seed seed;
    unsigned labels;             // hashed so far: no more than the message has octets
    uint8_t lens[SEEN_REACH];    // octets of the name that begins there; 0: not known
    uint64_t hashes[SEEN_REACH]; // its hash, where that is known
    uint16_t leads[SEEN_REACH];  // and where its first pointer leads; 0: it has none
};

// A name as it stands in a message: labels one by one, and behind them what is known already, which
// is the root at least.
struct seen_name {
    uint64_t hash;      // of all of it
    uint64_t tail_hash; // of what is behind the labels
    uint8_t len;        // 1 .. 255 octets
    uint8_t tail_len;
    uint16_t tail_at;                   // where that begins; 0: it is the root
    uint8_t count;                      // of labels
    uint16_t places[SUFFIX_LABELS_MAX]; // where each begins in the message
    uint64_t hashes[SUFFIX_LABELS_MAX]; // of what begins there
};

// Begins with a message of `len` octets. `seed` is secret.
void seen_begin(struct seen_names *seen, struct suffix_seed seed, size_t len);

// Reads the name at the reader's place, by the same rules and with the same end as name_read, but
// pointers of what is known already are not followed nor counted again.
[[nodiscard]] bool seen_read(struct seen_names *seen, struct reader *r, struct seen_name *name);

// Goes one label on into what is behind the labels; that is known, so nothing is hashed. False: it
// is the root, or its pointers are too many (and the reader failed).
[[nodiscard]] bool seen_go_on(const struct seen_names *seen, struct reader *r,
                              struct seen_name *name);
