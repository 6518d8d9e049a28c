// SPDX-License-Identifier: MIT
#include "io/engine/estate.h"

#include "core/answer.h"
#include "core/wire/key.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

void estate_init(struct estate *e, unsigned worker_count)
{
    *e = (struct estate){.worker_count = worker_count, .region_fd = -1};
}

void estate_free(struct estate *e)
{
    for (size_t i = 0; i < e->count; i++) {
        for (unsigned fd = 0; fd < LISTENER_SOCKETS * e->worker_count; fd++) {
            if (e->sockets[i].fds[fd] >= 0)
                close(e->sockets[i].fds[fd]);
        }
        free(e->sockets[i].fds);
    }
    free(e->sockets);
    if (e->region_fd >= 0)
        close(e->region_fd);
    estate_init(e, e->worker_count);
}

struct listening_sockets *estate_add(struct estate *e, const struct address *address)
{
    struct listening_sockets *more = realloc(e->sockets, (e->count + 1) * sizeof *more);
    if (!more)
        return NULL;
    e->sockets = more;
    int *fds = malloc(LISTENER_SOCKETS * e->worker_count * sizeof *fds);
    if (!fds)
        return NULL;
    for (unsigned i = 0; i < LISTENER_SOCKETS * e->worker_count; i++)
        fds[i] = -1;
    e->sockets[e->count] = (struct listening_sockets){.address = *address, .fds = fds};
    return &e->sockets[e->count++];
}

// One answer of the other cache, if it is one.
static void answer_copy(struct cache *to, const struct cache_copy *copy, uint32_t now_s)
{
    struct cache_inserted inserted;
    const uint8_t *bytes = copy->bytes + copy->value_len;
    if (!answer_check(copy->bytes, copy->value_len))
        return;
    struct cache_key key = {
        .hash = key_hash(bytes, copy->key_len, to->seed), .bytes = bytes, .len = copy->key_len};
    struct cache_value value = {
        .bytes = copy->bytes,
        .len = copy->value_len,
        .birth_s = copy->birth_s,
        .expiry_s = copy->expiry_s,
    };
    if (cache_insert(to, &key, &value, now_s, &inserted) == 0)
        (void)cache_mark(to, &key, copy->hits, copy->asked);
}

static void all_copy(struct cache *to, const struct cache *from, uint32_t now_s)
{
    struct cache_cursor cursor = {0};
    struct cache_copy *copy = malloc(sizeof *copy);
    while (copy && cache_walk(from, &cursor, copy)) {
        if (copy->expiry_s + to->stale_s > now_s)
            answer_copy(to, copy, now_s);
    }
    free(copy);
}

bool estate_copy(struct cache *to, int fd, uint32_t now_s)
{
    struct stat stat;
    struct cache from;
    if (fd < 0 || fstat(fd, &stat) != 0 || stat.st_size <= 0)
        return false;
    size_t size = (size_t)stat.st_size;
    void *region = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    if (region == MAP_FAILED)
        return false;
    bool known = cache_open(&from, region, size) == 0;
    if (known)
        all_copy(to, &from, now_s);
    munmap(region, size);
    return known;
}
