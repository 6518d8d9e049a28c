// SPDX-License-Identifier: MIT
#include "io/engine/engine_inheritance.h"

#include "core/answer.h"
#include "core/wire/key.h"
#include "io/net/descriptor.h"
#include "io/xdp/plane_passed.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

void engine_inheritance_init(struct engine_inheritance *in, unsigned worker_count)
{
    *in = (struct engine_inheritance){.worker_count = worker_count, .region_fd = -1};
}

void engine_inheritance_free(struct engine_inheritance *in)
{
    for (size_t i = 0; i < in->count; i++) {
        for (unsigned fd = 0; fd < LISTENER_SOCKETS * in->worker_count; fd++) {
            if (in->sockets[i].fds[fd] >= 0)
                descriptor_close(in->sockets[i].fds[fd]);
        }
        free(in->sockets[i].fds);
    }
    free(in->sockets);
    if (in->region_fd >= 0)
        close(in->region_fd);
    plane_passed_free(&in->plane);
    engine_inheritance_init(in, in->worker_count);
}

struct listening_sockets *engine_inheritance_add(struct engine_inheritance *in,
                                                 const struct address *address)
{
    struct listening_sockets *more = realloc(in->sockets, (in->count + 1) * sizeof *more);
    if (!more)
        return NULL;
    in->sockets = more;
    int *fds = malloc(LISTENER_SOCKETS * in->worker_count * sizeof *fds);
    if (!fds)
        return NULL;
    for (unsigned i = 0; i < LISTENER_SOCKETS * in->worker_count; i++)
        fds[i] = -1;
    in->sockets[in->count] = (struct listening_sockets){.address = *address, .fds = fds};
    return &in->sockets[in->count++];
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

bool engine_inheritance_copy_cache(struct cache *to, int fd, size_t size, uint32_t now_s)
{
    struct cache from;
    if (fd < 0 || size == 0)
        return false;
    void *region = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    if (region == MAP_FAILED)
        return false;
    bool known = cache_open(&from, region, size) == 0;
    if (known)
        all_copy(to, &from, now_s);
    munmap(region, size);
    return known;
}
