// SPDX-License-Identifier: MIT
#pragma once
#include <stddef.h>
#include <stdint.h>

// XXH3 with 64 bits: finds accidental damage in long runs of octets, at many octets a nanosecond.
// It does not protect from an attacker, who can make octets with a given checksum.
[[nodiscard]] uint64_t checksum_of(const void *octets, size_t len, uint64_t seed);
