// SPDX-License-Identifier: MIT
#pragma once
#include "core/address.h"

// IPv4 addresses inside IPv6 ones, as translators have them (RFC 6052 2.2): behind a prefix of 32,
// 40, 48, 56, 64 or 96 bits, with bits 64 to 71 left zero.

// Puts an IPv4 address into the prefix.
void nat64_embed(const struct prefix *prefix, const uint8_t ipv4[static 4],
                 uint8_t ipv6[static 16]);

// The other way. False: the address does not lie in the prefix, or that holds no IPv4 addresses.
[[nodiscard]] bool nat64_extract(const struct prefix *prefix, const uint8_t ipv6[static 16],
                                 uint8_t ipv4[static 4]);

// Does an IPv6 address lie in this prefix?
[[nodiscard]] bool nat64_lies_in(const struct prefix *prefix, const uint8_t ipv6[static 16]);
