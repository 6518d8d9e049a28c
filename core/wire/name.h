// SPDX-License-Identifier: MIT
#pragma once
#include "core/wire/bytes.h"

// Domain names: uncompressed wire form in memory (length octet and label, ..., zero octet),
// at most 255 octets with labels of at most 63 (RFC 1035 2.3.4). The spelling stays as it
// came; comparisons ignore the case of ASCII letters (RFC 4343), and of nothing else.

#define NAME_MAX_LEN   255
#define LABEL_MAX_LEN  63
#define NAME_TEXT_SIZE 1024 // every octet as \DDD, the dots and the final NUL

struct name {
    uint8_t len; // 1 (the root) .. 255
    uint8_t bytes[NAME_MAX_LEN];
};

// Reads the name at the reader's offset, following compression pointers; the reader then is after
// the name. Each pointer must lead further back than the ones before it (RFC 1035 4.1.4: to a prior
// occurrence), so loops end, and none may lead into the header. All names of a message together may
// follow as many pointers as it has octets, so chains of pointers cost no more than the message
// itself. False (and the reader fails) for a label type other than 00 and 11, a pointer forward, to
// itself or into the header, too many of them, a name over 255 octets, or a cut message.
[[nodiscard]] bool name_read(struct reader *r, struct name *name);

// Skips the name at the reader's offset without following its pointer, which must lead back, but
// not into the header. False (and the reader fails): that or a label is malformed, or the message
// is cut.
[[nodiscard]] bool name_skip(struct reader *r);

// The length in octets of a name that must be uncompressed, as in a question. 0: it is none.
[[nodiscard]] size_t name_length(const uint8_t *bytes, size_t len);

// Writes the lower-case form of `len` octets of an uncompressed name. Length octets are below 64
// and thus never letters, so the labels need not be found.
void name_lower(uint8_t *to, const uint8_t *from, size_t len);

[[nodiscard]] bool name_equal(const struct name *a, const struct name *b);

// A hash that ignores the bit of case in all octets, letters or not; the names themselves have to
// be compared too. It has no secret: for tables whose names clients or upstreams choose, suffix.h
// has one that does.
[[nodiscard]] uint32_t name_hash(const uint8_t *bytes, size_t len);

// True if `name` is `zone` or ends in it at a label border.
[[nodiscard]] bool name_within(const struct name *name, const struct name *zone);

// Number of labels without the root: 0 for the root, 2 for example.com.
[[nodiscard]] size_t name_labels(const struct name *name);

// Reads the text form: labels with dots, a final dot or none, \DDD and \X escapes (RFC 1035 5.1),
// "." for the root. `len` octets, no NUL needed. False if it is no name.
[[nodiscard]] bool name_parse(struct name *name, const char *text, size_t len);

// Writes the text form with its final dot, special octets escaped; returns its length.
size_t name_format(const struct name *name, char text[static NAME_TEXT_SIZE]);

// The case of a name's letters: bit i is set where octet i is an upper-case letter. Applied to the
// lower-case name it restores the client's spelling (RFC 1034 3.1); random bits make a 0x20 case.
struct name_case {
    uint8_t bits[32];
};

void name_case_read(struct name_case *spelling, const uint8_t *bytes, size_t len);
void name_case_apply(const struct name_case *spelling, uint8_t *lower, size_t len);
