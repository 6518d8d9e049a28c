// SPDX-License-Identifier: MIT
#pragma once
#include <stdint.h>

// A histogram of times with four buckets to each doubling, from 1 us to 16 s, so that quantiles are
// exact to within a fifth. One thread adds, and any may read. Each count is whole, but they are not
// all of the same moment.

#define HISTOGRAM_BUCKETS 100 // the last one is for all longer times

struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS];
    uint64_t sum_us;
};

// The bucket of a time; and the largest time of a bucket, UINT64_MAX for the last one.
[[nodiscard]] unsigned histogram_bucket(uint64_t us);
[[nodiscard]] uint64_t histogram_edge_us(unsigned bucket);

// Adds `count` times of `us`.
void histogram_add(struct histogram *histogram, uint64_t us, uint64_t count);

// Adds a histogram that another thread may be adding to.
void histogram_sum(struct histogram *sum, const struct histogram *histogram);

[[nodiscard]] uint64_t histogram_count(const struct histogram *histogram);

// The quantile of `share` (0 .. 1), as the upper edge of its bucket; 0: the histogram is empty.
[[nodiscard]] uint64_t histogram_share_us(const struct histogram *histogram, double share);
