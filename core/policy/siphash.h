// SPDX-License-Identifier: MIT
#pragma once
#include <stddef.h>
#include <stdint.h>

// SipHash-2-4 (Aumasson and Bernstein, 2012): a hash under a secret of 128 bits that nobody without
// the secret can foresee. What RFC 9018 makes cookies with; for tables there is a faster one
// (core/wire/key.h).

#define SIPHASH_KEY_LEN 16

[[nodiscard]] uint64_t siphash24(const uint8_t key[static SIPHASH_KEY_LEN], const uint8_t *data,
                                 size_t len);
