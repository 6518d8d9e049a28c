// SPDX-License-Identifier: MIT
#include "io/edge/snapshot_write.h"

#include "io/edge/snapshot_form.h"
#include "io/edge/snapshot_place.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

// Nothing is ever changed in the good file. The new one is written next to it under a lock that is
// held until it has its name, so two writers cannot spoil each other's.

enum {
    OPEN_TRIES = 4,
    BURST_OCTETS = 512 * 1024, // written between two rests, where ...
    ENTRY_EFFORT = 512,        // ... finding an entry takes as long as writing so many
    REST_NS = 50000,
    OLD_PIECE = 2 << 20, // octets
};

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
    return snapshot_say(w->why, error, w->path, "cannot be written: %s", strerror(-error));
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
    block->header.checksum = snapshot_block_checksum(block, w->id);
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
    if (!snapshot_lens_good(&entry.header) || snapshot_entry_fault(&entry)) {
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
    assert(sizeof entry.header + octets <= sizeof block->entries - block->header.len);
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
        if (snapshot_is_over(cache, w->copy.expiry_s, now_s))
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
    memcpy(header.magic, SNAPSHOT_MAGIC, sizeof header.magic);
    header.checksum = snapshot_header_checksum(&header);
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
            return snapshot_say(w->why, -EEXIST, w->path,
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
            return error == -EBUSY
                       ? snapshot_say(w->why, error, w->path, "is being written by another")
                       : write_failed(w, error);
        }
        if (is_ours(w) && !snapshot_place_fault_of(w->fd, SNAPSHOT_PLACE_BEGUN))
            return ftruncate(w->fd, 0) < 0 || fchmod(w->fd, 0640) < 0 ? write_failed(w, -errno) : 0;
        close(w->fd);
        w->fd = -1;
    }
    return snapshot_say(w->why, -EBUSY, w->path, "is being written by another");
}

// Takes the old file's pages out of memory a few at a time: closing a file without a name frees all
// that is left of it at once.
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
    return fault ? snapshot_say(w->why, -EEXIST, w->path, "%s", fault) : 0;
}

// The new file must be whole on the disk before it has the name, and the name before we say so.
static int file_rename(struct writing *w)
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
        return snapshot_say(why, -ENOMEM, path, "cannot be written: %s", strerror(ENOMEM));
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
        error = file_rename(w);
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
