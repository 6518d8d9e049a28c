// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The most frequent keys of late, in a table of fixed size: the Space-Saving algorithm (Metwally,
// Agrawal, El Abbadi, ICDT 2005). A new key replaces the least frequent one and inherits its count,
// which is recorded as its error. So a count is never too low and at most `error` too high, and a
// key with more than one TOP_SIZE-th of the total is always there.
//
// Counts are halved every minute, so old keys are forgotten.

#define TOP_SIZE    128
#define TOP_KEY_MAX 264 // octets of a key: that of a question, or an address

struct top_entry {
    uint64_t error;
    uint16_t len;
    uint8_t key[TOP_KEY_MAX];
};

struct top {
    uint64_t hashes[TOP_SIZE]; // apart from the entries, as each count scans them; the counts too
    uint64_t counts[TOP_SIZE];
    uint64_t total;     // of all weights, halved as well
    uint64_t halved_us; // time of the last halving
    uint32_t used;
    struct top_entry entries[TOP_SIZE];
};

// Adds `weight` to a key's count. `hash` is the key's, with a secret seed.
void top_count(struct top *top, uint64_t now_us, uint64_t hash, const void *key, size_t len,
               uint64_t weight);

// Halves the counts as time has passed; to be called before they are read.
void top_age(struct top *top, uint64_t now_us);
