// SPDX-License-Identifier: MIT
#include "cache/shard.h"

// Puts a shard right whose writer was killed in the middle of a verb, so that another one can go
// on. It rests on the order in which write.c writes:
//
// - A slot leads only to an entry whose words are complete, and to one between tail and head.
// - Of each log only what was taken last, at the head, may hold words that are not an entry's yet.
// - An entry that changes its bucket stands in both for a moment; the overflow counts and the
//   number of entries follow the slots.
//
// So the slots are right, but for one that may stand twice. Everything behind the last entry that
// one leads to becomes a filler, and all counts are made again from the slots.

enum { SMALL, MAIN, LOGS };

#define FILLER_MAX (LAYOUT_VALUE_LEN_MASK & ~(uint64_t)(LAYOUT_WORD - 1))

struct repair {
    const struct cache *cache;
    struct layout_shard *shard;
    struct repair_log {
        uint64_t start, size, tail, head; // tail and head as in the shard's header
        uint64_t end;                     // of the last entry that a slot leads to, as a count
    } logs[LOGS];
    uint64_t entries;
};

// Is there an entry between tail and head? Then the log's end of sound entries is behind it.
static bool entry_note(struct repair_log *log, uint64_t offset, uint64_t word)
{
    uint64_t place = offset - log->start, len = layout_entry_len(word);
    if (offset < log->start || place >= log->size || place % LAYOUT_WORD != 0 ||
        layout_key_len(word) == 0 || len > log->size - place)
        return false;
    uint64_t count = log->tail + (place + log->size - log->tail % log->size) % log->size;
    if (count + len > log->head)
        return false;
    if (count + len > log->end)
        log->end = count + len;
    return true;
}

static bool leads_to(const struct layout_bucket *bucket, unsigned slots, uint64_t offset)
{
    for (unsigned i = 0; i < slots; i++) {
        if (bucket->slots[i] != 0 && slot_offset(bucket->slots[i]) == offset)
            return true;
    }
    return false;
}

// Whether the slot is one to keep: it leads to an entry that belongs here, and is the first to.
static bool slot_is_good(struct repair *r, const struct layout_bucket *bucket, unsigned index)
{
    uint64_t offset = slot_offset(bucket->slots[index]);
    if (offset < r->logs[SMALL].start || offset >= r->cache->shard_stride)
        return false;
    uint64_t word = load(entry_at(r->shard, offset));
    const struct layout_bucket *first = first_bucket(r->cache, r->shard, hash_low(word));
    if (bucket != first && bucket != second_bucket(r->cache, r->shard, hash_low(word)))
        return false;
    if (leads_to(bucket, index, offset) ||
        (bucket != first && leads_to(first, LAYOUT_SLOTS, offset)))
        return false;
    return entry_note(&r->logs[SMALL], offset, word) || entry_note(&r->logs[MAIN], offset, word);
}

static void sequence_store(struct layout_bucket *bucket, uint64_t sequence)
{
    __atomic_store_n(&bucket->sequence, sequence + LAYOUT_VERSION_STEP, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

// Empties the slots that are not to stay, and counts the others. Overflow counts begin at 0.
static void slots_repair(struct repair *r, struct layout_bucket *bucket)
{
    for (unsigned i = 0; i < LAYOUT_SLOTS; i++) {
        if (bucket->slots[i] == 0)
            continue;
        if (slot_is_good(r, bucket, i))
            r->entries++;
        else
            __atomic_store_n(&bucket->slots[i], 0, __ATOMIC_RELEASE);
    }
    sequence_store(bucket, load(&bucket->sequence) & ~LAYOUT_OVERFLOW_MASK);
}

static void overflow_count(const struct repair *r, const struct layout_bucket *bucket)
{
    for (unsigned i = 0; i < LAYOUT_SLOTS; i++) {
        if (bucket->slots[i] == 0)
            continue;
        uint32_t low = hash_low(load(entry_at(r->shard, slot_offset(bucket->slots[i]))));
        struct layout_bucket *first = first_bucket(r->cache, r->shard, low);
        if (bucket != first)
            sequence_store(first, load(&first->sequence) + 1);
    }
}

// No filler crosses the log's end.
static void log_fill(const struct repair *r, const struct repair_log *log)
{
    uint64_t at = log->end;
    while (at < log->head) {
        uint64_t len = log->head - at, to_end = log->size - at % log->size;
        len = len < to_end ? len : to_end;
        len = len < FILLER_MAX ? len : FILLER_MAX;
        store(entry_at(r->shard, log->start + at % log->size), len);
        at += len;
    }
}

bool cache_repair(struct cache *cache, uint32_t index)
{
    struct layout_shard *shard = shard_at(cache, index);
    struct repair r = {
        .cache = cache,
        .shard = shard,
        .logs = {{cache->small_start, cache->small_size, shard->small_tail, shard->small_head,
                  shard->small_tail},
                 {cache->main_start, cache->main_size, shard->main_tail, shard->main_head,
                  shard->main_tail}},
    };
    store(&shard->sweeps, 0); // a sweep that was under way has ended with its process
    if (load(&shard->writing) == 0)
        return false;
    for (uint32_t i = 0; i < cache->bucket_count; i++)
        slots_repair(&r, &buckets_of(shard)[i]);
    for (uint32_t i = 0; i < cache->bucket_count; i++)
        overflow_count(&r, &buckets_of(shard)[i]);
    for (unsigned i = 0; i < LOGS; i++)
        log_fill(&r, &r.logs[i]);
    store(&shard->entries, r.entries);
    __atomic_store_n(&shard->writing, 0, __ATOMIC_RELEASE);
    return true;
}
