// SPDX-License-Identifier: MIT
#include "cache/shard.h"

// Why a reader needs no lock. What makes a copy whole is the sequence word of the bucket that led
// to it:
//
//   writer                                   reader
//   W1 slot := 0 or another entry            R1 before := sequence   (acquire)
//   W2 sequence := another  (release)        R2 offset := slot       (acquire)
//   W3 fence (release)                       R3 copy the entry's words
//   W4 overwrite the old entry's words       R4 fence (acquire)
//                                            R5 after := sequence; keep the copy if unchanged
//
// A new entry's words are written before its slot is (release, pairs with R2), so an entry is whole
// when its offset can be seen. Suppose R3 read a word of a later W4. Then the fences W3 and R4
// pair, so R5 sees W2's value or a later one, and "unchanged" means that R1 saw it too. But R1 with
// W2 (release) makes R2 see W1 or later: the offset read is not the old entry's. Contradiction.
// The sequence word counts with 48 bits, so it does not come round within a copy. This holds under
// the C11 model, hence on x86-64, where the fences cost nothing, as on arm64.
//
// And why a reader does not pass an entry that moves between its two buckets (slot_move in
// write.c). It is in the new place, and the new bucket's sequence word has changed, before it
// leaves the old one, so for a moment it is in both.
// - From the first to the second bucket: the first one's overflow count goes up in between. One
//   that sees the first bucket without the entry has seen, by the slot's release and acquire, a
//   sequence word that sends it on to the second one; or the word has changed and it starts again.
// - From the second to the first: a reader may look at the first one before the entry is there and
//   at the second one when it is gone. But then, by release and acquire of the slot that the entry
//   has left, it sees that the first one's word has changed, and looks there again.
// So a reader misses what is there all the time only if buckets change in all of its tries,
// or while the entry is copied over itself (entry_move_over). It never takes one entry for another.
//
// A hit is marked by compare-and-swap of the entry's first word from what was read in R3, in both
// counts at once. Where the entry is gone by then the word has changed and the mark is lost; where
// the same key was stored in the same place again the mark is right. Marking is rare: a few times
// in an entry's life, and once for each hit that a round of the main log has cost it.

enum { READ_TRIES = 8 };

_Static_assert(LAYOUT_HITS_MASK == CACHE_HITS_MAX && LAYOUT_ASKED_MASK == CACHE_HITS_MAX &&
                   LAYOUT_MARKS_FULL == (LAYOUT_HITS_MASK << LAYOUT_HITS_SHIFT |
                                         LAYOUT_ASKED_MASK << LAYOUT_ASKED_SHIFT),
               "both count equally far");

// The places where words are read that a writer may be overwriting. Each is one relaxed atomic
// load, so what comes out may be a mixture of old and new but is never undefined.

static inline void word_copy(uint8_t *to, const uint64_t *from)
{
    uint64_t word = load(from);
    memcpy(to, &word, sizeof word);
}

static inline void words_copy(uint8_t *to, const uint64_t *from, size_t count)
{
    for (; count % 4 != 0; count--, from++, to += LAYOUT_WORD)
        word_copy(to, from);
    for (; count > 0; count -= 4, from += 4, to += (size_t)4 * LAYOUT_WORD) {
        word_copy(to, from);
        word_copy(to + LAYOUT_WORD, from + 1);
        word_copy(to + (size_t)2 * LAYOUT_WORD, from + 2);
        word_copy(to + (size_t)3 * LAYOUT_WORD, from + 3);
    }
}

void racy_copy(void *to, const uint64_t *from, size_t len)
{
    size_t whole = len & ~(size_t)(LAYOUT_WORD - 1);
    words_copy(to, from, whole / LAYOUT_WORD);
    if (len == whole)
        return;
    uint64_t word = load(from + whole / LAYOUT_WORD);
    memcpy((uint8_t *)to + whole, &word, len - whole);
}

static uint64_t key_word(const uint8_t *from)
{
    uint64_t word;
    memcpy(&word, from, sizeof word);
    return word;
}

// Compares a key of a word or more with one that is not being written. The rest at the end is
// compared together with the octets before it.
static inline bool key_equal(const uint8_t *bytes, const struct cache_key *key)
{
    size_t last = key->len - LAYOUT_WORD;
    for (size_t at = 0; at < last; at += LAYOUT_WORD) {
        if (key_word(bytes + at) != key_word(key->bytes + at))
            return false;
    }
    return key_word(bytes + last) == key_word(key->bytes + last);
}

// Compares a key of less than a word, `down` bits above the beginning of a word.
[[gnu::noinline]] static bool short_equal(const uint64_t *from, unsigned down,
                                          const struct cache_key *key)
{
    uint64_t word = load(from) >> down, wanted = 0;
    unsigned bits = 8 * key->len;
    if (down + bits > 64)
        word |= load(from + 1) << (64 - down);
    memcpy(&wanted, key->bytes, key->len);
    return (word ^ wanted) << (64 - bits) == 0;
}

// Compares a key that begins `at` octets behind a word. It reads the words that hold the key, each
// once, and no other: in the first there are other octets in front of the key's, in the last behind
// them.
static inline bool racy_equal(const uint64_t *from, size_t at, const struct cache_key *key)
{
    const uint8_t *bytes = key->bytes;
    size_t skip = at % LAYOUT_WORD, len = key->len;
    unsigned down = 8 * (unsigned)skip;
    from += at / LAYOUT_WORD;
    if (len < LAYOUT_WORD)
        return short_equal(from, down, key);
    if ((load(from) ^ key_word(bytes) << down) >> down != 0)
        return false;
    size_t done = LAYOUT_WORD - skip;
    for (from++; done + LAYOUT_WORD <= len; done += LAYOUT_WORD) {
        if (load(from++) != key_word(bytes + done))
            return false;
    }
    if (done == len)
        return true;
    unsigned up = 8 * (unsigned)(done + LAYOUT_WORD - len);
    return (load(from) ^ key_word(bytes + len - LAYOUT_WORD) >> up) << up == 0;
}

// Finds out whether the entry at `offset` may be the key's: it lies in the shard, and its hash and
// the key's length are the same. Gives its first word.
static inline bool entry_resembles(const struct cache *cache, const struct layout_shard *shard,
                                   uint64_t offset, const struct cache_key *key, uint64_t *word)
{
    const uint64_t mask = (uint64_t)UINT32_MAX << LAYOUT_HASH_SHIFT | LAYOUT_KEY_LEN_MASK
                                                                          << LAYOUT_KEY_LEN_SHIFT;
    uint64_t wanted = key->hash << LAYOUT_HASH_SHIFT | (uint64_t)key->len << LAYOUT_KEY_LEN_SHIFT;
    if (offset + LAYOUT_ENTRY_HEADER_LEN > cache->shard_stride || offset % LAYOUT_WORD != 0)
        return false;
    *word = load(entry_at(shard, offset));
    // Shard and offset are multiples of a word, so what fits without padding fits with it.
    return ((*word ^ wanted) & mask) == 0 &&
           LAYOUT_ENTRY_HEADER_LEN + layout_value_len(*word) + key->len <=
               cache->shard_stride - offset;
}

// And whether it is.
static inline bool entry_match(const struct cache *cache, const struct layout_shard *shard,
                               uint64_t offset, const struct cache_key *key, uint64_t *word)
{
    return entry_resembles(cache, shard, offset, key, word) &&
           racy_equal(entry_at(shard, offset) + LAYOUT_ENTRY_HEADER_LEN / LAYOUT_WORD,
                      layout_value_len(*word), key);
}

bool entry_is(const struct cache *cache, const struct layout_shard *shard, uint64_t offset,
              const struct cache_key *key)
{
    uint64_t word;
    return entry_match(cache, shard, offset, key, &word);
}

// What a lookup gives of an entry, which begins with `word`, but for its value.
static inline void entry_tell(const uint64_t *entry, uint64_t word, struct cache_hit *hit)
{
    uint64_t times = load(&entry[1]);
    hit->value_len = (uint32_t)layout_value_len(word);
    hit->birth_s = (uint32_t)times;
    hit->expiry_s = (uint32_t)(times >> 32);
    hit->asked = (uint8_t)layout_asked(word);
}

static inline void hit_mark(uint64_t *entry, uint64_t word)
{
    if ((word & LAYOUT_MARKS_FULL) == LAYOUT_MARKS_FULL)
        return;
    (void)__atomic_compare_exchange_n(entry, &word, layout_marked(word), false, __ATOMIC_RELAXED,
                                      __ATOMIC_RELAXED);
}

enum outcome { FOUND, NOT_HERE, CHANGED };

// The entry of a key in one bucket, and its first word; NULL: it is not there.
static inline uint64_t *bucket_find(const struct cache *cache, const struct layout_shard *shard,
                                    const struct layout_bucket *bucket, const struct cache_key *key,
                                    uint64_t *word)
{
    uint64_t tag = layout_tag(key->hash);
    for (unsigned i = 0; i < LAYOUT_SLOTS; i++) {
        uint64_t slot = __atomic_load_n(&bucket->slots[i], __ATOMIC_ACQUIRE);
        if (slot_matches(slot, tag) && entry_match(cache, shard, slot_offset(slot), key, word))
            return entry_at(shard, slot_offset(slot));
    }
    return NULL;
}

// Looks in one bucket and gives the sequence word that it had all the while.
static inline enum outcome bucket_read(const struct cache *cache, const struct layout_shard *shard,
                                       const struct layout_bucket *bucket,
                                       const struct cache_key *key, void *value, size_t value_size,
                                       struct cache_hit *hit, bool mark, uint64_t *sequence)
{
    uint64_t before = __atomic_load_n(&bucket->sequence, __ATOMIC_ACQUIRE);
    uint64_t word;
    uint64_t *entry = bucket_find(cache, shard, bucket, key, &word);
    if (entry) {
        entry_tell(entry, word, hit);
        hit->offset = offset_of(shard, entry);
        racy_copy(value, entry + LAYOUT_ENTRY_HEADER_LEN / LAYOUT_WORD,
                  hit->value_len < value_size ? hit->value_len : value_size);
    }
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    *sequence = before;
    if (load(&bucket->sequence) != before)
        return CHANGED;
    if (entry && mark)
        hit_mark(entry, word);
    return entry ? FOUND : NOT_HERE;
}

// A whole lookup. Apart, as most end with what cache_seek_entry has found.
[[gnu::noinline]] static enum cache_verdict look_up(const struct cache *cache,
                                                    const struct cache_key *key, void *value,
                                                    size_t value_size, struct cache_hit *hit,
                                                    bool mark)
{
    const struct layout_shard *shard = shard_at(cache, cache_shard_of(cache, key->hash));
    const struct layout_bucket *first = first_bucket(cache, shard, (uint32_t)key->hash);
    const struct layout_bucket *bucket = first;
    uint64_t left = 0; // what the first one's sequence word was when it did not have the key
    bool second = false;

    for (unsigned try = 0; try < READ_TRIES; try++) {
        uint64_t sequence;
        switch (bucket_read(cache, shard, bucket, key, value, value_size, hit, mark, &sequence)) {
        case FOUND:
            return CACHE_HIT;
        case NOT_HERE:
            // The second bucket's own overflow is not this key's. An entry that has gone from there
            // to the first one meanwhile has changed that one's word before.
            if (second ? load(&first->sequence) == left : !(sequence & LAYOUT_OVERFLOW_MASK))
                return CACHE_MISS;
            second = !second;
            left = sequence;
            bucket = second ? second_bucket(cache, shard, (uint32_t)key->hash) : first;
            break;
        case CHANGED:
            break;
        }
    }
    return CACHE_MISS;
}

enum cache_verdict cache_lookup(const struct cache *cache, const struct cache_key *key, void *value,
                                size_t value_size, struct cache_hit *hit)
{
    return look_up(cache, key, value, value_size, hit, true);
}

enum cache_verdict cache_peek(const struct cache *cache, const struct cache_key *key, void *value,
                              size_t value_size, struct cache_hit *hit)
{
    return look_up(cache, key, value, value_size, hit, false);
}

void cache_prefetch_bucket(const struct cache *cache, uint64_t hash)
{
    const struct layout_shard *shard = shard_at(cache, cache_shard_of(cache, hash));
    __builtin_prefetch(first_bucket(cache, shard, (uint32_t)hash));
}

void cache_seek_bucket(const struct cache *cache, uint64_t hash, struct cache_seek *seek)
{
    const struct layout_shard *shard = shard_at(cache, cache_shard_of(cache, hash));
    const struct layout_bucket *bucket = first_bucket(cache, shard, (uint32_t)hash);
    seek->shard = shard;
    seek->bucket = bucket;
    __builtin_prefetch(bucket);
}

inline void cache_seek_entry(const struct cache *cache, uint64_t hash, struct cache_seek *seek)
{
    const struct layout_bucket *bucket = seek->bucket;
    uint64_t tag = layout_tag(hash);
    seek->offset = 0;
    seek->sequence = __atomic_load_n(&bucket->sequence, __ATOMIC_ACQUIRE);
    for (unsigned i = 0; i < LAYOUT_SLOTS; i++) {
        uint64_t slot = __atomic_load_n(&bucket->slots[i], __ATOMIC_ACQUIRE);
        if (slot_matches(slot, tag)) {
            const uint8_t *entry = (const uint8_t *)entry_at(seek->shard, slot_offset(slot));
            seek->offset = slot_offset(slot);
            // Most have some 150 octets and begin anywhere in a line.
            __builtin_prefetch(entry);
            __builtin_prefetch(entry + 64);
            __builtin_prefetch(entry + 128);
            __builtin_prefetch(entry + 192);
            return;
        }
    }
    if (seek->sequence & LAYOUT_OVERFLOW_MASK)
        __builtin_prefetch(second_bucket(cache, seek->shard, (uint32_t)hash));
}

// R1 and R2 were done by cache_seek_entry. The key lies right behind the value: it is copied as
// well and compared in the copy, which takes less than to compare it where a writer may be at work.
// What `seek` holds is read again at the end, as there are too few registers to keep it.
inline bool cache_seek_end(const struct cache *cache, const struct cache_seek *seek,
                           const struct cache_key *key, void *value, size_t value_size,
                           struct cache_hit *hit)
{
    uint64_t word;
    if (seek->offset == 0 || key->len < LAYOUT_WORD ||
        !entry_resembles(cache, seek->shard, seek->offset, key, &word))
        return false;
    uint64_t *entry = entry_at(seek->shard, seek->offset);
    size_t value_len = layout_value_len(word);
    size_t words = (value_len + key->len + LAYOUT_WORD - 1) / LAYOUT_WORD;
    if (words > value_size / LAYOUT_WORD)
        return false;
    entry_tell(entry, word, hit);
    words_copy(value, entry + LAYOUT_ENTRY_HEADER_LEN / LAYOUT_WORD, words);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    const struct layout_bucket *bucket = seek->bucket;
    if (load(&bucket->sequence) != seek->sequence ||
        !key_equal((const uint8_t *)value + value_len, key))
        return false;
    hit->offset = seek->offset;
    hit_mark(entry, word);
    return true;
}

void cache_lookup_batch(const struct cache *cache, struct cache_request *requests, size_t count)
{
    for (size_t i = 0; i < count; i++)
        cache_seek_bucket(cache, requests[i].key.hash, &requests[i].seek);
    for (size_t i = 0; i < count; i++)
        cache_seek_entry(cache, requests[i].key.hash, &requests[i].seek);
    for (size_t i = 0; i < count; i++) {
        struct cache_request *request = &requests[i];
        bool found = cache_seek_end(cache, &request->seek, &request->key, request->value,
                                    request->value_size, &request->hit);
        request->verdict = found ? CACHE_HIT
                                 : cache_lookup(cache, &request->key, request->value,
                                                request->value_size, &request->hit);
    }
}

// Copies the entry in one slot, if there is one; false also if it was being changed all the time.
static bool slot_copy(const struct cache *cache, const struct layout_shard *shard,
                      const struct layout_bucket *bucket, unsigned index, struct cache_copy *copy)
{
    for (unsigned try = 0; try < READ_TRIES; try++) {
        uint64_t before = __atomic_load_n(&bucket->sequence, __ATOMIC_ACQUIRE);
        uint64_t slot = __atomic_load_n(&bucket->slots[index], __ATOMIC_ACQUIRE);
        uint64_t offset = slot_offset(slot);
        if (slot == 0 || offset + LAYOUT_ENTRY_HEADER_LEN > cache->shard_stride)
            return false;
        const uint64_t *entry = entry_at(shard, offset);
        uint64_t word = load(&entry[0]), times = load(&entry[1]);
        uint64_t octets = layout_value_len(word) + layout_key_len(word);
        if (octets > CACHE_VALUE_MAX + CACHE_KEY_MAX ||
            layout_entry_len(word) > cache->shard_stride - offset)
            continue;
        racy_copy(copy->bytes, entry + LAYOUT_ENTRY_HEADER_LEN / LAYOUT_WORD, octets);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (load(&bucket->sequence) != before)
            continue;
        copy->value_len = (uint32_t)layout_value_len(word);
        copy->key_len = (uint32_t)layout_key_len(word);
        copy->birth_s = (uint32_t)times;
        copy->expiry_s = (uint32_t)(times >> 32);
        copy->hits = (uint8_t)layout_hits(word);
        copy->asked = (uint8_t)layout_asked(word);
        return true;
    }
    return false;
}

bool cache_walk(const struct cache *cache, struct cache_cursor *cursor, struct cache_copy *copy)
{
    for (; cursor->shard < cache->shard_count; cursor->shard++, cursor->bucket = 0) {
        const struct layout_shard *shard = shard_at(cache, cursor->shard);
        const struct layout_bucket *buckets = buckets_of(shard);
        for (; cursor->bucket < cache->bucket_count; cursor->bucket++, cursor->slot = 0) {
            while (cursor->slot < LAYOUT_SLOTS) {
                if (slot_copy(cache, shard, &buckets[cursor->bucket], cursor->slot++, copy))
                    return true;
            }
        }
    }
    return false;
}

void cache_use(const struct cache *cache, struct cache_use *use)
{
    *use =
        (struct cache_use){.capacity = (cache->small_size + cache->main_size) * cache->shard_count};
    for (uint32_t i = 0; i < cache->shard_count; i++) {
        const struct layout_shard *shard = shard_at(cache, i);
        use->entries += load(&shard->entries);
        uint64_t small_tail = load(&shard->small_tail), main_tail = load(&shard->main_tail);
        uint64_t small = load(&shard->small_head) - small_tail;
        uint64_t main = load(&shard->main_head) - main_tail;
        // The heads were read later than the tails and may have run ahead by now.
        use->used += small < cache->small_size ? small : cache->small_size;
        use->used += main < cache->main_size ? main : cache->main_size;
    }
}
