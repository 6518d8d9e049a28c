// SPDX-License-Identifier: MIT
#pragma once
#include "tests/xdp/world.h"

// COOKIE options as clients send them: those that the program is to answer, and all that it is to
// leave to the worker.

#define COOKIES_OPTIONS_MAX 80

// Writes the hash of a cookie whose first 16 octets stand there (RFC 9018 4.4), in code of its own.
void cookie_seal(uint8_t cookie[static COOKIE_WHOLE_LEN], const uint8_t key[static SIPHASH_KEY_LEN],
                 const struct address *from);

// Writes the options of an OPT record, with a cookie of any kind among them. Returns their length;
// *good tells whether the program is to take them for a valid cookie.
[[nodiscard]] size_t cookies_draw(struct world *world, const struct address *from,
                                  uint8_t options[static COOKIES_OPTIONS_MAX], bool *good);

// Puts other secrets in force: given ones, ones that change every so many seconds, or none.
void cookies_source_draw(struct world *world);
