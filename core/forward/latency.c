// SPDX-License-Identifier: MIT
#include "core/forward/latency.h"

// Counts are halved when there are SAMPLES_MAX, so old ones fade. The summary is computed again
// with each sample while there are few and then with every SUMMARY_EVERY-th; it takes some hundred
// instructions.

enum {
    LOWEST_US = 64,
    SAMPLES_MAX = 512,
    SUMMARY_EVERY = 16,
    FAST_TAIL_PERCENT = 95, // of the fast mode
    SLOW_TAIL_PERCENT = 98, // of all
    MODE_SHARE_MIN = 20,    // a mode is at least one part in so many
    MODE_GAP_MIN = 4,       // and the two are so many buckets apart, a factor of two
    SEPARATION_MIN = 80,    // percent of the variance that lies between the modes
};

static unsigned bucket_of(uint64_t us)
{
    if (us < LOWEST_US)
        return 0;
    unsigned octave = 63u - (unsigned)__builtin_clzll(us / LOWEST_US);
    unsigned bucket = 4 * octave + (unsigned)(us >> (octave + 4) & 3);
    return bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1;
}

uint32_t latency_edge_us(unsigned bucket)
{
    return (uint32_t)(5 + bucket % 4) << (bucket / 4 + 4);
}

// Where the two modes part: buckets below it are fast ones. LATENCY_BUCKETS: there is one mode.
static unsigned border_find(const struct latency *l)
{
    uint64_t sum = 0, squares = 0;
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
        sum += (uint64_t)l->counts[i] * i;
        squares += (uint64_t)l->counts[i] * i * i;
    }
    uint64_t total = l->total;
    // Variances here are multiplied by total * total, so that all stays in whole numbers.
    uint64_t variance = squares * total - sum * sum;
    uint64_t below = 0, below_sum = 0, best = 0;
    unsigned border = LATENCY_BUCKETS;
    for (unsigned i = 0; i + 1 < LATENCY_BUCKETS; i++) {
        below += l->counts[i];
        below_sum += (uint64_t)l->counts[i] * i;
        uint64_t above = total - below;
        if (l->counts[i] == 0 || below * MODE_SHARE_MIN < total || above * MODE_SHARE_MIN < total)
            continue;
        uint64_t above_mean_x16 = 16 * (sum - below_sum) / above;
        uint64_t gap_x16 = above_mean_x16 - 16 * below_sum / below;
        uint64_t between = below * above * gap_x16 * gap_x16 / 256;
        if (between <= best || gap_x16 < 16 * MODE_GAP_MIN)
            continue;
        best = between;
        border = i + 1;
    }
    return best * 100 >= variance * SEPARATION_MIN ? border : LATENCY_BUCKETS;
}

// The bucket up to which `percent` of the first `end` buckets' samples lie.
static unsigned quantile(const struct latency *l, unsigned end, unsigned percent)
{
    uint32_t total = 0, seen = 0;
    unsigned last = 0;
    for (unsigned i = 0; i < end; i++)
        total += l->counts[i];
    for (unsigned i = 0; i < end; i++) {
        seen += l->counts[i];
        if (l->counts[i] > 0)
            last = i;
        if (seen * 100 >= total * percent)
            break;
    }
    return last;
}

static void summarise(struct latency *l)
{
    unsigned border = border_find(l);
    l->fast_us = latency_edge_us(quantile(l, border, 50));
    l->fast_tail_us = latency_edge_us(quantile(l, border, FAST_TAIL_PERCENT));
    l->slow_tail_us = latency_edge_us(quantile(l, LATENCY_BUCKETS, SLOW_TAIL_PERCENT));
    l->fresh = 0;
}

void latency_add(struct latency *l, uint64_t sample_us)
{
    if (l->total == SAMPLES_MAX) {
        l->total = 0;
        for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
            l->counts[i] /= 2;
            l->total = (uint16_t)(l->total + l->counts[i]);
        }
    }
    l->counts[bucket_of(sample_us)]++;
    l->total++;
    if (++l->fresh >= SUMMARY_EVERY || l->total <= SUMMARY_EVERY)
        summarise(l);
}
