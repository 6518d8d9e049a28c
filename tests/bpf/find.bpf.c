// SPDX-License-Identifier: MIT
#include "core/wire/key_hash.h"
#include "tests/bpf/region.h"

// Finds an entry by its key in a cache's region that lies in a BPF map, a shard in each element:
// all that an XDP program that serves hits has to do with the cache. It knows cache/layout.h, which
// says where things lie, and core/wire/key_hash.h, which says how a key is hashed, and no more;
// docs/cache-layout.md describes the protocol. Functions that are not static are checked by the
// verifier once, not at each call.
//
// It needs no header but those: what libbpf and the kernel want is little enough to stand here.

#define SECTION(name) __attribute__((section(name), used))
#define NOINLINE      __attribute__((noinline))

enum { MAP_TYPE_ARRAY = 2, MAP_MMAPABLE = 1024, XDP_PASS = 2, TRIES = 8 };

// As libbpf reads them: a number is the length of an array.
struct {
    int (*type)[MAP_TYPE_ARRAY];
    int (*map_flags)[MAP_MMAPABLE];
    int (*max_entries)[SHARDS];
    int (*key_size)[sizeof(uint32_t)];
    int (*value_size)[SHARD_SIZE];
} region_map SECTION(".maps");

struct {
    int (*type)[MAP_TYPE_ARRAY];
    int (*map_flags)[MAP_MMAPABLE];
    int (*max_entries)[1];
    int (*key_size)[sizeof(uint32_t)];
    int (*value_size)[sizeof(struct exchange)];
} exchange_map SECTION(".maps");

const char licence[] SECTION("license") = "MIT";

static void *(*const map_lookup)(void *map, const void *key) = (void *)1; // the helper's number

enum outcome { FOUND, NOT_HERE, CHANGED };

static inline uint8_t *shard_at(uint32_t index)
{
    return map_lookup(&region_map, &index);
}

static inline struct exchange *exchange_of(void)
{
    uint32_t first = 0;
    return map_lookup(&exchange_map, &first);
}

// An offset as the verifier believes it: the compiler must not know what it was made of.
#define OPAQUE(number) __asm__ volatile("" : "+r"(number))

static inline uint64_t word_at(const uint8_t *shard, uint64_t offset)
{
    OPAQUE(offset);
    return offset <= SHARD_SIZE - LAYOUT_WORD ? *(const volatile uint64_t *)(shard + offset) : 0;
}

// Changes a word if it is still what it was; an atomic change has to be at a multiple of 8.
static inline void word_change(uint8_t *shard, uint64_t offset, uint64_t was, uint64_t word)
{
    OPAQUE(offset);
    offset &= ~(uint64_t)(LAYOUT_WORD - 1);
    if (offset <= SHARD_SIZE - LAYOUT_WORD)
        __sync_val_compare_and_swap((uint64_t *)(shard + offset), was, word);
}

// Keeps the reads before it before those behind it. BPF as clang 14 knows it has no fence, but an
// atomic operation that returns something is one for the kernel's memory model, on any processor.
static inline void order(void)
{
    uint64_t nothing = 0;
    uint64_t old = __sync_fetch_and_add(&nothing, 1);
    OPAQUE(old);
}

// Reads a word of the key, which need not be at a multiple of 8; the compiler would take octets.
static inline uint64_t key_word(const struct exchange *exchange, uint32_t at)
{
    return *(const volatile uint64_t *)(exchange->key + EXCHANGE_HEAD_LEN + at);
}

static inline uint64_t key_head(const uint8_t *key)
{
    uint64_t head = 0;
    for (uint32_t i = 0; i < EXCHANGE_HEAD_LEN; i++)
        head = head << 8 | key[i];
    return head;
}

// Puts the key's hash into `hash`. Here a word is read that reaches beyond the name, and the octets
// that are not the name's are taken away.
NOINLINE int key_hash(uint64_t seed)
{
    struct exchange *exchange = exchange_of();
    if (!exchange || exchange->key_len < EXCHANGE_HEAD_LEN || exchange->key_len > EXCHANGE_KEY_MAX)
        return 0;
    uint32_t len = exchange->key_len - EXCHANGE_HEAD_LEN, at = 0;
    struct siphash hash = key_hash_begin(seed);
    for (; at + LAYOUT_WORD <= len && at < EXCHANGE_KEY_MAX - LAYOUT_WORD; at += LAYOUT_WORD)
        siphash_word(&hash, key_word(exchange, at));
    uint32_t last = at;
    OPAQUE(last);
    if (last > EXCHANGE_KEY_MAX - EXCHANGE_HEAD_LEN)
        return 0;
    uint64_t rest = key_word(exchange, last) & ((1ull << 8 * (len % LAYOUT_WORD)) - 1);
    exchange->hash = siphash_end(&hash, rest, len) ^ key_hash_head(key_head(exchange->key));
    return 1;
}

NOINLINE int key_equal(uint32_t index, uint64_t offset)
{
    const uint8_t *shard = shard_at(index);
    const struct exchange *exchange = exchange_of();
    if (!shard || !exchange)
        return 0;
    uint32_t len = exchange->key_len;
    for (uint32_t i = 0; i < EXCHANGE_KEY_MAX && i < len; i++) {
        uint64_t at = offset + i;
        OPAQUE(at);
        if (at >= SHARD_SIZE || shard[at] != exchange->key[i])
            return 0;
    }
    return 1;
}

NOINLINE int value_copy(uint32_t index, uint64_t offset, uint64_t len)
{
    const uint8_t *shard = shard_at(index);
    struct exchange *exchange = exchange_of();
    if (!shard || !exchange)
        return 0;
    for (uint32_t i = 0; i < EXCHANGE_VALUE_MAX && i < len; i++) {
        uint64_t at = offset + i;
        OPAQUE(at);
        if (at >= SHARD_SIZE)
            return 0;
        exchange->value[i] = shard[at];
    }
    return 1;
}

// Copies the entry at `offset` if it is the key's. What it reads may be torn.
NOINLINE int entry_read(uint32_t index, uint64_t offset)
{
    const uint8_t *shard = shard_at(index);
    struct exchange *exchange = exchange_of();
    if (!shard || !exchange)
        return 0;
    uint64_t word = word_at(shard, offset), bytes = offset + LAYOUT_ENTRY_HEADER_LEN;
    if (word >> LAYOUT_HASH_SHIFT != (uint32_t)exchange->hash ||
        layout_key_len(word) != exchange->key_len ||
        !key_equal(index, bytes + layout_value_len(word)))
        return 0;
    for (uint32_t i = 0; i < EXCHANGE_DAWDLE && i < exchange->dawdle; i++)
        order();
    exchange->offset = offset;
    exchange->word = word;
    exchange->times = word_at(shard, offset + LAYOUT_WORD);
    return value_copy(index, bytes, layout_value_len(word));
}

NOINLINE int bucket_read(uint32_t index, uint64_t bucket)
{
    uint8_t *shard = shard_at(index);
    struct exchange *exchange = exchange_of();
    if (!shard || !exchange)
        return CHANGED;
    uint64_t tag = layout_tag(exchange->hash), before = word_at(shard, bucket);
    int found = 0;
    order();
    for (uint32_t i = 0; i < LAYOUT_SLOTS && !found; i++) {
        uint64_t slot = word_at(shard, bucket + LAYOUT_WORD * (i + 1));
        if (slot != 0 && (slot & ~LAYOUT_OFFSET_MASK) == tag)
            found = entry_read(index, slot & LAYOUT_OFFSET_MASK);
    }
    if (exchange->disturb)
        word_change(shard, bucket, before, before + LAYOUT_VERSION_STEP);
    order();
    exchange->sequence = before;
    if (word_at(shard, bucket) != before)
        return CHANGED;
    return found ? FOUND : NOT_HERE;
}

static inline uint64_t bucket_at(uint32_t index)
{
    return LAYOUT_HEADER_LEN + index * (uint64_t)sizeof(struct layout_bucket);
}

static inline enum exchange_verdict lookup(uint8_t *shard, struct exchange *exchange)
{
    const struct layout_header *header = (const struct layout_header *)shard;
    uint32_t low = (uint32_t)exchange->hash, bucket_count = header->bucket_count;
    uint64_t first = bucket_at(layout_first_bucket(low, bucket_count)), bucket = first, left = 0;

    for (uint32_t try = 0; try < TRIES; try++) {
        switch (bucket_read(exchange->shard, bucket)) {
        case FOUND:
            if ((exchange->word & LAYOUT_MARKS_FULL) != LAYOUT_MARKS_FULL)
                word_change(shard, exchange->offset, exchange->word, layout_marked(exchange->word));
            return EXCHANGE_HIT;
        case NOT_HERE:
            if (exchange->second ? word_at(shard, first) == left
                                 : !(exchange->sequence & LAYOUT_OVERFLOW_MASK))
                return EXCHANGE_MISS;
            exchange->second = !exchange->second;
            left = exchange->sequence;
            bucket = exchange->second ? bucket_at(layout_second_bucket(low, bucket_count)) : first;
            break;
        default:
            break;
        }
    }
    return EXCHANGE_CHANGED;
}

// Whether an element is the shard that it is taken for, in a region that this program knows.
static inline int is_shard(const uint8_t *shard, uint32_t index)
{
    const struct layout_header *header = (const struct layout_header *)shard;
    return header->magic == LAYOUT_MAGIC && header->version == LAYOUT_VERSION &&
           header->shard_index == index;
}

SECTION("xdp") int find(void *packet)
{
    struct exchange *exchange = exchange_of();
    uint8_t *shard = shard_at(0); // any of them says how many there are
    (void)packet;
    if (!shard || !exchange)
        return XDP_PASS;
    const struct layout_header *header = (const struct layout_header *)shard;
    exchange->verdict = EXCHANGE_NONE;
    exchange->second = 0;
    if (!key_hash(header->seed))
        return XDP_PASS;
    if (exchange->hash_given)
        exchange->hash = exchange->hash_given;
    exchange->shard = layout_shard_of(exchange->hash, header->shard_count);
    shard = shard_at(exchange->shard);
    if (shard && is_shard(shard, exchange->shard))
        exchange->verdict = lookup(shard, exchange);
    return XDP_PASS;
}
