// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What is most frequent of late, in a table of fixed size: the Space-Saving algorithm (Metwally,
// Agrawal, El Abbadi, ICDT 2005). What is not in the table takes the place of the least frequent
// and its count with it, which is noted as its error: so a count is never too low and at most
// `error` too high, and whatever has more than one TOP_SIZE-th of all is there.
//
// Counts are halved every minute, so that what was frequent is forgotten.

#define TOP_SIZE    128
#define TOP_KEY_MAX 264 // octets of a key: that of a question, or an address

struct top_entry {
    uint64_t error;
    uint16_t len;
    uint8_t key[TOP_KEY_MAX];
};

struct top {
    uint64_t hashes[TOP_SIZE]; // beside the entries, as all are looked at; the counts too
    uint64_t counts[TOP_SIZE];
    uint64_t total;     // of all that was counted, halved as well
    uint64_t halved_us; // when last
    uint32_t used;
    struct top_entry entries[TOP_SIZE];
};

// Counts `weight` of a key; `hash` is the key's, and nobody outside can guess it.
void top_count(struct top *top, uint64_t now_us, uint64_t hash, const void *key, size_t len,
               uint64_t weight);

// Brings the counts up to the time, before they are looked at.
void top_age(struct top *top, uint64_t now_us);
