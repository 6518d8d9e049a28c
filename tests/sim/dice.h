// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>
#include <stdint.h>

// Small repeatable random numbers for tests (SplitMix64, Steele et al. 2014). Not for the product:
// one number reveals all that follow.

struct dice {
    uint64_t state;
};

static inline uint64_t dice_mix(uint64_t v)
{
    v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9u;
    v = (v ^ v >> 27) * 0x94d049bb133111ebu;
    return v ^ v >> 31;
}

static inline struct dice dice_for(uint64_t seed, uint64_t use)
{
    return (struct dice){dice_mix(seed + 0x9e3779b97f4a7c15u) ^ dice_mix(use * 2 + 1)};
}

static inline uint64_t dice_u64(struct dice *dice)
{
    return dice_mix(dice->state += 0x9e3779b97f4a7c15u);
}

// 0 .. bound - 1; the unevenness is far below what a test could notice.
static inline uint32_t dice_below(struct dice *dice, uint32_t bound)
{
    return (uint32_t)(((dice_u64(dice) >> 32) * bound) >> 32);
}

static inline uint32_t dice_between(struct dice *dice, uint32_t low, uint32_t high)
{
    return low + dice_below(dice, high - low + 1);
}

static inline bool dice_chance(struct dice *dice, uint32_t per_mille)
{
    return dice_below(dice, 1000) < per_mille;
}

// 0 .. high, mostly small: the lengths and delays of real networks look like that.
static inline uint32_t dice_skewed(struct dice *dice, uint32_t high)
{
    uint64_t a = dice_below(dice, 1024), b = dice_below(dice, 1024), c = dice_below(dice, 1025);
    return (uint32_t)(a * b * c / 1024 * high >> 20);
}
