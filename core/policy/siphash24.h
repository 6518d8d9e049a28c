// SPDX-License-Identifier: MIT
#pragma once
#include <stddef.h>
#include <stdint.h>

// SipHash-2-4 (Aumasson and Bernstein 2012): the full number of rounds of core/wire/siphash.h, as
// RFC 9018 wants it for cookies, which others have to compute alike.

#define SIPHASH_KEY_LEN 16

[[nodiscard]] uint64_t siphash24(const uint8_t key[static SIPHASH_KEY_LEN], const uint8_t *data,
                                 size_t len);
