// SPDX-License-Identifier: MIT
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/wire/checksum.h"

uint64_t checksum_of(const void *octets, size_t len, uint64_t seed)
{
    return XXH3_64bits_withSeed(octets, len, seed);
}
