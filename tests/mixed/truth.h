// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What is true in the mixed run: which names clients have asked for, and what records each has.
// Both follow from the name alone. A name is LABEL.WORD.mixed.example; its label is a number and a
// seal of it in 16 hexadecimal digits, so that the name alone shows whether a client can have
// asked for it. All octets of its records repeat one word of 32 bits, its `data`.
//
// Shared by the thread of the clients, which issues numbers, and that of the upstream.

#define TRUTH_LABEL   16
#define TRUTH_ZONE    "mixed.example"
#define TRUTH_POPULAR 150 // numbers below it are asked again and again, the others once

enum answer_kind {
    ANSWER_ADDRESS,   // one A record
    ANSWER_ADDRESSES, // three
    ANSWER_SIX,       // one AAAA
    ANSWER_TEXT,      // TXT that fits into a datagram
    ANSWER_LARGE,     // TXT that does not
    ANSWER_HUGE,      // TXT that does not fit into a socket's buffer many times
    ANSWER_ALIAS,     // a CNAME with its target's A record
    ANSWER_NXDOMAIN,
    ANSWER_NODATA,
    ANSWER_LOCAL, // must never be asked of an upstream
};

struct family {
    const char *word; // of its names; or the whole name, where `literal`
    enum answer_kind kind;
    uint16_t type;
    uint32_t ttl; // the longest of a right reply, in seconds
    bool literal;
};

extern const struct family families[];
extern const size_t family_count;

struct truth {
    uint64_t secret;
    _Atomic uint32_t issued[32]; // by family: so many numbers
};

void truth_init(struct truth *truth, uint64_t secret);

// A number of this family that was never asked for.
uint32_t truth_issue(struct truth *truth, size_t family);

void truth_label(const struct truth *truth, size_t family, uint32_t number,
                 char label[static TRUTH_LABEL]);
uint32_t truth_data(const struct truth *truth, size_t family, uint32_t number);

// The name's octets in wire form, all in lower case. Returns their count, at most 255.
size_t truth_name(const struct truth *truth, size_t family, uint32_t number,
                  uint8_t name[static 256]);

// Reads a name in wire form, in any case. False if no client has asked for such a one.
bool truth_find(const struct truth *truth, const uint8_t *name, size_t len, size_t *family,
                uint32_t *number);
