// SPDX-License-Identifier: MIT
#pragma once
#include "core/wire/suffix.h"

// The names of one message by their hashes (suffix.h). The target of a pointer is hashed once,
// however many pointers lead there, so reading all names costs no more than the message's octets.

// Offsets that a pointer can lead to (RFC 1035 4.1.4), and those of the labels after them.
#define SEEN_REACH (0x4000 + NAME_MAX_LEN)

struct seen_names {
    struct suffix_seed seed;
    unsigned labels;             // hashed so far: no more than the message has octets
    uint8_t lens[SEEN_REACH];    // octets of the name that begins there; 0: not known
    uint64_t hashes[SEEN_REACH]; // its hash, where that is known
    uint16_t leads[SEEN_REACH];  // and where its first pointer leads; 0: it has none
};

// A name in a message: its labels that were new, and then a tail that is known already, which is
// the root at least.
struct seen_name {
    uint64_t hash;      // of the whole name
    uint64_t tail_hash; // of the tail
    uint8_t len;        // of the whole name, 1 .. 255 octets
    uint8_t tail_len;
    uint16_t tail_at;                   // offset of the tail; 0: the root
    uint8_t count;                      // of labels
    uint16_t places[SUFFIX_LABELS_MAX]; // where each begins in the message
    uint64_t hashes[SUFFIX_LABELS_MAX]; // of what begins there
};

// Begins with a message of `len` octets. `seed` is secret.
void seen_begin(struct seen_names *seen, struct suffix_seed seed, size_t len);

// Reads the name at the reader's offset, by the rules of name_read, which it also leaves where that
// does. Pointers to known names are neither followed nor counted again.
[[nodiscard]] bool seen_read(struct seen_names *seen, struct reader *r, struct seen_name *name);

// Moves one label from the tail to the labels; nothing is hashed. False: the tail is the root, or
// has too many pointers (and the reader failed).
[[nodiscard]] bool seen_go_on(const struct seen_names *seen, struct reader *r,
                              struct seen_name *name);
