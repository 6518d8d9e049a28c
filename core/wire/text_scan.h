// SPDX-License-Identifier: MIT
#pragma once
#include "core/wire/text.h"

// What the readers of records' text share: the words of a line, and the writer of a record's data.
// For core/wire/text*.c alone. `why` gets the first fault.

struct word {
    const char *text; // with its quotes and escapes
    size_t len;       // 0: there is none
};

struct scan {
    const char *text;
    size_t len;
    size_t at;
    char *why;
    bool failed;
    struct writer data;
};

// Writes `why`, unless an earlier fault is there; returns false.
__attribute__((format(printf, 2, 3))) bool scan_fail(struct scan *s, const char *format, ...);

// A word for a message: shortened, and without control characters.
#define SHOWN_SIZE 48
struct shown {
    char text[SHOWN_SIZE];
};
struct shown shown_of(struct word word);

// The next word; its length is 0 at the end of the line.
struct word scan_word(struct scan *s);

[[nodiscard]] bool word_is(struct word word, const char *text); // in any case

// Reads a decimal number that is the whole word.
[[nodiscard]] bool word_number(struct word word, uint64_t max, uint64_t *number);

// A number with or without units, as in 1h30m.
[[nodiscard]] bool word_duration(struct word word, uint32_t *seconds);

// Writes the word's octets without quotes and escapes. -1: it is malformed, or longer than `size`.
[[nodiscard]] int word_octets(struct word word, uint8_t *out, size_t size);

// Each reads a word, or the rest of the line, and appends its wire form to s->data. `what` names
// the field in messages.
bool scan_number(struct scan *s, unsigned octets, const char *what);
bool scan_name(struct scan *s, const char *what);
bool scan_string(struct scan *s, const char *what);
bool scan_hex(struct scan *s, size_t least, const char *what);

// Decodes base64 (RFC 4648 4); -1: it is none, or longer than `size`.
[[nodiscard]] int base64_read(struct word word, uint8_t *out, size_t size);

// The parameters of SVCB and HTTPS (RFC 9460 2.1): the rest of the line. `alias`: there may be
// none.
bool scan_parameters(struct scan *s, bool alias);

// IPv4 or IPv6 in its text form, to 4 or 16 octets.
[[nodiscard]] bool ipv4_read(struct word word, uint8_t *out);
[[nodiscard]] bool ipv6_read(struct word word, uint8_t *out);
