// SPDX-License-Identifier: MIT
#include "io/edge/snapshot.h"

#include "core/answer.h"
#include "core/wire/checksum.h"
#include "io/edge/snapshot_place.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

// Writing: nothing is ever changed in the good file. The new one is written beside it under a lock
// that is held until it has its name, so two writers cannot spoil each other's.
//
// Reading goes through the file three times, always block by block with read calls: a file may be
// cut while it is read, and a mapping of it would end the program then. The first time everything
// is checked: checksums, places, totals, and of each entry that it is one which core/answer and
// the workers can use without harm. Then the entries that were not asked for again are stored, and
// last those that were: what is stored last is evicted last, so where not all have room it is the
// popular names that stay. Each is marked as hit as often as it was. Should the file change
// between, all that was stored is taken out again.

enum {
    BLOCK_SIZE = 256 * 1024,
    VALUE_MIN = MESSAGE_HEADER_LEN + 5 + sizeof(struct answer_trailer), // for the root, no records
    KEY_MIN = KEY_HEAD_LEN + 1,
    SKEW_MAX_S = 60,     // a clock may be set back so far without being called wrong
    PREFETCH_AHEAD = 16, // entries
    OPEN_TRIES = 4,
    BURST_OCTETS = 512 * 1024, // written between two rests, where ...
    ENTRY_EFFORT = 512,        // ... finding an entry takes as long as writing so many
    REST_NS = 50000,
    OLD_PIECE = 2 << 20, // octets
};

enum block_kind { BLOCK_COLD = 0x646c6f63, BLOCK_HOT = 0x20746f68, BLOCK_END = 0x20646e65 };

struct file_header {
    uint8_t magic[8];
    uint32_t version;
    uint32_t flags;
    uint64_t id;
    uint32_t begun_s;
    uint32_t unused[7];
    uint64_t checksum;
};

struct block_header {
    uint64_t checksum; // of all that follows in the block, with the file's id as the seed
    uint32_t kind;
    uint32_t len; // octets behind this header
    uint64_t position;
    uint32_t count;
    uint32_t unused;
};

struct block_end {
    uint64_t entries;
    uint64_t blocks; // before this one
};

struct entry_header {
    uint32_t value_len;
    uint16_t key_len;
    uint8_t hits;
    uint8_t asked;
    uint32_t birth_s;
    uint32_t expiry_s;
};

enum { ENTRIES_MAX = BLOCK_SIZE / (sizeof(struct entry_header) + VALUE_MIN + KEY_MIN) };

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the file is little-endian");
_Static_assert(sizeof(struct file_header) == 64 && sizeof(struct block_header) == 32 &&
                   sizeof(struct block_end) == 16 && sizeof(struct entry_header) == 16,
               "the file has no gaps");
_Static_assert(sizeof(struct block_header) + sizeof(struct entry_header) + CACHE_VALUE_MAX +
                       CACHE_KEY_MAX <=
                   BLOCK_SIZE,
               "each entry fits in a block");

static const uint8_t magic[8] = SNAPSHOT_MAGIC;

// A block as it lies in the file.
struct block {
    struct block_header header;
    uint8_t entries[BLOCK_SIZE - sizeof(struct block_header)];
};

static uint64_t header_checksum(const struct file_header *header)
{
    return checksum_of(header, offsetof(struct file_header, checksum), 0);
}

// Over all of the block behind its checksum.
static uint64_t block_checksum(const struct block *block, uint64_t id)
{
    size_t skip = sizeof block->header.checksum;
    return checksum_of((const uint8_t *)block + skip,
                       sizeof block->header + block->header.len - skip, id);
}

// Writes the sentence, and returns the error for the caller to return.
__attribute__((format(printf, 4, 5))) static int say(char why[static SNAPSHOT_WHY_SIZE], int error,
                                                     const char *path, const char *format, ...)
{
    int len = snprintf(why, SNAPSHOT_WHY_SIZE, "the snapshot %.400s ", path);
    assert(len > 0 && len < SNAPSHOT_WHY_SIZE);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why + len, SNAPSHOT_WHY_SIZE - (size_t)len, format, arguments);
    va_end(arguments);
    return error;
}

// One entry in memory: of a block that was read, or a copy out of the cache.
struct entry {
    struct entry_header header;
    const uint8_t *value;
    const uint8_t *key;
    uint64_t hash; // with the cache's seed
};

// Would this be found, and given back without harm? An answer is kept under its own question, in
// lower case (core/wire/key.h); that a name does not exist may be kept for all types, as type 0.
static const char *entry_fault(const struct entry *entry)
{
    const uint8_t *key = entry->key, *value = entry->value;
    size_t name_len = entry->header.key_len - KEY_HEAD_LEN;
    uint8_t lower[NAME_MAX_LEN];
    if (entry->header.hits > CACHE_HITS_MAX || entry->header.asked > CACHE_HITS_MAX)
        return "an entry with an impossible mark";
    if (entry->header.birth_s >= entry->header.expiry_s)
        return "an entry that ends before it begins";
    if (name_length(key + KEY_HEAD_LEN, name_len) != name_len || load_be16(key + 2) != CLASS_IN ||
        key[4] & ~(KEY_DO | KEY_CD))
        return "a key that is no question";
    name_lower(lower, key + KEY_HEAD_LEN, name_len);
    if (memcmp(lower, key + KEY_HEAD_LEN, name_len) != 0)
        return "a key with upper-case letters";
    if (!answer_check(value, entry->header.value_len))
        return "a value that is no answer";
    // The value is longer than its question, as answer_check has seen, though maybe not this one.
    const uint8_t *question = value + MESSAGE_HEADER_LEN;
    bool any_type = load_be16(key) == 0 && (value[3] & HEADER_RCODE) == RCODE_NXDOMAIN;
    if (entry->header.value_len < MESSAGE_HEADER_LEN + name_len + 4 ||
        memcmp(question, key + KEY_HEAD_LEN, name_len) != 0 ||
        (memcmp(question + name_len, key, 2) != 0 && !any_type) ||
        memcmp(question + name_len + 2, key + 2, 2) != 0)
        return "an answer to another question than its key's";
    return NULL;
}

static bool lens_good(const struct entry_header *header)
{
    return header->key_len >= KEY_MIN && header->key_len <= KEY_LEN_MAX &&
           header->value_len >= VALUE_MIN && header->value_len <= CACHE_VALUE_MAX;
}

// Its time is over, and so is that as a stale answer.
static bool is_over(const struct cache *cache, uint32_t expiry_s, uint32_t now_s)
{
    return now_s >= (uint64_t)expiry_s + cache->stale_s;
}

// --- writing -----------------------------------------------------------------------------------

struct writing {
    const char *path;
    char *why;
    int directory_fd;
    int fd;
    const char *name; // within the directory
    char name_new[NAME_MAX + 1];
    uint64_t id;
    uint64_t position; // of the next block
    uint64_t burst;    // effort since the last rest
    struct snapshot_result *result;
    struct block cold, hot;
    struct cache_copy copy;
};

static int write_failed(const struct writing *w, int error)
{
    return say(w->why, error, w->path, "cannot be written: %s", strerror(-error));
}

// Where all CPUs are at work this thread takes one from a worker, and if it went on until its time
// was up the worker would wait for milliseconds. So it goes away by itself, several times in each.
static void rest(struct writing *w, size_t effort)
{
    w->burst += effort;
    if (w->burst < BURST_OCTETS)
        return;
    w->burst = 0;
    (void)nanosleep(&(struct timespec){.tv_nsec = REST_NS}, NULL);
}

static int octets_write(struct writing *w, const void *octets, size_t len)
{
    const uint8_t *at = octets;
    w->result->octets += len;
    while (len > 0) {
        ssize_t written = write(w->fd, at, len);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return write_failed(w, written < 0 ? -errno : -EIO);
        at += written;
        len -= (size_t)written;
    }
    return 0;
}

static int block_write(struct writing *w, struct block *block)
{
    size_t len = sizeof block->header + block->header.len;
    block->header.position = w->position++;
    block->header.checksum = block_checksum(block, w->id);
    int error = octets_write(w, block, len);
    // On its way to the disk now; all at once in the end would keep a CPU for many milliseconds.
    if (error == 0)
        (void)sync_file_range(w->fd, (off_t)(w->result->octets - len), (off_t)len,
                              SYNC_FILE_RANGE_WRITE);
    w->burst = BURST_OCTETS;
    block->header.len = 0;
    block->header.count = 0;
    return error;
}

// Copies what cache_walk found to its block, which is written when it is full.
static int entry_write(struct writing *w)
{
    const struct cache_copy *copy = &w->copy;
    struct entry entry = {
        .header = {.value_len = copy->value_len,
                   .key_len = (uint16_t)copy->key_len,
                   .hits = copy->hits,
                   .asked = copy->asked,
                   .birth_s = copy->birth_s,
                   .expiry_s = copy->expiry_s},
        .value = copy->bytes,
        .key = copy->bytes + copy->value_len,
    };
    // What we would refuse to read must not be in the file.
    if (!lens_good(&entry.header) || entry_fault(&entry)) {
        w->result->unfit++;
        return 0;
    }
    struct block *block = copy->hits ? &w->hot : &w->cold;
    size_t octets = entry.header.value_len + entry.header.key_len;
    if (sizeof block->entries - block->header.len < sizeof entry.header + octets) {
        int error = block_write(w, block);
        if (error < 0)
            return error;
    }
    uint8_t *to = block->entries + block->header.len;
    memcpy(to, &entry.header, sizeof entry.header);
    memcpy(to + sizeof entry.header, copy->bytes, octets);
    block->header.len += (uint32_t)(sizeof entry.header + octets);
    block->header.count++;
    w->result->entries++;
    return 0;
}

static int entries_write(struct writing *w, const struct cache *cache, uint32_t now_s)
{
    struct cache_cursor cursor = {0};
    int error = 0;
    while (error == 0 && cache_walk(cache, &cursor, &w->copy)) {
        rest(w, ENTRY_EFFORT + w->copy.value_len);
        if (is_over(cache, w->copy.expiry_s, now_s))
            w->result->expired++;
        else
            error = entry_write(w);
    }
    if (error == 0 && w->hot.header.count)
        error = block_write(w, &w->hot);
    if (error == 0 && w->cold.header.count)
        error = block_write(w, &w->cold);
    return error;
}

static int file_write(struct writing *w, const struct cache *cache, uint32_t now_s)
{
    struct file_header header = {.version = SNAPSHOT_VERSION, .id = w->id, .begun_s = now_s};
    memcpy(header.magic, magic, sizeof magic);
    header.checksum = header_checksum(&header);
    int error = octets_write(w, &header, sizeof header);
    if (error == 0)
        error = entries_write(w, cache, now_s);
    if (error < 0)
        return error;
    struct block_end end = {.entries = w->result->entries, .blocks = w->position};
    w->cold.header = (struct block_header){.kind = BLOCK_END, .len = sizeof end};
    memcpy(w->cold.entries, &end, sizeof end);
    return block_write(w, &w->cold);
}

// Opens the directory, so that all names are looked up in the same one, whatever happens to it.
static int directory_open(struct writing *w)
{
    const char *slash = strrchr(w->path, '/');
    char directory[PATH_MAX] = ".";
    w->name = slash ? slash + 1 : w->path;
    size_t len = slash ? (size_t)(slash - w->path) : 0;
    int name_len = snprintf(w->name_new, sizeof w->name_new, "%s" SNAPSHOT_NEW, w->name);
    if (len >= sizeof directory || name_len >= (int)sizeof w->name_new)
        return write_failed(w, -ENAMETOOLONG);
    if (*w->name == '\0')
        return write_failed(w, -EISDIR);
    if (slash)
        memcpy(directory, len ? w->path : "/", len ? len : 1);
    if (len)
        directory[len] = '\0';
    w->directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return w->directory_fd < 0 ? write_failed(w, -errno) : 0;
}

// Is the file that we have locked still the one of that name? Its last writer may have renamed it
// between our opening and our locking it.
static bool is_ours(const struct writing *w)
{
    struct stat named, opened;
    return fstat(w->fd, &opened) == 0 &&
           fstatat(w->directory_fd, w->name_new, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           named.st_ino == opened.st_ino && named.st_dev == opened.st_dev;
}

// Opens the new file and locks it for as long as it is open.
static int new_open(struct writing *w)
{
    for (unsigned try = 0; try < OPEN_TRIES; try++) {
        const char *fault =
            snapshot_place_fault(w->directory_fd, w->name_new, SNAPSHOT_PLACE_BEGUN);
        if (fault)
            return say(w->why, -EEXIST, w->path,
                       "cannot be written: %s "
                       "%s",
                       w->name_new, fault);
        w->fd = openat(w->directory_fd, w->name_new,
                       O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0640);
        if (w->fd < 0)
            return write_failed(w, -errno);
        if (flock(w->fd, LOCK_EX | LOCK_NB) < 0) {
            int error = errno == EWOULDBLOCK ? -EBUSY : -errno;
            close(w->fd);
            w->fd = -1;
            return error == -EBUSY ? say(w->why, error, w->path, "is being written by another")
                                   : write_failed(w, error);
        }
        if (is_ours(w) && !snapshot_place_fault_of(w->fd, SNAPSHOT_PLACE_BEGUN))
            return ftruncate(w->fd, 0) < 0 || fchmod(w->fd, 0640) < 0 ? write_failed(w, -errno) : 0;
        close(w->fd);
        w->fd = -1;
    }
    return say(w->why, -EBUSY, w->path, "is being written by another");
}

// Takes the old file's pages out of memory a few at a time: whoever closes a file that has no name
// any more has to free all that is left of it at once.
static void old_close(struct writing *w, int fd)
{
    struct stat stat;
    off_t size = fstat(fd, &stat) == 0 ? stat.st_size : 0;
    for (off_t at = 0; at < size; at += OLD_PIECE) {
        (void)posix_fadvise(fd, at, OLD_PIECE, POSIX_FADV_DONTNEED);
        rest(w, BURST_OCTETS);
    }
    close(fd);
}

// May what has the name now be written over?
static int old_check(const struct writing *w)
{
    const char *fault = snapshot_place_fault(w->directory_fd, w->name, SNAPSHOT_PLACE_DONE);
    return fault ? say(w->why, -EEXIST, w->path, "%s", fault) : 0;
}

// The new file must be whole on the disk before it has the name, and the name before we say so.
static int name_take(struct writing *w)
{
    if (fsync(w->fd) < 0)
        return write_failed(w, -errno);
    int error = old_check(w);
    if (error < 0)
        return error;
    int old_fd = openat(w->directory_fd, w->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (renameat(w->directory_fd, w->name_new, w->directory_fd, w->name) < 0)
        error = write_failed(w, -errno);
    else
        w->name_new[0] = '\0';
    if (old_fd >= 0)
        old_close(w, old_fd);
    if (error == 0 && fsync(w->directory_fd) < 0)
        error = write_failed(w, -errno);
    return error;
}

int snapshot_write(const struct cache *cache, const char *path, uint32_t now_s,
                   struct snapshot_result *result, char why[static SNAPSHOT_WHY_SIZE])
{
    *result = (struct snapshot_result){.begun_s = now_s};
    struct writing *w = calloc(1, sizeof *w);
    if (!w)
        return say(why, -ENOMEM, path, "cannot be written: %s", strerror(ENOMEM));
    w->path = path;
    w->why = why;
    w->directory_fd = w->fd = -1;
    w->result = result;
    w->cold.header.kind = BLOCK_COLD;
    w->hot.header.kind = BLOCK_HOT;

    int error = getrandom(&w->id, sizeof w->id, 0) == sizeof w->id ? 0 : write_failed(w, -EIO);
    if (error == 0)
        error = directory_open(w);
    if (error == 0)
        error = old_check(w);
    if (error == 0)
        error = new_open(w);
    if (error == 0)
        error = file_write(w, cache, now_s);
    if (error == 0)
        error = name_take(w);
    // Only what we have locked is ours to take away.
    if (w->fd >= 0 && w->name_new[0])
        (void)unlinkat(w->directory_fd, w->name_new, 0);
    if (w->fd >= 0)
        close(w->fd);
    if (w->directory_fd >= 0)
        close(w->directory_fd);
    free(w);
    return error;
}

// --- reading -----------------------------------------------------------------------------------

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
    return say(r->why, -EBADMSG, r->path, "is damaged: block %llu %s",
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
            return say(r->why, -errno, r->path, "cannot be read: %s", strerror(errno));
        if (got == 0)
            return say(r->why, -EBADMSG, r->path, "was cut while it was read");
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
    size_t magic_len = r->size < sizeof magic ? r->size : sizeof magic;
    if (r->size == 0)
        return say(r->why, -EBADMSG, r->path, "is empty");
    if (memcmp(header.magic, magic, magic_len) != 0)
        return say(r->why, -EBADMSG, r->path, "is no snapshot of ouzel");
    if (!whole)
        return say(r->why, -EBADMSG, r->path, "is cut: its header is not whole");
    if (header.version != SNAPSHOT_VERSION)
        return say(r->why, -EBADMSG, r->path, "is of %s version, %u, and this ouzel reads %u",
                   header.version < SNAPSHOT_VERSION ? "an older" : "a newer", header.version,
                   SNAPSHOT_VERSION);
    if (header.checksum != header_checksum(&header))
        return say(r->why, -EBADMSG, r->path, "is damaged: its header has a wrong checksum");
    if (header.flags != 0)
        return say(r->why, -EBADMSG, r->path, "has flags that this ouzel does not know: %#x",
                   header.flags);
    if (header.begun_s > (uint64_t)r->now_s + SKEW_MAX_S)
        return say(r->why, -EBADMSG, r->path,
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
        return say(r->why, -EBADMSG, r->path, "is cut: it ends %s block %llu",
                   left ? "within" : "before", (unsigned long long)r->position);
    int error = octets_read(r, &block->header, sizeof block->header, r->at);
    if (error < 0)
        return error;
    if (block->header.len > sizeof block->entries)
        return damaged(r, "has an impossible length");
    if (block->header.len > left - sizeof block->header)
        return say(r->why, -EBADMSG, r->path, "is cut: it ends within block %llu",
                   (unsigned long long)r->position);
    if (block->header.kind == skip)
        return 0;
    error = octets_read(r, block->entries, block->header.len, r->at + sizeof block->header);
    if (error < 0)
        return error;
    uint64_t checksum = block->header.checksum;
    if (checksum != block_checksum(block, r->id))
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
        if (!lens_good(&entry->header) || block->header.len - at < octets)
            return damaged(r, "holds an entry of an impossible length");
        entry->value = block->entries + at;
        entry->key = entry->value + entry->header.value_len;
        const char *fault = check ? entry_fault(entry) : NULL;
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
    if (is_over(r->cache, header->expiry_s, r->now_s)) {
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
        return say(r->why, -EBADMSG, r->path, "is damaged: it goes on for %llu octets at its end",
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
        return say(r->why, r->fd, r->path, "is not read: it %s", fault);
    if (r->fd < 0)
        return say(r->why, r->fd, r->path, "cannot be read: %s", strerror(-r->fd));
    if (fstat(r->fd, &stat) < 0)
        return say(r->why, -errno, r->path, "cannot be read: %s", strerror(errno));
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

// Nobody has taken the cache away: it is as the result says, or empty.
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
        return say(why, -ENOMEM, path, "cannot be read: %s", strerror(ENOMEM));
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
        error = say(why, -ECANCELED, path, "is read no further");
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
