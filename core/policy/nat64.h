// SPDX-License-Identifier: MIT
#pragma once
#include "core/address.h"

// IPv4 addresses embedded in IPv6 ones (RFC 6052 2.2): after a prefix of 32, 40, 48, 56, 64 or 96
// bits, with bits 64 to 71 zero.

// Embeds an IPv4 address.
void nat64_embed(const struct prefix *prefix, const uint8_t ipv4[static 4],
                 uint8_t ipv6[static 16]);

// Extracts it. False: the address is not in the prefix, or the prefix has none of these lengths.
[[nodiscard]] bool nat64_extract(const struct prefix *prefix, const uint8_t ipv6[static 16],
                                 uint8_t ipv4[static 4]);

// True if an IPv6 address is in this prefix.
[[nodiscard]] bool nat64_lies_in(const struct prefix *prefix, const uint8_t ipv6[static 16]);
