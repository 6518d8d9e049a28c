// SPDX-License-Identifier: MIT
#include "core/settings/histogram.h"

// Times of 0 to 7 us have a bucket each; above that a doubling has four, told by the two bits
// behind the first.

enum { EXACT = 8, EXACT_BITS = 3, PER_DOUBLING = 4 };

unsigned histogram_bucket(uint64_t us)
{
    if (us < EXACT)
        return (unsigned)us;
    unsigned top = 63 - (unsigned)__builtin_clzll(us);
    unsigned bucket = EXACT + (top - EXACT_BITS) * PER_DOUBLING +
                      (unsigned)(us >> (top - 2) & (PER_DOUBLING - 1));
    return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

uint64_t histogram_edge_us(unsigned bucket)
{
    if (bucket >= HISTOGRAM_BUCKETS - 1)
        return UINT64_MAX;
    if (bucket < EXACT)
        return bucket;
    unsigned top = EXACT_BITS + (bucket - EXACT) / PER_DOUBLING;
    uint64_t quarter = (bucket - EXACT) % PER_DOUBLING;
    return ((PER_DOUBLING + quarter + 1) << (top - 2)) - 1;
}

static void word_add(uint64_t *word, uint64_t count)
{
    uint64_t before = __atomic_load_n(word, __ATOMIC_RELAXED);
    __atomic_store_n(word, before + count, __ATOMIC_RELAXED);
}

void histogram_add(struct histogram *h, uint64_t us, uint64_t count)
{
    word_add(&h->counts[histogram_bucket(us)], count);
    word_add(&h->sum_us, us * count);
}

void histogram_sum(struct histogram *sum, const struct histogram *h)
{
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        word_add(&sum->counts[i], __atomic_load_n(&h->counts[i], __ATOMIC_RELAXED));
    word_add(&sum->sum_us, __atomic_load_n(&h->sum_us, __ATOMIC_RELAXED));
}

uint64_t histogram_count(const struct histogram *h)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        count += h->counts[i];
    return count;
}

uint64_t histogram_share_us(const struct histogram *h, double share)
{
    uint64_t count = histogram_count(h), seen = 0;
    double wanted = share * (double)count;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS && count > 0; i++) {
        seen += h->counts[i];
        if (h->counts[i] > 0 && (double)seen >= wanted)
            return histogram_edge_us(i);
    }
    return 0;
}
