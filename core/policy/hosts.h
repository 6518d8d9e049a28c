// SPDX-License-Identifier: MIT
#pragma once
#include "core/address.h"
#include "core/wire/name.h"

// A line of a hosts file: an address, the host's name, and aliases. # begins a comment.

#define HOSTS_LINE_MAX 4096 // octets; a longer one is bad

enum hosts_line {
    HOSTS_LINE_TAKEN,
    HOSTS_LINE_EMPTY,
    HOSTS_LINE_BAD, // `why` says what is wrong
};

// A line that is being read: hosts_line_read reads the address, then hosts_name_next each name.
struct hosts_reading {
    const char *text;
    size_t len;
    size_t at;
    struct prefix address; // of full length
    const char *why;       // a few words
};

enum hosts_line hosts_line_read(struct hosts_reading *reading, const char *line, size_t len);

// The next name, in lower case. HOSTS_LINE_EMPTY: there are no more.
enum hosts_line hosts_name_next(struct hosts_reading *reading, struct name *name);

// The owner name of an address's PTR record (RFC 1035 3.5, RFC 3596 2.5).
void reverse_name(struct name *name, const struct prefix *address);
