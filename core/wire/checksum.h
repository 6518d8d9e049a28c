// SPDX-License-Identifier: MIT
#pragma once
#include <stddef.h>
#include <stdint.h>

// XXH3 with 64 bits: finds damage in long runs of octets, at many of them per nanosecond. Nobody
// who wants to is kept from making octets with a given checksum.
[[nodiscard]] uint64_t checksum_of(const void *octets, size_t len, uint64_t seed);
