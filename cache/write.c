// SPDX-License-Identifier: MIT
#include "cache/shard.h"

#include <assert.h>

// The writer's side: eviction by S3-FIFO (Yang et al., SOSP 2023) over two circular logs.
//
// A new entry goes to the small log. What reaches the small log's tail moves to the main log if it
// was hit meanwhile; if not it is dropped and its fingerprint becomes a ghost, so that a key which
// comes back soon goes to the main log at once. What reaches the main log's tail is written at its
// head again, one hit poorer, as long as it has hits left. What is over (expired, and the stale
// window after it too) goes whenever a tail meets it. So names asked once pass through a tenth of
// the memory, and there is nothing to maintain per hit but two bits.
//
// Invariants (verify.c checks them):
// 1. From tail to head a log is a seamless row of entries and fillers; head - tail <= its size. No
//    entry crosses a log's end: a filler takes up the room before it.
// 2. Every slot that is not empty leads to the start of an entry between tail and head of one of
//    the logs and stands in the first or the second bucket of its hash, with the hash's tag. No
//    two slots lead to the same entry, and no two to entries of equal keys.
// 3. A bucket's overflow count is the number of entries that belong to it first and stand in their
//    second bucket, and whose two buckets differ.
// 4. An entry that changes its bucket goes to one that lies further back. So a sweep, which goes
// from
//    the first to the last, meets all that was there when it began, and a walk does.
// 5. `entries` is the number of slots that are not empty. An entry without a slot is dead; its room
//    comes back when the tail passes it.
// 6. A writer may be killed between any two stores. Within a verb a slot still leads only to an
//    entry that is complete and between tail and head, and of each log only what was taken last may
//    be incomplete; repair.c rests on that.

enum {
    SHARD_MIN = 256 * 1024,
    SMALL_SHARE = 10,       // the small log is one part in so many
    ENTRY_MEAN = 144,       // octets of a usual entry, by which index and ghosts are dimensioned
    SLOT_LOAD_PERCENT = 62, // of the slots that are then in use
    LARGEST_SHARE = 4,      // an entry is at most one part in so many of its log
    IDLE_PASSES = 8,        // of the main log's tail for each entry that leaves the small log
    ROOMY_SHARE = 16,       // of the main log that must be free for it to take all that comes
    GHOST_EPOCHS = 64,      // steps in which ghosts age
};

struct log {
    uint64_t *head, *tail; // in the shard's header
    uint8_t *bytes;
    uint64_t size;
};

// Said in the shard while a verb changes more than one word: should the writer be killed then, the
// next one knows that it has to repair (repair.c).
static void shard_mark(struct layout_shard *shard)
{
    store(&shard->writing, 1);
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

static void shard_unmark(struct layout_shard *shard)
{
    __atomic_store_n(&shard->writing, 0, __ATOMIC_RELEASE);
}

// What one call of a verb works on.
struct writing {
    const struct cache *cache;
    struct layout_shard *shard;
    struct log small, main;
    uint32_t *ghosts;
    uint32_t now_s;
    struct cache_inserted *inserted;
};

static void writing_begin(struct writing *w, const struct cache *cache, uint32_t shard,
                          uint32_t now_s, struct cache_inserted *inserted)
{
    uint8_t *start = (uint8_t *)shard_at(cache, shard);
    struct layout_shard *header = (struct layout_shard *)start;
    *w = (struct writing){
        .cache = cache,
        .shard = header,
        .small = {&header->small_head, &header->small_tail, start + cache->small_start,
                  cache->small_size},
        .main = {&header->main_head, &header->main_tail, start + cache->main_start,
                 cache->main_size},
        .ghosts = (uint32_t *)(start + cache->ghost_start),
        .now_s = now_s,
        .inserted = inserted,
    };
}

// --- geometry ----------------------------------------------------------------------------------

size_t cache_size_min(uint32_t shard_count)
{
    return (size_t)shard_count * SHARD_MIN;
}

static void view(struct cache *cache, uint8_t *region, const struct layout_header *header)
{
    *cache = (struct cache){
        .region = region,
        .size = header->size,
        .seed = header->seed,
        .shard_count = header->shard_count,
        .bucket_count = header->bucket_count,
        .ghost_count = header->ghost_count,
        .shard_stride = header->shard_stride,
        .ghost_start = header->ghost_start,
        .small_start = header->small_start,
        .small_size = header->small_size,
        .main_start = header->main_start,
        .main_size = header->main_size,
    };
}

static uint64_t down_to_line(uint64_t size)
{
    return size & ~(uint64_t)63;
}

size_t cache_size_max(uint32_t shard_count)
{
    // What rounding down to a step for each shard leaves over, at most.
    return (size_t)shard_count * (LAYOUT_SHARD_SIZE_MAX + LAYOUT_STRIDE_STEP) - 1;
}

// What each shard's header says in a region of `size` octets. False: there can be none such.
static bool geometry(struct layout_header *header, size_t size, uint32_t shard_count, uint64_t seed)
{
    if (shard_count == 0 || shard_count > CACHE_SHARDS_MAX || size < cache_size_min(shard_count) ||
        size > cache_size_max(shard_count))
        return false;
    uint64_t stride = size / shard_count / LAYOUT_STRIDE_STEP * LAYOUT_STRIDE_STEP;
    // With e entries of the usual size: 64 octets of index for as many as fill the slots of a
    // bucket to the load, 4 of ghost, and the entry itself.
    uint64_t index_per_entry_x100 = 64ull * 100 * 100 / (LAYOUT_SLOTS * SLOT_LOAD_PERCENT);
    uint64_t entries = (stride - LAYOUT_HEADER_LEN) * 100 /
                       (ENTRY_MEAN * 100 + sizeof(uint32_t) * 100 + index_per_entry_x100);
    uint64_t buckets = entries * index_per_entry_x100 / 100 / sizeof(struct layout_bucket);
    *header = (struct layout_header){
        .magic = LAYOUT_MAGIC,
        .version = LAYOUT_VERSION,
        .shard_count = shard_count,
        .size = size,
        .seed = seed,
        .shard_stride = stride,
        .bucket_count = (uint32_t)buckets,
        .ghost_count = (uint32_t)entries,
    };
    header->ghost_start = LAYOUT_HEADER_LEN + header->bucket_count * sizeof(struct layout_bucket);
    header->small_start =
        down_to_line(header->ghost_start + header->ghost_count * sizeof(uint32_t) + 63);
    uint64_t logs = stride - header->small_start;
    header->small_size = down_to_line(logs / SMALL_SHARE);
    header->main_start = header->small_start + header->small_size;
    header->main_size = stride - header->main_start;
    return true;
}

int cache_format(struct cache *cache, void *region, size_t size, uint32_t shard_count,
                 uint64_t seed)
{
    struct layout_header header;
    if ((uintptr_t)region % 64 != 0 || !geometry(&header, size, shard_count, seed))
        return -1;
    view(cache, region, &header);
    for (; header.shard_index < shard_count; header.shard_index++)
        shard_at(cache, header.shard_index)->header = header;
    return 0;
}

int cache_open(struct cache *cache, void *region, size_t size)
{
    struct layout_header first, header;
    if ((uintptr_t)region % 64 != 0 || size < sizeof first)
        return -1;
    memcpy(&first, region, sizeof first);
    if (!geometry(&header, size, first.shard_count, first.seed))
        return -1;
    view(cache, region, &header);
    for (; header.shard_index < header.shard_count; header.shard_index++) {
        if (memcmp(&shard_at(cache, header.shard_index)->header, &header, sizeof header) != 0)
            return -1;
    }
    return 0;
}

// --- slots -------------------------------------------------------------------------------------

// Changes a slot that readers may be using and makes them notice (read.c, W1 to W3).
static void slot_change(struct layout_bucket *bucket, unsigned index, uint64_t slot)
{
    __atomic_store_n(&bucket->slots[index], slot, __ATOMIC_RELEASE);
    __atomic_store_n(&bucket->sequence, load(&bucket->sequence) + LAYOUT_VERSION_STEP,
                     __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

// Where an entry is led to from.
struct place {
    struct layout_bucket *bucket; // NULL: from nowhere
    unsigned index;
    bool second;
};

static struct place place_of_offset(const struct writing *w, uint32_t low, uint64_t offset)
{
    struct layout_bucket *buckets[2] = {first_bucket(w->cache, w->shard, low),
                                        second_bucket(w->cache, w->shard, low)};
    for (unsigned b = 0; b < 2; b++) {
        for (unsigned i = 0; i < LAYOUT_SLOTS; i++) {
            if (buckets[b]->slots[i] != 0 && slot_offset(buckets[b]->slots[i]) == offset)
                return (struct place){buckets[b], i, buckets[b] != buckets[0]};
        }
    }
    return (struct place){0};
}

static struct place place_in(const struct writing *w, struct layout_bucket *bucket, bool second,
                             const struct cache_key *key)
{
    uint64_t tag = layout_tag(key->hash);
    for (unsigned i = 0; i < LAYOUT_SLOTS; i++) {
        uint64_t slot = bucket->slots[i];
        if (slot_matches(slot, tag) && entry_is(w->cache, w->shard, slot_offset(slot), key))
            return (struct place){bucket, i, second};
    }
    return (struct place){0};
}

// In the second bucket it can only be if the first one has sent some there.
static struct place place_of_key(const struct writing *w, const struct cache_key *key)
{
    uint32_t low = (uint32_t)key->hash;
    struct layout_bucket *first = first_bucket(w->cache, w->shard, low);
    struct place place = place_in(w, first, false, key);
    if (place.bucket || !(load(&first->sequence) & LAYOUT_OVERFLOW_MASK))
        return place;
    return place_in(w, second_bucket(w->cache, w->shard, low), true, key);
}

static void overflow_add(const struct writing *w, uint32_t low, int64_t change)
{
    struct layout_bucket *first = first_bucket(w->cache, w->shard, low);
    __atomic_store_n(&first->sequence,
                     load(&first->sequence) + LAYOUT_VERSION_STEP + (uint64_t)change,
                     __ATOMIC_RELEASE);
}

static void place_clear(const struct writing *w, struct place place, uint32_t low)
{
    slot_change(place.bucket, place.index, 0);
    if (place.second)
        overflow_add(w, low, -1);
    store(&w->shard->entries, load(&w->shard->entries) - 1);
}

static bool is_over(const struct writing *w, uint32_t expiry_s)
{
    return (uint64_t)expiry_s + __atomic_load_n(&w->cache->stale_s, __ATOMIC_RELAXED) <= w->now_s;
}

// An entry has to go: counts it and takes its slot.
static void evict(const struct writing *w, struct place place, const uint64_t *entry)
{
    if (w->now_s < expiry_of(entry))
        w->inserted->evicted++;
    else
        w->inserted->expired++;
    place_clear(w, place, hash_low(load(&entry[0])));
}

// How many slots are free, and the first of them.
static unsigned slots_free(const struct layout_bucket *bucket, unsigned *index)
{
    unsigned count = 0;
    for (unsigned i = 0; i < LAYOUT_SLOTS; i++) {
        if (bucket->slots[i] != 0)
            continue;
        if (count++ == 0)
            *index = i;
    }
    return count;
}

// Leads to an entry from its other bucket instead, if that has room. read.c tells why no reader
// passes it: it is in both for a moment, and its first bucket's overflow count is never less than
// what a reader has to know. With `home` only from the second to the first bucket.
static bool slot_move(const struct writing *w, struct layout_bucket *from, unsigned index,
                      bool home)
{
    uint64_t slot = from->slots[index];
    uint32_t low = hash_low(load(entry_at(w->shard, slot_offset(slot))));
    struct layout_bucket *first = first_bucket(w->cache, w->shard, low);
    struct layout_bucket *to = from == first ? second_bucket(w->cache, w->shard, low) : first;
    unsigned room = 0;
    if (to == from || (home && to != first) || (w->shard->sweeps > 0 && to < from) ||
        slots_free(to, &room) == 0)
        return false;
    slot_change(to, room, slot);
    if (to != first)
        overflow_add(w, low, 1);
    slot_change(from, index, 0);
    if (to == first)
        overflow_add(w, low, -1);
    return true;
}

// Moves one of a full bucket's entries to its other bucket.
static bool bucket_move_one(const struct writing *w, struct layout_bucket *bucket, bool home)
{
    for (unsigned i = 0; i < LAYOUT_SLOTS; i++) {
        if (slot_move(w, bucket, i, home))
            return true;
    }
    return false;
}

// The slot of the entry in a full bucket that is worth least: one that is over, else the one with
// the fewest hits.
static unsigned bucket_least(const struct writing *w, const struct layout_bucket *bucket,
                             uint64_t *worth)
{
    unsigned least = 0;
    *worth = UINT64_MAX;
    for (unsigned i = 0; i < LAYOUT_SLOTS; i++) {
        const uint64_t *entry = entry_at(w->shard, slot_offset(bucket->slots[i]));
        uint64_t own = is_over(w, expiry_of(entry)) ? 0 : 1 + layout_hits(load(&entry[0]));
        if (own < *worth) {
            *worth = own;
            least = i;
        }
    }
    return least;
}

// Both buckets are full, which is rare, as less than two thirds of the slots are in use. What is
// over goes first; else an entry of either is moved to its other bucket, best to its first one; and
// only where none can be the one in the first that is worth least is dropped. Returns the bucket
// that has room now.
static struct layout_bucket *buckets_make_room(const struct writing *w, struct layout_bucket *first,
                                               struct layout_bucket *second)
{
    uint64_t worth;
    unsigned least = bucket_least(w, first, &worth);
    for (int home = 1; home >= 0 && worth > 0; home--) {
        if (bucket_move_one(w, first, home))
            return first;
        if (bucket_move_one(w, second, home))
            return second;
    }
    const uint64_t *entry = entry_at(w->shard, slot_offset(first->slots[least]));
    struct place place = {first, least, false};
    place.second = first != first_bucket(w->cache, w->shard, hash_low(load(&entry[0])));
    w->inserted->crowded = worth > 0;
    evict(w, place, entry);
    return first;
}

// Leads to a new entry. The first bucket is taken while it has room, so that most lookups touch one
// line.
static void slot_fill(const struct writing *w, uint32_t low, uint64_t slot)
{
    struct layout_bucket *first = first_bucket(w->cache, w->shard, low);
    struct layout_bucket *second = second_bucket(w->cache, w->shard, low);
    struct layout_bucket *chosen = first;
    unsigned index = 0;
    if (slots_free(first, &index) == 0)
        chosen = slots_free(second, &index) > 0 ? second : buckets_make_room(w, first, second);
    unsigned room = slots_free(chosen, &index);
    assert(room > 0);
    slot_change(chosen, index, slot);
    if (chosen != first)
        overflow_add(w, low, 1);
    store(&w->shard->entries, load(&w->shard->entries) + 1);
}

// --- ghosts ------------------------------------------------------------------------------------

// A ghost is 16 bits of the hash that neither the bucket nor the place here depends on, and the
// epoch in which it became one. It counts as long as fewer entries than the table has places have
// become ghosts since.
static uint32_t ghost_epoch(const struct writing *w)
{
    uint64_t per_epoch = w->cache->ghost_count / GHOST_EPOCHS + 1;
    return (uint32_t)(w->shard->ghost_clock / per_epoch) & 0xffff;
}

static uint32_t *ghost_place(const struct writing *w, uint32_t low)
{
    return w->ghosts + (((uint64_t)(low * 0x85ebca6bu) * w->cache->ghost_count) >> 32);
}

static void ghost_add(const struct writing *w, uint32_t low, uint64_t tag)
{
    // An epoch of 0 would make the first ghosts of tag 0 look like free places; it costs nothing.
    *ghost_place(w, low) = (uint32_t)(tag >> 48) << 16 | ghost_epoch(w);
    w->shard->ghost_clock++;
}

static bool ghost_remove(const struct writing *w, uint32_t low, uint64_t tag)
{
    uint32_t *place = ghost_place(w, low);
    uint32_t age = (ghost_epoch(w) - *place) & 0xffff;
    if (*place == 0 || *place >> 16 != tag >> 48 || age > GHOST_EPOCHS)
        return false;
    *place = 0;
    return true;
}

// --- logs --------------------------------------------------------------------------------------

static uint64_t *log_at(const struct log *log, uint64_t count)
{
    return (uint64_t *)(log->bytes + count % log->size);
}

static uint64_t log_free(const struct log *log)
{
    return log->size - (*log->head - *log->tail);
}

// Octets up to the log's end that an entry of `len` octets at the head has to skip.
static uint64_t log_skip(const struct log *log, uint64_t len)
{
    uint64_t to_end = log->size - *log->head % log->size;
    return to_end < len ? to_end : 0;
}

static void tail_advance(const struct log *log, uint64_t len)
{
    store(log->tail, *log->tail + len);
}

// Takes `len` octets at the head, which are free; returns where they are.
static uint64_t *head_reserve(const struct log *log, uint64_t len)
{
    uint64_t skip = log_skip(log, len);
    if (skip) {
        store(log_at(log, *log->head), skip); // a filler: the word of an entry without a key
        store(log->head, *log->head + skip);
    }
    uint64_t *place = log_at(log, *log->head);
    store(log->head, *log->head + len);
    return place;
}

// Copies upwards, so it may move an entry towards the log's beginning over itself. How often it was
// asked for goes with it; what hits it has left is for the caller to say.
static void entry_copy(uint64_t *to, const uint64_t *from, uint64_t len, uint64_t hits)
{
    uint64_t word = load(&from[0]) & ~(LAYOUT_HITS_MASK << LAYOUT_HITS_SHIFT);
    store(&to[0], word | hits << LAYOUT_HITS_SHIFT);
    for (uint64_t i = 1; i < len / LAYOUT_WORD; i++)
        store(&to[i], load(&from[i]));
}

// Moves the entry at the tail of `from`, which `place` leads to, to the main log's head; there is
// room for it. Readers find it in the old place until it is whole in the new one. It is a good
// moment to bring it home to its first bucket, should that have room again: its line is here, and
// the fewer stand in their second one the fewer lookups need two.
static void entry_move(const struct writing *w, const uint64_t *entry, struct place place,
                       uint64_t hits)
{
    uint64_t len = layout_entry_len(load(&entry[0]));
    uint64_t tag = place.bucket->slots[place.index] & ~LAYOUT_OFFSET_MASK;
    uint64_t *to = head_reserve(&w->main, len);
    entry_copy(to, entry, len, hits);
    slot_change(place.bucket, place.index, tag | offset_of(w->shard, to));
    if (place.second)
        (void)slot_move(w, place.bucket, place.index, true);
}

// Writes the entry at the main log's tail at its head again where the room between them is less
// than its length: the new place overlaps the old one, so readers miss it for that moment.
static void entry_move_over(const struct writing *w, uint64_t *entry, struct place place,
                            uint64_t hits)
{
    uint64_t len = layout_entry_len(load(&entry[0]));
    uint64_t slot = place.bucket->slots[place.index];
    slot_change(place.bucket, place.index, 0);
    tail_advance(&w->main, len);
    uint64_t *to = head_reserve(&w->main, len);
    entry_copy(to, entry, len, hits);
    slot_change(place.bucket, place.index, (slot & ~LAYOUT_OFFSET_MASK) | offset_of(w->shard, to));
}

// Lets the main log's tail pass one entry.
static void main_tail_pass(const struct writing *w)
{
    const struct log *log = &w->main;
    assert(*log->tail < *log->head);
    uint64_t *entry = log_at(log, *log->tail);
    uint64_t word = load(&entry[0]), len = layout_entry_len(word);
    struct place place = {0};
    if (layout_key_len(word) != 0)
        place = place_of_offset(w, hash_low(word), offset_of(w->shard, entry));
    if (!place.bucket) {
        tail_advance(log, len);
        return;
    }
    uint64_t hits = layout_hits(word);
    if (hits == 0 || is_over(w, expiry_of(entry))) {
        evict(w, place, entry);
        tail_advance(log, len);
    } else if (log_free(log) >= log_skip(log, len) + len) {
        entry_move(w, entry, place, hits - 1);
        tail_advance(log, len);
    } else if (log_skip(log, len) == 0) {
        entry_move_over(w, entry, place, hits - 1);
    } else {
        // A filler would have to go where the entry itself still is. Once in a round at most.
        evict(w, place, entry);
        tail_advance(log, len);
    }
}

static void main_make_room(const struct writing *w, uint64_t len)
{
    while (log_free(&w->main) < log_skip(&w->main, len) + len)
        main_tail_pass(w);
}

// True if the main log's tail next meets something without use: a filler, a dead entry, or an
// expired one.
static bool main_tail_is_idle(const struct writing *w)
{
    if (*w->main.tail == *w->main.head)
        return false;
    const uint64_t *entry = log_at(&w->main, *w->main.tail);
    uint64_t word = load(&entry[0]);
    if (layout_key_len(word) == 0 || is_over(w, expiry_of(entry)))
        return true;
    uint64_t offset = offset_of(w->shard, entry);
    return !place_of_offset(w, hash_low(word), offset).bucket;
}

// Nothing has to prove itself as long as the main log has room, be it that it was never full or
// that what stands at its tail is over: that goes before anything alive does.
static bool main_is_roomy(const struct writing *w)
{
    for (unsigned i = 0; i < IDLE_PASSES && main_tail_is_idle(w); i++)
        main_tail_pass(w);
    return log_free(&w->main) > w->main.size / ROOMY_SHARE;
}

// Lets the small log's tail pass one entry.
static void small_tail_pass(const struct writing *w)
{
    const struct log *log = &w->small;
    assert(*log->tail < *log->head);
    uint64_t *entry = log_at(log, *log->tail);
    uint64_t word = load(&entry[0]), len = layout_entry_len(word);
    uint64_t offset = offset_of(w->shard, entry);
    struct place place = {0};
    if (layout_key_len(word) != 0)
        place = place_of_offset(w, hash_low(word), offset);
    bool over = place.bucket && is_over(w, expiry_of(entry));
    if (place.bucket && !over && (layout_hits(word) > 0 || main_is_roomy(w))) {
        main_make_room(w, len);
        entry_move(w, entry, place, 0);
    } else if (place.bucket) {
        uint64_t tag = place.bucket->slots[place.index] & ~LAYOUT_OFFSET_MASK;
        if (!over)
            ghost_add(w, hash_low(word), tag);
        evict(w, place, entry);
    }
    tail_advance(log, len);
}

static void small_make_room(const struct writing *w, uint64_t len)
{
    while (log_free(&w->small) < log_skip(&w->small, len) + len)
        small_tail_pass(w);
}

// --- verbs -------------------------------------------------------------------------------------

// Writes `len` octets into a word from its octet `at` on, keeping what stands before them.
static void word_write(uint64_t *to, size_t at, const uint8_t *bytes, size_t len)
{
    uint64_t word = at > 0 ? load(to) : 0;
    memcpy((uint8_t *)&word + at, bytes, len);
    store(to, word);
}

// Writes octets from the octet `at` on, the same.
static void words_write(uint64_t *to, size_t at, const uint8_t *bytes, size_t len)
{
    to += at / LAYOUT_WORD;
    at %= LAYOUT_WORD;
    if (at > 0) {
        size_t take = LAYOUT_WORD - at < len ? LAYOUT_WORD - at : len;
        word_write(to++, at, bytes, take);
        bytes += take;
        len -= take;
    }
    for (; len >= LAYOUT_WORD; len -= LAYOUT_WORD, bytes += LAYOUT_WORD)
        word_write(to++, 0, bytes, LAYOUT_WORD);
    if (len > 0)
        word_write(to, 0, bytes, len);
}

static void entry_write(uint64_t *entry, uint64_t word, const struct cache_key *key,
                        const struct cache_value *value)
{
    uint64_t *bytes = entry + LAYOUT_ENTRY_HEADER_LEN / LAYOUT_WORD;
    store(&entry[0], word);
    store(&entry[1], value->birth_s | (uint64_t)value->expiry_s << 32);
    words_write(bytes, 0, value->bytes, value->len);
    words_write(bytes, value->len, key->bytes, key->len);
}

static bool in_main(const struct writing *w, uint64_t offset)
{
    const uint8_t *at = (const uint8_t *)entry_at(w->shard, offset);
    return at >= w->main.bytes && at < w->main.bytes + w->main.size;
}

// A value that replaces one keeps what that had earned: its log and its hits.
static bool goes_to_main(const struct writing *w, const struct cache_key *key, struct place old,
                         uint64_t len, uint64_t *hits)
{
    *hits = 0;
    if (old.bucket) {
        uint64_t offset = slot_offset(old.bucket->slots[old.index]);
        *hits = layout_hits(load(entry_at(w->shard, offset)));
        if (in_main(w, offset))
            return true;
    }
    // What would fill the small log alone never gets to prove itself there.
    return len > w->small.size / LARGEST_SHARE ||
           ghost_remove(w, (uint32_t)key->hash, layout_tag(key->hash));
}

int cache_insert(struct cache *cache, const struct cache_key *key, const struct cache_value *value,
                 uint32_t now_s, struct cache_inserted *inserted)
{
    *inserted = (struct cache_inserted){0};
    if (key->len == 0 || key->len > CACHE_KEY_MAX || value->len == 0 ||
        value->len > CACHE_VALUE_MAX)
        return -1;
    uint64_t word = value->len | (uint64_t)key->len << LAYOUT_KEY_LEN_SHIFT |
                    (uint64_t)(uint32_t)key->hash << LAYOUT_HASH_SHIFT;
    uint64_t len = layout_entry_len(word);
    struct writing w;
    writing_begin(&w, cache, cache_shard_of(cache, key->hash), now_s, inserted);
    if (len > w.main.size / LARGEST_SHARE)
        return -1;

    uint64_t hits;
    shard_mark(w.shard);
    struct place old = place_of_key(&w, key);
    bool main = goes_to_main(&w, key, old, len, &hits);
    if (main)
        main_make_room(&w, len);
    else
        small_make_room(&w, len);
    uint64_t *entry = head_reserve(main ? &w.main : &w.small, len);
    entry_write(entry, word | hits << LAYOUT_HITS_SHIFT, key, value);

    uint64_t slot = layout_tag(key->hash) | offset_of(w.shard, entry);
    if (old.bucket)
        old = place_of_key(&w, key); // making room may have moved or dropped it
    inserted->replaced = old.bucket != NULL;
    if (old.bucket)
        slot_change(old.bucket, old.index, slot);
    else
        slot_fill(&w, (uint32_t)key->hash, slot);
    shard_unmark(w.shard);
    return 0;
}

// The entry under a key, to be changed where it stands; NULL: there is none.
static uint64_t *entry_of_key(const struct cache *cache, const struct cache_key *key)
{
    struct writing w;
    writing_begin(&w, cache, cache_shard_of(cache, key->hash), 0, NULL);
    struct place place = place_of_key(&w, key);
    if (!place.bucket)
        return NULL;
    return entry_at(w.shard, slot_offset(place.bucket->slots[place.index]));
}

bool cache_mark(struct cache *cache, const struct cache_key *key, unsigned hits, unsigned asked)
{
    assert(hits <= CACHE_HITS_MAX && asked <= CACHE_HITS_MAX);
    uint64_t *entry = entry_of_key(cache, key);
    if (!entry)
        return false;
    uint64_t word = load(&entry[0]) & ~(LAYOUT_HITS_MASK << LAYOUT_HITS_SHIFT) &
                    ~(LAYOUT_ASKED_MASK << LAYOUT_ASKED_SHIFT);
    // A reader's mark between the two would be lost, and nothing else.
    store(&entry[0],
          word | (uint64_t)hits << LAYOUT_HITS_SHIFT | (uint64_t)asked << LAYOUT_ASKED_SHIFT);
    return true;
}

bool cache_overwrite(struct cache *cache, const struct cache_key *key, uint32_t at,
                     const void *bytes, uint32_t len)
{
    uint64_t *entry = entry_of_key(cache, key);
    uint64_t value_len = entry ? layout_value_len(load(&entry[0])) : 0;
    if (!entry || at > value_len || len > value_len - at)
        return false;
    for (uint32_t i = 0; i < len; i++) {
        uint64_t *word = &entry[2 + (at + i) / LAYOUT_WORD];
        unsigned shift = (at + i) % LAYOUT_WORD * 8;
        uint64_t octet = ((const uint8_t *)bytes)[i];
        store(word, (load(word) & ~(0xffull << shift)) | octet << shift);
    }
    return true;
}

bool cache_remove(struct cache *cache, const struct cache_key *key)
{
    struct writing w;
    writing_begin(&w, cache, cache_shard_of(cache, key->hash), 0, NULL);
    struct place place = place_of_key(&w, key);
    if (!place.bucket)
        return false;
    shard_mark(w.shard);
    place_clear(&w, place, (uint32_t)key->hash);
    shard_unmark(w.shard);
    return true;
}

static void bucket_sweep(const struct writing *w, struct layout_bucket *bucket,
                         struct cache_sweep *sweep,
                         bool (*matches)(const void *context, const struct cache_entry *entry),
                         const void *context)
{
    for (unsigned i = 0; i < LAYOUT_SLOTS; i++) {
        if (bucket->slots[i] == 0)
            continue;
        const uint64_t *entry = entry_at(w->shard, slot_offset(bucket->slots[i]));
        uint64_t word = load(&entry[0]), value_len = layout_value_len(word);
        // Only this thread writes here; readers mark hits in the header alone.
        const uint8_t *value = (const uint8_t *)entry + LAYOUT_ENTRY_HEADER_LEN;
        const struct cache_entry seen = {
            .key = value + value_len,
            .value = value,
            .key_len = layout_key_len(word),
            .value_len = value_len,
        };
        if (!matches(context, &seen))
            continue;
        bool second = bucket != first_bucket(w->cache, w->shard, hash_low(word));
        place_clear(w, (struct place){bucket, i, second}, hash_low(word));
        sweep->removed++;
    }
}

bool cache_sweep(struct cache *cache, struct cache_sweep *sweep, size_t budget,
                 bool (*matches)(const void *context, const struct cache_entry *entry),
                 const void *context)
{
    struct writing w;
    uint32_t count = cache->bucket_count;
    if (budget == 0 || sweep->bucket >= count)
        return sweep->bucket < count;
    writing_begin(&w, cache, sweep->shard, 0, NULL);
    if (sweep->bucket == 0)
        store(&w.shard->sweeps, w.shard->sweeps + 1);
    shard_mark(w.shard);
    for (; sweep->bucket < count && budget > 0; sweep->bucket++, budget--)
        bucket_sweep(&w, &buckets_of(w.shard)[sweep->bucket], sweep, matches, context);
    shard_unmark(w.shard);
    if (sweep->bucket < count)
        return true;
    store(&w.shard->sweeps, w.shard->sweeps - 1);
    return false;
}
