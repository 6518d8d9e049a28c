// SPDX-License-Identifier: MIT
#include "io/edge/snapshot_read.h"

#include "core/wire/key.h"
#include "io/edge/snapshot_form.h"
#include "io/edge/snapshot_place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// The file is gone through three times, always block by block with read calls: a file may be cut
// while it is read, and a mapping of it would end the program then. The first time everything is
// checked: checksums, places, totals, and of each entry that it is one which core/answer and the
// workers can use without harm. Then the entries that were not asked for again are stored, and
// last those that were: what is stored last is evicted last, so where not all have room it is the
// popular names that stay. Each is marked as hit as often as it was. Should the file change
// between, all that was stored is taken out again.

enum {
    SKEW_MAX_S = 60,     // a clock may be set back so far without being called wrong
    PREFETCH_AHEAD = 16, // entries
};

enum pass { PASS_CHECK, PASS_COLD, PASS_HOT };

struct reading {
    struct cache *cache;
    const char *path;
    char *why;
    int fd;
    uint32_t now_s;
    uint64_t size; // of the file
    uint64_t id;
    uint64_t at;       // offset of the next block
    uint64_t position; // of the next block
    uint64_t entries;  // of the blocks before
    uint64_t doubled;  // of them: those that the writer met twice
    bool stored;       // something, in the cache
    struct snapshot_gate *gate;
    struct snapshot_result *result;
    struct block block;
    struct entry table[ENTRIES_MAX]; // of the block
};

static int damaged(const struct reading *r, const char *what)
{
    return snapshot_say(r->why, -EBADMSG, r->path, "is damaged: block %llu %s",
                        (unsigned long long)r->position, what);
}

// Reads exactly `len` octets of the file.
static int octets_read(const struct reading *r, void *to, size_t len, uint64_t at)
{
    uint8_t *out = to;
    while (len > 0) {
        ssize_t got = pread(r->fd, out, len, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return snapshot_say(r->why, -errno, r->path, "cannot be read: %s", strerror(errno));
        if (got == 0)
            return snapshot_say(r->why, -EBADMSG, r->path, "was cut while it was read");
        out += got;
        at += (uint64_t)got;
        len -= (size_t)got;
    }
    return 0;
}

static int header_read(struct reading *r)
{
    struct file_header header = {0};
    bool whole = r->size >= sizeof header;
    int error = octets_read(r, &header, whole ? sizeof header : r->size, 0);
    if (error < 0)
        return error;
    size_t magic_len = r->size < sizeof header.magic ? r->size : sizeof header.magic;
    if (r->size == 0)
        return snapshot_say(r->why, -EBADMSG, r->path, "is empty");
    if (memcmp(header.magic, SNAPSHOT_MAGIC, magic_len) != 0)
        return snapshot_say(r->why, -EBADMSG, r->path, "is no snapshot of ouzel");
    if (!whole)
        return snapshot_say(r->why, -EBADMSG, r->path, "is cut: its header is not whole");
    if (header.version != SNAPSHOT_VERSION)
        return snapshot_say(r->why, -EBADMSG, r->path,
                            "is of %s version, %u, and this ouzel reads %u",
                            header.version < SNAPSHOT_VERSION ? "an older" : "a newer",
                            header.version, SNAPSHOT_VERSION);
    if (header.checksum != snapshot_header_checksum(&header))
        return snapshot_say(r->why, -EBADMSG, r->path,
                            "is damaged: its header has a wrong checksum");
    if (header.flags != 0)
        return snapshot_say(r->why, -EBADMSG, r->path,
                            "has flags that this ouzel does not know: %#x", header.flags);
    if (header.begun_s > (uint64_t)r->now_s + SKEW_MAX_S)
        return snapshot_say(r->why, -EBADMSG, r->path,
                            "is from the future, by %u s: this or that clock is wrong",
                            header.begun_s - r->now_s);
    r->id = header.id;
    r->result->begun_s = header.begun_s;
    return 0;
}

// Reads the header of the next block and, unless it is of the kind to `skip`, the whole of it.
static int block_read(struct reading *r, uint32_t skip)
{
    struct block *block = &r->block;
    uint64_t left = r->size - r->at;
    if (left < sizeof block->header)
        return snapshot_say(r->why, -EBADMSG, r->path, "is cut: it ends %s block %llu",
                            left ? "within" : "before", (unsigned long long)r->position);
    int error = octets_read(r, &block->header, sizeof block->header, r->at);
    if (error < 0)
        return error;
    if (block->header.len > sizeof block->entries)
        return damaged(r, "has an impossible length");
    if (block->header.len > left - sizeof block->header)
        return snapshot_say(r->why, -EBADMSG, r->path, "is cut: it ends within block %llu",
                            (unsigned long long)r->position);
    if (block->header.kind == skip)
        return 0;
    error = octets_read(r, block->entries, block->header.len, r->at + sizeof block->header);
    if (error < 0)
        return error;
    uint64_t checksum = block->header.checksum;
    if (checksum != snapshot_block_checksum(block, r->id))
        return damaged(r, "has a wrong checksum");
    if (block->header.position != r->position)
        return damaged(r, "belongs in another place");
    return 0;
}

// Finds the entries of the block, each of which must be whole, and good where that is to be seen.
static int table_fill(struct reading *r, bool check)
{
    const struct block *block = &r->block;
    uint32_t at = 0;
    if (block->header.count > ENTRIES_MAX || block->header.unused != 0)
        return damaged(r, "has an impossible number of entries");
    for (uint32_t i = 0; i < block->header.count; i++) {
        struct entry *entry = &r->table[i];
        if (block->header.len - at < sizeof entry->header)
            return damaged(r, "ends within an entry");
        memcpy(&entry->header, block->entries + at, sizeof entry->header);
        at += (uint32_t)sizeof entry->header;
        uint32_t octets = entry->header.value_len + entry->header.key_len;
        if (!snapshot_lens_good(&entry->header) || block->header.len - at < octets)
            return damaged(r, "holds an entry of an impossible length");
        entry->value = block->entries + at;
        entry->key = entry->value + entry->header.value_len;
        const char *fault = check ? snapshot_entry_fault(entry) : NULL;
        if (fault) {
            char what[80];
            snprintf(what, sizeof what, "holds %s", fault);
            return damaged(r, what);
        }
        at += octets;
    }
    return at == block->header.len ? 0 : damaged(r, "holds more than its entries");
}

static void entry_store(struct reading *r, const struct entry *entry)
{
    const struct entry_header *header = &entry->header;
    if (snapshot_is_over(r->cache, header->expiry_s, r->now_s)) {
        r->result->expired++;
        return;
    }
    if (header->birth_s > r->now_s) {
        r->result->future++;
        return;
    }
    struct cache_key key = {.hash = entry->hash, .bytes = entry->key, .len = header->key_len};
    struct cache_value value = {
        .bytes = entry->value,
        .len = header->value_len,
        .birth_s = header->birth_s,
        .expiry_s = header->expiry_s,
    };
    struct cache_inserted inserted;
    if (cache_insert(r->cache, &key, &value, r->now_s, &inserted) != 0)
        return; // too large for this cache; it is missing in the end and counted with the unfit
    r->doubled += inserted.replaced;
    (void)cache_mark(r->cache, &key, header->hits, header->asked);
}

// May the cache be touched, until gate_leave?
static bool gate_enter(const struct reading *r)
{
    if (!r->gate)
        return true;
    pthread_mutex_lock(&r->gate->lock);
    bool open = !r->gate->closed;
    if (!open)
        pthread_mutex_unlock(&r->gate->lock);
    return open;
}

static void gate_leave(const struct reading *r)
{
    if (r->gate)
        pthread_mutex_unlock(&r->gate->lock);
}

// Stores the entries of the block; their buckets are fetched some entries ahead.
static void table_store(struct reading *r)
{
    uint32_t count = r->block.header.count;
    for (uint32_t i = 0; i < count + PREFETCH_AHEAD; i++) {
        if (i < count) {
            struct entry *entry = &r->table[i];
            entry->hash = key_hash(entry->key, entry->header.key_len, r->cache->seed);
            cache_prefetch_bucket(r->cache, entry->hash);
        }
        if (i >= PREFETCH_AHEAD)
            entry_store(r, &r->table[i - PREFETCH_AHEAD]);
    }
}

// The last block says how much there must have been, and is the last.
static int end_check(const struct reading *r)
{
    struct block_end end;
    if (r->block.header.len != sizeof end || r->block.header.count != 0)
        return damaged(r, "is no end");
    memcpy(&end, r->block.entries, sizeof end);
    if (end.entries != r->entries || end.blocks != r->position)
        return damaged(r, "says another number of entries than there are");
    uint64_t end_at = r->at + sizeof r->block.header + sizeof end;
    if (end_at != r->size)
        return snapshot_say(r->why, -EBADMSG, r->path,
                            "is damaged: it goes on for %llu octets at its end",
                            (unsigned long long)(r->size - end_at));
    return 0;
}

static int pass_through(struct reading *r, enum pass pass)
{
    uint32_t skip = pass == PASS_COLD ? BLOCK_HOT : pass == PASS_HOT ? BLOCK_COLD : 0;
    r->at = sizeof(struct file_header);
    r->position = 0;
    r->entries = 0;
    for (;;) {
        int error = block_read(r, skip);
        const struct block_header *header = &r->block.header;
        if (error == 0 && header->kind == BLOCK_END)
            return end_check(r);
        if (error == 0 && header->kind != BLOCK_COLD && header->kind != BLOCK_HOT)
            error = damaged(r, "is of a kind that does not exist");
        if (error == 0 && header->kind != skip)
            error = table_fill(r, pass == PASS_CHECK);
        if (error < 0)
            return error;
        if (pass != PASS_CHECK && header->kind != skip) {
            if (!gate_enter(r))
                return -ECANCELED;
            r->stored = true;
            if (r->gate)
                r->gate->stored = true;
            table_store(r);
            gate_leave(r);
        }
        if (r->gate)
            __atomic_add_fetch(&r->gate->blocks, 1, __ATOMIC_RELAXED);
        r->entries += header->count;
        r->position++;
        r->at += sizeof *header + header->len;
    }
}

static bool any(const void *context, const struct cache_entry *entry)
{
    (void)context;
    (void)entry;
    return true;
}

static void cache_empty(struct cache *cache)
{
    for (uint32_t shard = 0; shard < cache->shard_count; shard++) {
        struct cache_sweep sweep = {.shard = shard};
        while (cache_sweep(cache, &sweep, cache->bucket_count, any, NULL))
            continue;
    }
}

static int file_open(struct reading *r)
{
    struct stat stat;
    const char *fault;
    r->fd = snapshot_place_open(r->path, &fault);
    if (r->fd < 0 && fault)
        return snapshot_say(r->why, r->fd, r->path, "is not read: it %s", fault);
    if (r->fd < 0)
        return snapshot_say(r->why, r->fd, r->path, "cannot be read: %s", strerror(-r->fd));
    if (fstat(r->fd, &stat) < 0)
        return snapshot_say(r->why, -errno, r->path, "cannot be read: %s", strerror(errno));
    r->size = (uint64_t)stat.st_size;
    (void)posix_fadvise(r->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    return 0;
}

// Checks all of it, and then stores what is still alive.
static int file_read(struct reading *r)
{
    int error = file_open(r);
    if (error == 0)
        error = header_read(r);
    for (enum pass pass = PASS_CHECK; pass <= PASS_HOT && error == 0; pass++)
        error = pass_through(r, pass);
    return error;
}

// The cache is still ours: it is as the result says, or empty.
static void reading_end(struct reading *r, int error)
{
    struct snapshot_result *result = r->result;
    struct cache_use use;
    if (error < 0) {
        *result = (struct snapshot_result){0};
        if (r->stored)
            cache_empty(r->cache);
        return;
    }
    cache_use(r->cache, &use);
    result->octets = r->size;
    result->entries = use.entries;
    result->unfit = r->entries - r->doubled - result->expired - result->future - use.entries;
}

int snapshot_read(struct cache *cache, const char *path, uint32_t now_s, struct snapshot_gate *gate,
                  struct snapshot_result *result, char why[static SNAPSHOT_WHY_SIZE])
{
    *result = (struct snapshot_result){0};
    struct reading *r = calloc(1, sizeof *r);
    if (!r)
        return snapshot_say(why, -ENOMEM, path, "cannot be read: %s", strerror(ENOMEM));
    r->cache = cache;
    r->path = path;
    r->why = why;
    r->fd = -1;
    r->now_s = now_s;
    r->gate = gate;
    r->result = result;
    int error = file_read(r);
    if (gate_enter(r)) {
        reading_end(r, error);
        gate_leave(r);
    } else {
        error = snapshot_say(why, -ECANCELED, path, "is read no further");
    }
    if (r->fd >= 0)
        close(r->fd);
    free(r);
    return error;
}

void snapshot_gate_init(struct snapshot_gate *gate)
{
    *gate = (struct snapshot_gate){.lock = PTHREAD_MUTEX_INITIALIZER};
}

void snapshot_gate_close(struct snapshot_gate *gate, struct cache *cache)
{
    pthread_mutex_lock(&gate->lock);
    if (!gate->closed && gate->stored)
        cache_empty(cache);
    gate->closed = true;
    pthread_mutex_unlock(&gate->lock);
}
