// SPDX-License-Identifier: MIT
#include "cache/cache.h"

#include <assert.h>
#include <string.h>

// The region:
//
//   | header, one page | shard 0 | shard 1 | ...            | rest below 64 octets a shard
//   shard: | shard header, 64 octets | buckets, 64 octets each | log |
//
// A bucket is one cache line: a sequence word and seven slots. A slot is 0 (empty) or a 16-bit tag
// of the hash and the 48-bit offset of an entry from the region's start. The log is circular and
// written from `head` on; `tail` is the oldest entry. Both count octets since the beginning and
// never wrap; an octet's place is its count modulo the log's size. An entry never crosses the end
// of the log: a filler takes up the room before it.
//
//   entry: | shape | hash | birth and expiry | value ... key ... padding to 8 |
//
// Invariants (cache_verify checks them):
// 1. From tail to head the log is a seamless row of entries and fillers; head - tail <= log size.
// 2. Every slot that is not empty leads to the start of an entry between tail and head whose hash
//    belongs to this bucket and has the slot's tag. No two slots lead to the same entry.
// 3. No two slots of a bucket lead to entries of equal keys.
// 4. `entries` is the number of slots that are not empty. An entry without a slot is dead; its room
//    comes back when the tail passes it.
//
// Why a reader needs no lock. Every word of the region is read and written as one relaxed atomic of
// 64 bits, so no access is a data race. What makes a copy whole is the bucket's sequence word:
//
//   writer                                   reader
//   W1 slot := 0 or another entry            R1 before := sequence   (acquire)
//   W2 sequence := sequence + 1 (release)    R2 offset := slot       (acquire)
//   W3 fence (release)                       R3 copy the entry's words
//   W4 overwrite the old entry's words       R4 fence (acquire)
//                                            R5 after := sequence; keep the copy if before == after
//
// A new entry's words are written before its slot is (release, pairs with R2), so an entry is whole
// when its offset can be seen. Suppose R3 read a word of a later W4. Then the fences W3 and R4
// pair, so R5 sees W2's value or a later one, and before == after means that R1 saw it too. But R1
// with W2 (release) makes R2 see W1 or later: the offset read is not the old entry's.
// Contradiction. This holds under the C11 model, hence on x86-64, where the fences cost nothing, as
// on arm64.

#define WORD 8u

enum {
    MAGIC_VERSION = 1,
    HEADER_LEN = 4096,
    SHARD_HEADER_LEN = 64,
    BUCKET_LEN = 64,
    SLOTS = 7,
    LOG_LEN_MIN = 256 * 1024,
    ENTRY_HEADER_LEN = 24,
    READ_TRIES = 8,
    INDEX_SHARE = 6, // at most one part in so many of a shard is index
};

static const uint64_t magic = 0x6c657a756f2d7264; // "dr-ouzel" as it lies in memory

struct region_header {
    uint64_t magic;
    uint32_t version;
    uint32_t shard_count;
    uint64_t size;
    uint64_t seed;
    uint64_t shard_start;
    uint64_t shard_stride;
    uint64_t log_start;
    uint64_t log_size;
    uint32_t bucket_count;
};

struct shard_header {
    uint64_t head;
    uint64_t tail;
    uint64_t entries;
    uint64_t unused[5];
};

struct bucket {
    uint64_t sequence;
    uint64_t slots[SLOTS];
};

_Static_assert(sizeof(struct region_header) <= HEADER_LEN, "the header is one page");
_Static_assert(sizeof(struct shard_header) == SHARD_HEADER_LEN, "one line");
_Static_assert(sizeof(struct bucket) == BUCKET_LEN, "one line");

// What the first word of an entry says. A filler has no key; its value_len is its whole length.
struct shape {
    uint32_t value_len;
    uint16_t key_len;
};

static inline uint64_t load(const uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static inline void store(uint64_t *word, uint64_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELAXED);
}

static inline uint64_t round_up(uint64_t size)
{
    return (size + WORD - 1) & ~(uint64_t)(WORD - 1);
}

static inline uint64_t shape_word(struct shape shape)
{
    return shape.value_len | (uint64_t)shape.key_len << 32;
}

static inline struct shape shape_of(uint64_t word)
{
    return (struct shape){(uint32_t)word, (uint16_t)(word >> 32)};
}

static inline uint64_t entry_size(struct shape shape)
{
    if (shape.key_len == 0)
        return shape.value_len;
    return ENTRY_HEADER_LEN + round_up((uint64_t)shape.value_len + shape.key_len);
}

static inline struct shard_header *shard_at(const struct cache *cache, uint32_t shard)
{
    return (struct shard_header *)(cache->region + cache->shard_start +
                                   shard * cache->shard_stride);
}

static inline uint8_t *log_of(const struct cache *cache, const struct shard_header *shard)
{
    return (uint8_t *)shard + cache->log_start;
}

static inline struct bucket *bucket_at(const struct cache *cache, uint64_t hash)
{
    uint8_t *shard = (uint8_t *)shard_at(cache, cache_shard_of(cache, hash));
    return (struct bucket *)(shard + SHARD_HEADER_LEN) + (hash & (cache->bucket_count - 1));
}

// The tag and the bucket use bits that neither each other nor the choice of the shard depend on
// much: the bucket the low 32, the tag the low half of the rest, the shard mostly the upper half.
static inline uint64_t tag_of(uint64_t hash)
{
    return (hash >> 32 & 0xffff) << 48;
}

static inline uint64_t slot_offset(uint64_t slot)
{
    return slot & (((uint64_t)1 << 48) - 1);
}

static inline bool slot_matches(uint64_t slot, uint64_t tag)
{
    return slot != 0 && (slot ^ tag) >> 48 == 0;
}

// The one place where words are read that a writer may be overwriting. Each word is one relaxed
// atomic load, so what comes out may be a mixture of old and new but is never undefined; the
// callers keep it only after the sequence word has been seen unchanged (see above).
static void racy_copy(void *to, const uint64_t *from, size_t len)
{
    uint8_t *out = to;
    for (; len >= WORD; len -= WORD, out += WORD, from++) {
        uint64_t word = load(from);
        memcpy(out, &word, WORD);
    }
    if (len > 0) {
        uint64_t word = load(from);
        for (size_t i = 0; i < len; i++)
            out[i] = (uint8_t)(word >> 8 * i);
    }
}

// Compares a key that begins `at` octets behind a word; the words that cover it are copied first.
static bool racy_equal(const uint64_t *from, size_t at, const struct cache_key *key)
{
    uint8_t copy[CACHE_KEY_MAX + 2 * WORD];
    size_t skip = at % WORD;
    racy_copy(copy, from + at / WORD, skip + key->len);
    return memcmp(copy + skip, key->bytes, key->len) == 0;
}

static uint64_t shard_size_min(void)
{
    return SHARD_HEADER_LEN + BUCKET_LEN + LOG_LEN_MIN;
}

size_t cache_size_min(uint32_t shard_count)
{
    return HEADER_LEN + shard_count * (size_t)shard_size_min() * INDEX_SHARE / (INDEX_SHARE - 1);
}

static void view(struct cache *cache, uint8_t *region, const struct region_header *header)
{
    *cache = (struct cache){
        .region = region,
        .size = header->size,
        .shard_count = header->shard_count,
        .bucket_count = header->bucket_count,
        .seed = header->seed,
        .shard_stride = header->shard_stride,
        .shard_start = header->shard_start,
        .log_start = header->log_start,
        .log_size = header->log_size,
    };
}

int cache_format(struct cache *cache, void *region, size_t size, uint32_t shard_count,
                 uint64_t seed)
{
    if (shard_count == 0 || shard_count > CACHE_SHARDS_MAX || size < cache_size_min(shard_count) ||
        (uintptr_t)region % BUCKET_LEN != 0)
        return -1;
    uint64_t stride = (size - HEADER_LEN) / shard_count & ~(uint64_t)(BUCKET_LEN - 1);
    uint32_t bucket_count = 1;
    while ((uint64_t)bucket_count * 2 * BUCKET_LEN <= stride / INDEX_SHARE &&
           bucket_count < (uint32_t)1 << 31)
        bucket_count *= 2;
    uint64_t log_start = SHARD_HEADER_LEN + (uint64_t)bucket_count * BUCKET_LEN;
    struct region_header *header = region;
    *header = (struct region_header){
        .magic = magic,
        .version = MAGIC_VERSION,
        .shard_count = shard_count,
        .size = size,
        .seed = seed,
        .shard_start = HEADER_LEN,
        .shard_stride = stride,
        .log_start = log_start,
        .log_size = stride - log_start,
        .bucket_count = bucket_count,
    };
    view(cache, region, header);
    return 0;
}

// Reads the entry that a slot leads to and copies its value if it is the key's. What is read may be
// torn, so lengths are held against the region's end before they are used.
static bool entry_read(const struct cache *cache, uint64_t offset, const struct cache_key *key,
                       void *value, size_t value_size, struct cache_hit *hit)
{
    if (offset + ENTRY_HEADER_LEN > cache->size || offset % WORD != 0)
        return false;
    const uint64_t *entry = (const uint64_t *)(cache->region + offset);
    struct shape shape = shape_of(load(&entry[0]));
    if (load(&entry[1]) != key->hash || shape.key_len != key->len ||
        entry_size(shape) > cache->size - offset)
        return false;
    const uint64_t *bytes = entry + ENTRY_HEADER_LEN / WORD;
    if (!racy_equal(bytes, shape.value_len, key))
        return false;
    uint64_t times = load(&entry[2]);
    hit->value_len = shape.value_len;
    hit->birth_s = (uint32_t)times;
    hit->expiry_s = (uint32_t)(times >> 32);
    racy_copy(value, bytes, shape.value_len < value_size ? shape.value_len : value_size);
    return true;
}

enum cache_verdict cache_lookup(const struct cache *cache, const struct cache_key *key, void *value,
                                size_t value_size, struct cache_hit *hit)
{
    const struct bucket *bucket = bucket_at(cache, key->hash);
    uint64_t tag = tag_of(key->hash);

    for (unsigned try = 0; try < READ_TRIES; try++) {
        uint64_t before = __atomic_load_n(&bucket->sequence, __ATOMIC_ACQUIRE);
        bool found = false;
        for (unsigned i = 0; i < SLOTS && !found; i++) {
            uint64_t slot = __atomic_load_n(&bucket->slots[i], __ATOMIC_ACQUIRE);
            if (slot_matches(slot, tag))
                found = entry_read(cache, slot_offset(slot), key, value, value_size, hit);
        }
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (load(&bucket->sequence) == before)
            return found ? CACHE_HIT : CACHE_MISS;
    }
    return CACHE_MISS;
}

void cache_prefetch_bucket(const struct cache *cache, uint64_t hash)
{
    __builtin_prefetch(bucket_at(cache, hash));
}

void cache_prefetch_entry(const struct cache *cache, uint64_t hash)
{
    const struct bucket *bucket = bucket_at(cache, hash);
    uint64_t tag = tag_of(hash);
    for (unsigned i = 0; i < SLOTS; i++) {
        uint64_t slot = load(&bucket->slots[i]);
        if (slot_matches(slot, tag)) {
            const uint8_t *entry = cache->region + slot_offset(slot);
            __builtin_prefetch(entry);
            __builtin_prefetch(entry + 64);
            __builtin_prefetch(entry + 128);
            return;
        }
    }
}

// From here on: the writer's side. It reads what it wrote itself, so nothing there is racy.

// Changes a slot that readers may be using and makes them notice (W1 to W3).
static void slot_change(struct bucket *bucket, unsigned index, uint64_t slot)
{
    __atomic_store_n(&bucket->slots[index], slot, __ATOMIC_RELEASE);
    __atomic_store_n(&bucket->sequence, load(&bucket->sequence) + 1, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

// The index of the slot that leads to `offset`, or -1.
static int slot_of_offset(const struct bucket *bucket, uint64_t offset)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        if (bucket->slots[i] != 0 && slot_offset(bucket->slots[i]) == offset)
            return (int)i;
    }
    return -1;
}

static int slot_of_key(const struct cache *cache, const struct bucket *bucket,
                       const struct cache_key *key)
{
    struct cache_hit hit;
    for (unsigned i = 0; i < SLOTS; i++) {
        if (slot_matches(bucket->slots[i], tag_of(key->hash)) &&
            entry_read(cache, slot_offset(bucket->slots[i]), key, NULL, 0, &hit))
            return (int)i;
    }
    return -1;
}

static void removed(struct shard_header *shard, uint32_t expiry_s, uint32_t now_s,
                    struct cache_inserted *inserted)
{
    store(&shard->entries, load(&shard->entries) - 1);
    if (now_s < expiry_s)
        inserted->evicted++;
    else
        inserted->expired++;
}

static uint32_t expiry_at(const struct cache *cache, uint64_t offset)
{
    return (uint32_t)(load((const uint64_t *)(cache->region + offset) + 2) >> 32);
}

// Lets the tail pass the oldest entry.
static void tail_pass(const struct cache *cache, struct shard_header *shard, uint32_t now_s,
                      struct cache_inserted *inserted)
{
    assert(shard->tail < shard->head);
    const uint64_t *entry =
        (const uint64_t *)(log_of(cache, shard) + shard->tail % cache->log_size);
    struct shape shape = shape_of(load(&entry[0]));
    if (shape.key_len != 0) {
        uint64_t offset = (uint64_t)((const uint8_t *)entry - cache->region);
        struct bucket *bucket = bucket_at(cache, load(&entry[1]));
        int index = slot_of_offset(bucket, offset);
        if (index >= 0) {
            removed(shard, expiry_at(cache, offset), now_s, inserted);
            slot_change(bucket, (unsigned)index, 0);
        }
    }
    store(&shard->tail, shard->tail + entry_size(shape));
}

// Makes room for `size` octets in a row at the head and returns their offset in the region.
static uint64_t log_room(const struct cache *cache, struct shard_header *shard, uint64_t size,
                         uint32_t now_s, struct cache_inserted *inserted)
{
    uint64_t to_end = cache->log_size - shard->head % cache->log_size;
    uint64_t filler = to_end < size ? to_end : 0;
    while (shard->head + filler + size - shard->tail > cache->log_size)
        tail_pass(cache, shard, now_s, inserted);
    if (filler) {
        uint64_t *word = (uint64_t *)(log_of(cache, shard) + shard->head % cache->log_size);
        store(word, shape_word((struct shape){.value_len = (uint32_t)filler}));
        store(&shard->head, shard->head + filler);
    }
    return (uint64_t)(log_of(cache, shard) - cache->region) + shard->head % cache->log_size;
}

// Writes octets from a word's `at` on, keeping what stands before them in that word.
static void words_write(uint64_t *to, size_t at, const uint8_t *bytes, size_t len)
{
    to += at / WORD;
    at %= WORD;
    while (len > 0) {
        uint64_t word = at ? load(to) : 0;
        size_t take = WORD - at < len ? WORD - at : len;
        memcpy((uint8_t *)&word + at, bytes, take);
        store(to++, word);
        bytes += take;
        len -= take;
        at = 0;
    }
}

static void entry_write(const struct cache *cache, uint64_t offset, struct shape shape,
                        const struct cache_key *key, const struct cache_value *value)
{
    uint64_t *entry = (uint64_t *)(cache->region + offset);
    store(&entry[0], shape_word(shape));
    store(&entry[1], key->hash);
    store(&entry[2], value->birth_s | (uint64_t)value->expiry_s << 32);
    words_write(entry + 3, 0, value->bytes, value->len);
    words_write(entry + 3, value->len, key->bytes, key->len);
}

// The slot for a new entry: a free one, else the one whose entry will be over first.
static unsigned slot_for_new(const struct cache *cache, struct shard_header *shard,
                             const struct bucket *bucket, uint32_t now_s,
                             struct cache_inserted *inserted)
{
    unsigned victim = 0;
    uint32_t earliest_s = UINT32_MAX;
    for (unsigned i = 0; i < SLOTS; i++) {
        if (bucket->slots[i] == 0)
            return i;
        uint32_t expiry_s = expiry_at(cache, slot_offset(bucket->slots[i]));
        if (expiry_s < earliest_s) {
            earliest_s = expiry_s;
            victim = i;
        }
    }
    removed(shard, earliest_s, now_s, inserted);
    return victim;
}

int cache_insert(struct cache *cache, const struct cache_key *key, const struct cache_value *value,
                 uint32_t now_s, struct cache_inserted *inserted)
{
    *inserted = (struct cache_inserted){0};
    if (key->len == 0 || key->len > CACHE_KEY_MAX || value->len == 0 ||
        value->len > CACHE_VALUE_MAX)
        return -1;
    struct shape shape = {.value_len = value->len, .key_len = (uint16_t)key->len};
    uint64_t size = entry_size(shape);
    if (size > cache->log_size / 4)
        return -1;

    struct shard_header *shard = shard_at(cache, cache_shard_of(cache, key->hash));
    struct bucket *bucket = bucket_at(cache, key->hash);
    uint64_t offset = log_room(cache, shard, size, now_s, inserted);
    entry_write(cache, offset, shape, key, value);
    store(&shard->head, shard->head + size);

    int old = slot_of_key(cache, bucket, key);
    inserted->replaced = old >= 0;
    unsigned index = old >= 0 ? (unsigned)old : slot_for_new(cache, shard, bucket, now_s, inserted);
    if (old < 0)
        store(&shard->entries, shard->entries + 1);
    slot_change(bucket, index, tag_of(key->hash) | offset);
    return 0;
}

bool cache_remove(struct cache *cache, const struct cache_key *key)
{
    struct bucket *bucket = bucket_at(cache, key->hash);
    int index = slot_of_key(cache, bucket, key);
    if (index < 0)
        return false;
    struct shard_header *shard = shard_at(cache, cache_shard_of(cache, key->hash));
    store(&shard->entries, shard->entries - 1);
    slot_change(bucket, (unsigned)index, 0);
    return true;
}

void cache_use(const struct cache *cache, struct cache_use *use)
{
    *use = (struct cache_use){.capacity = cache->log_size * cache->shard_count};
    for (uint32_t i = 0; i < cache->shard_count; i++) {
        const struct shard_header *shard = shard_at(cache, i);
        use->entries += load(&shard->entries);
        uint64_t tail = load(&shard->tail), head = load(&shard->head);
        use->used += head > tail ? head - tail : 0;
    }
}

// Invariant 1; counts the entries that a slot leads to.
static const char *verify_log(const struct cache *cache, const struct shard_header *shard,
                              uint64_t *live)
{
    const uint8_t *log = log_of(cache, shard);
    if (shard->head < shard->tail || shard->head - shard->tail > cache->log_size)
        return "head and tail are further apart than the log is long";
    uint64_t at = shard->tail;
    while (at < shard->head) {
        const uint64_t *entry = (const uint64_t *)(log + at % cache->log_size);
        struct shape shape = shape_of(entry[0]);
        uint64_t size = entry_size(shape);
        if (size == 0 || size % WORD != 0 || at % cache->log_size + size > cache->log_size)
            return "an entry has an impossible length";
        uint64_t offset = (uint64_t)((const uint8_t *)entry - cache->region);
        if (shape.key_len != 0 && slot_of_offset(bucket_at(cache, entry[1]), offset) >= 0)
            (*live)++;
        at += size;
    }
    return at == shard->head ? NULL : "the log's entries do not end at its head";
}

// Invariants 2 and 3 for one bucket; counts its slots.
static const char *verify_bucket(const struct cache *cache, const struct bucket *bucket,
                                 uint64_t *slots)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        if (bucket->slots[i] == 0)
            continue;
        (*slots)++;
        uint64_t offset = slot_offset(bucket->slots[i]);
        const uint64_t *entry = (const uint64_t *)(cache->region + offset);
        struct shape shape = shape_of(entry[0]);
        if (bucket_at(cache, entry[1]) != bucket ||
            !slot_matches(bucket->slots[i], tag_of(entry[1])))
            return "a slot leads to an entry that does not belong there";
        struct cache_key key = {
            .hash = entry[1],
            .bytes = (const uint8_t *)(entry + 3) + shape.value_len,
            .len = shape.key_len,
        };
        if (slot_of_key(cache, bucket, &key) != (int)i)
            return "two slots lead to the same key";
    }
    return NULL;
}

const char *cache_verify(const struct cache *cache, uint32_t index)
{
    const struct shard_header *shard = shard_at(cache, index);
    const struct bucket *buckets =
        (const struct bucket *)((const uint8_t *)shard + SHARD_HEADER_LEN);
    uint64_t live = 0, slots = 0;
    const char *why = verify_log(cache, shard, &live);
    for (uint32_t i = 0; i < cache->bucket_count && !why; i++)
        why = verify_bucket(cache, &buckets[i], &slots);
    if (why)
        return why;
    if (live != slots)
        return "a slot leads to no entry between tail and head";
    return slots == shard->entries ? NULL : "the number of entries is wrong";
}
