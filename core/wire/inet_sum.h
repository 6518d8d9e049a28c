// SPDX-License-Identifier: MIT
#pragma once
#include <stddef.h>
#include <stdint.h>

// The one's complement sum of octets as 16-bit numbers with the upper half first, as UDP, TCP and
// IP have it in their checksums, not inverted (RFC 1071). An odd octet at the end is an upper half.
// A sum over two runs is the sum of their sums, where the second begins at an even place.
[[nodiscard]] uint16_t inet_sum(const uint8_t *octets, size_t len);
