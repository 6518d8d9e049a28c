// SPDX-License-Identifier: MIT
#pragma once
#include <stdint.h>

// The region as it lies in memory and in no other program's hands but those that read this file;
// docs/cache-layout.md tells the same in words. All numbers are little-endian, all offsets in
// octets. It needs nothing but fixed-width integers, so that a BPF program can include it.
//
//   region: | shard 0 | shard 1 | ... | what is left |
//   shard:  | header, 4096 | buckets, 64 each | ghosts, 4 each | small log | main log |
//
// A shard knows nothing of where it lies: it begins with a header that describes it, and offsets
// count from there. All have the same length. So each can be an element of a BPF array map, whose
// elements lie side by side, and that is why it has no more octets than the kernel lets a program
// go astray in one element.

#define LAYOUT_MAGIC           0x6c657a756f2d7264ull // "dr-ouzel" as it lies in memory
#define LAYOUT_VERSION         4u // raised too when what users keep as a value changes its form
#define LAYOUT_HEADER_LEN      4096u
#define LAYOUT_STRIDE_STEP     4096u // shard_stride is a multiple of this
#define LAYOUT_SHARD_SIZE_MAX  (1u << 29)
#define LAYOUT_SLOTS           7u
#define LAYOUT_WORD            8u
#define LAYOUT_HEADER_CONSTANT 128u // octets of a shard's header that never change

// The beginning of every shard's header, the same in all but for shard_index.
struct layout_header {
    uint64_t magic;
    uint32_t version;
    uint32_t shard_count;
    uint64_t size;         // of the region
    uint64_t seed;         // of the caller's hash
    uint64_t shard_stride; // from a shard to the next, and octets of each
    uint32_t shard_index;  // which one this is
    uint32_t bucket_count; // of each shard
    uint32_t ghost_count;
    uint32_t unused;
    uint64_t ghost_start; // offsets within a shard
    uint64_t small_start;
    uint64_t small_size;
    uint64_t main_start;
    uint64_t main_size;
};

// What a shard begins with. The shard's writer alone changes what is behind the header, which lies
// in lines of its own, as readers look at the header. Heads and tails count octets since the
// beginning; an octet's place is its count modulo the log's size.
struct layout_shard {
    struct layout_header header;
    uint8_t gap[LAYOUT_HEADER_CONSTANT - sizeof(struct layout_header)];
    uint64_t small_head;
    uint64_t small_tail;
    uint64_t main_head;
    uint64_t main_tail;
    uint64_t entries;
    uint64_t ghost_clock; // entries that have become ghosts
    uint64_t sweeps;      // that have begun and not ended
    uint64_t writing;     // 1 while the writer is in the middle of a verb
};

// One cache line. The low 16 bits of the sequence word count the entries that belong here but found
// no slot and went to their second bucket; the others change with every change of a slot.
struct layout_bucket {
    uint64_t sequence;
    uint64_t slots[LAYOUT_SLOTS];
};

#define LAYOUT_OVERFLOW_MASK 0xffffull
#define LAYOUT_VERSION_STEP  0x10000ull

// A slot is 0 or 16 bits of tag above 48 bits of offset of an entry from the shard's start.
#define LAYOUT_OFFSET_MASK 0xffffffffffffull

// An entry: two words, the value, right behind it the key, padding to a whole word.
//   word 0: value length (17 bits), key length (9), hits (2), asked (2), zero (2),
//           hash bits 0..31 (32)
//   word 1: birth (32), expiry (32), in seconds
// Both hits and asked count hits, up to 3. The hits are what the entry has earned: each round of
// the main log costs one, and a value that replaces one inherits them. Asked begins at 0 with each
// value stored and is only ever added to.
// A key length of 0 makes it a filler; its value length is then the octets to its end.
#define LAYOUT_ENTRY_HEADER_LEN 16u
#define LAYOUT_VALUE_LEN_MASK   0x1ffffull
#define LAYOUT_KEY_LEN_SHIFT    17
#define LAYOUT_KEY_LEN_MASK     0x1ffull
#define LAYOUT_HITS_SHIFT       26
#define LAYOUT_HITS_MASK        0x3ull
#define LAYOUT_ASKED_SHIFT      28
#define LAYOUT_ASKED_MASK       0x3ull
#define LAYOUT_MARKS_FULL       0x3c000000ull // both counts are full
#define LAYOUT_ZERO_SHIFT       30
#define LAYOUT_ZERO_MASK        0x3ull
#define LAYOUT_HASH_SHIFT       32

// Where a hash leads. The shard and the tag come from its upper half, both buckets from the lower:
// multiplying and keeping the upper half maps 32 bits evenly onto any count (Lemire 2019).
static inline uint32_t layout_shard_of(uint64_t hash, uint32_t shard_count)
{
    return (uint32_t)(((hash >> 32) * shard_count) >> 32);
}

static inline uint64_t layout_tag(uint64_t hash)
{
    return (hash >> 32 & 0xffff) << 48;
}

static inline uint32_t layout_first_bucket(uint32_t hash_low, uint32_t bucket_count)
{
    return (uint32_t)(((uint64_t)hash_low * bucket_count) >> 32);
}

static inline uint32_t layout_second_bucket(uint32_t hash_low, uint32_t bucket_count)
{
    return (uint32_t)(((uint64_t)(hash_low * 0x9e3779b1u) * bucket_count) >> 32);
}

static inline uint64_t layout_value_len(uint64_t word)
{
    return word & LAYOUT_VALUE_LEN_MASK;
}

static inline uint64_t layout_key_len(uint64_t word)
{
    return word >> LAYOUT_KEY_LEN_SHIFT & LAYOUT_KEY_LEN_MASK;
}

static inline uint64_t layout_hits(uint64_t word)
{
    return word >> LAYOUT_HITS_SHIFT & LAYOUT_HITS_MASK;
}

static inline uint64_t layout_asked(uint64_t word)
{
    return word >> LAYOUT_ASKED_SHIFT & LAYOUT_ASKED_MASK;
}

// Word 0 after one more hit: the same where both counts are full.
static inline uint64_t layout_marked(uint64_t word)
{
    if (layout_hits(word) < LAYOUT_HITS_MASK)
        word += 1ull << LAYOUT_HITS_SHIFT;
    if (layout_asked(word) < LAYOUT_ASKED_MASK)
        word += 1ull << LAYOUT_ASKED_SHIFT;
    return word;
}

// Octets of the entry or filler that begins with this word.
static inline uint64_t layout_entry_len(uint64_t word)
{
    uint64_t key_len = layout_key_len(word);
    if (key_len == 0)
        return layout_value_len(word);
    uint64_t octets = layout_value_len(word) + key_len + LAYOUT_WORD - 1;
    return LAYOUT_ENTRY_HEADER_LEN + (octets & ~(uint64_t)(LAYOUT_WORD - 1));
}
