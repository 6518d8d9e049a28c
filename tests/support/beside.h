// SPDX-License-Identifier: MIT
#pragma once
#include "core/serve/serve.h"

// What a test may put beside a worker: another way to answer a client's query over UDP from the
// same cache, which must say what the worker says (tests/xdp/compare.h). Scenarios and fuzz targets
// have a place for one, and know nothing of it.

struct beside {
    // Memory for a cache of so many shards, zeroed, that stays the beside's; NULL: there is none of
    // this size. Whatever was there before is over with it.
    void *(*region)(struct beside *beside, uint32_t shard_count, size_t size);

    // This query is given to the worker next, at this time.
    void (*before)(struct beside *beside, const struct serve *serve, uint64_t now_us,
                   const struct serve_item *item);

    // It was, and this has become of it. Returns NULL, or what is wrong.
    const char *(*after)(struct beside *beside, const struct serve_item *item);
};
