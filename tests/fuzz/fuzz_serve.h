// SPDX-License-Identifier: MIT
#pragma once
#include "tests/support/beside.h"

#include <stddef.h>

// Has the target's worker compared with this one from the next input on; NULL: with none. Where
// they differ it ends the program, as with all that must hold.
void fuzz_serve_beside(struct beside *beside);

// Octets of the cache for so many shards, 1 or 2, that it asks the beside for.
[[nodiscard]] size_t fuzz_serve_cache_size(uint32_t shard_count);
