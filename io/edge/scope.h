// SPDX-License-Identifier: MIT
#pragma once
#include "core/address.h"

// Names of interfaces in addresses (RFC 4007 11.2), "fe80::1%eth0" and "[fe80::1%eth0]:53": core
// knows numbers alone, and which number an interface has only the system knows.

enum scope_verdict { SCOPE_NONE, SCOPE_NUMBERED, SCOPE_UNKNOWN };

// Writes the address's text with the interface's number in place of its name to `numbered`, which
// ends in NUL. SCOPE_NONE: the text names no interface, and nothing is written. SCOPE_UNKNOWN:
// there is none of that name.
[[nodiscard]] enum scope_verdict scope_number(const char *text, size_t len,
                                              char numbered[static ADDRESS_TEXT_MAX]);
