// SPDX-License-Identifier: MIT
#pragma once
#include <stdint.h>

// How long things take: a histogram with four buckets to each doubling, so that a share of the
// times is told to within a fifth, from 1 us to 16 s. One thread adds, any may read: each count is
// whole, the set is not one moment's.

#define HISTOGRAM_BUCKETS 100 // the last holds all that takes longer

struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS];
    uint64_t sum_us;
};

// The bucket of a time, and the largest time that a bucket holds; of the last: UINT64_MAX.
[[nodiscard]] unsigned histogram_bucket(uint64_t us);
[[nodiscard]] uint64_t histogram_edge_us(unsigned bucket);

// So many things took that long.
void histogram_add(struct histogram *histogram, uint64_t us, uint64_t count);

// Adds one that another thread may be adding to.
void histogram_sum(struct histogram *sum, const struct histogram *histogram);

[[nodiscard]] uint64_t histogram_count(const struct histogram *histogram);

// The time that `share` (0 .. 1) of all did not exceed, as the edge of its bucket; 0: there are
// none.
[[nodiscard]] uint64_t histogram_share_us(const struct histogram *histogram, double share);
