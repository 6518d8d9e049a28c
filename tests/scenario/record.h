// SPDX-License-Identifier: MIT
#pragma once
#include "core/wire/rebuild.h"
#include "tests/scenario/script.h"

#include <stdio.h>

// Names, types and records as text, both ways. The same text is written for a record that a
// scenario names and for one of a message, so that comparing them is comparing texts.

#define SECTIONS 3 // answer, authority, additional

[[nodiscard]] struct name name_of(const struct script *script, const char *word);
[[nodiscard]] bool is_type(const char *word);
[[nodiscard]] uint16_t type_of(const struct script *script, const char *word);
void type_print(FILE *out, uint16_t type);

// Without the final dot where there is more than the root.
void name_print(FILE *out, const struct name *name);

// Reads "[authority|additional] OWNER TTL TYPE DATA" and writes the record uncompressed, `@` being
// `origin`; "octets 00 ..." are written as they are. Returns the section.
unsigned record_write(const struct script *script, struct phrase *phrase, const struct name *origin,
                      struct writer *out);

// The same for one of an address. `family` of ADDRESS_IPV4 makes an A record.
struct address;
void record_write_address(struct writer *out, const struct name *owner, uint32_t ttl,
                          const struct address *address);

// Writes the text of a record that record_read has read.
void record_print(FILE *out, const struct reader *message, const struct record *record);
