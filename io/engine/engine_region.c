// SPDX-License-Identifier: MIT
#include "io/engine/engine_region.h"

#include "cache/layout.h"
#include "io/engine/engine_plane.h"
#include "io/engine/engine_state.h"
#include "io/net/entropy.h"
#include "io/xdp/plane_passed.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

void region_stale_set(struct engine *engine, const struct settings *settings)
{
    __atomic_store_n(&engine->cache.stale_s, (uint32_t)(settings->cache_stale_max_age / 1000),
                     __ATOMIC_RELAXED);
}

uint32_t engine_shard_count(uint64_t cache_size, unsigned worker_count)
{
    assert(worker_count > 0);
    uint32_t count = worker_count;
    while (count <= CACHE_SHARDS_MAX && cache_size > cache_size_max(count))
        count += worker_count;
    return count <= CACHE_SHARDS_MAX ? count : 0;
}

// Its size, in shards; 0: `why` says why there can be no cache of that size.
static uint32_t shards_decide(const struct engine *engine, char why[static ENGINE_WHY_SIZE])
{
    size_t size = engine->settings->cache_size;
    uint32_t count = engine_shard_count(size, engine->worker_count);
    if (count == 0) {
        uint32_t most = CACHE_SHARDS_MAX / engine->worker_count * engine->worker_count;
        snprintf(why, ENGINE_WHY_SIZE,
                 "cache.size is too large for %u workers: give at most %zu octets",
                 engine->worker_count, cache_size_max(most));
        return 0;
    }
    if (size < cache_size_min(count)) {
        snprintf(why, ENGINE_WHY_SIZE,
                 "cache.size is too small for %u workers: give at least %zu octets",
                 engine->worker_count, cache_size_min(count));
        return 0;
    }
    return count;
}

static int region_map(struct engine *engine, int fd, size_t size)
{
    void *region = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (region == MAP_FAILED)
        return -errno;
    (void)madvise(region, size, MADV_HUGEPAGE);
    engine->region = region;
    engine->region_size = size;
    engine->region_fd = fd;
    return 0;
}

// The other engine's cache, where it is what the settings ask for.
static bool region_inherit(struct engine *engine, struct engine_inheritance *inheritance,
                           uint32_t shard_count)
{
    size_t size = engine->settings->cache_size;
    struct stat stat;
    if (!inheritance || inheritance->region_fd < 0 || fstat(inheritance->region_fd, &stat) != 0 ||
        (uint64_t)stat.st_size != size || region_map(engine, inheritance->region_fd, size) != 0)
        return false;
    if (cache_open(&engine->cache, engine->region, size) == 0 &&
        engine->cache.shard_count == shard_count) {
        inheritance->region_fd = -1;
        engine->has_cache = true;
        region_stale_set(engine, engine->settings);
        return true;
    }
    munmap(engine->region, size);
    engine->region = NULL;
    engine->region_fd = -1;
    return false;
}

// Octets of each shard.
static size_t shard_size_of(const struct engine *engine, uint32_t shard_count)
{
    return engine->settings->cache_size / shard_count / LAYOUT_STRIDE_STEP * LAYOUT_STRIDE_STEP;
}

// The plane's memory: zeroes, or the predecessor's cache where that is what the settings ask for.
static bool region_of_plane(struct engine *engine, uint32_t shard_count, bool inherited)
{
    void *region = plane_region_map(engine->plane);
    if (!region)
        return false;
    engine->region = region;
    engine->region_size = plane_region_size(engine->plane);
    if (!inherited)
        return true;
    engine->has_cache = engine->region_size == shard_size_of(engine, shard_count) * shard_count &&
                        cache_open(&engine->cache, region, engine->region_size) == 0 &&
                        engine->cache.shard_count == shard_count;
    if (engine->has_cache)
        return true;
    munmap(region, engine->region_size);
    engine->region = NULL;
    return false;
}

// A memfd: another process can take it over by its descriptor. The pages come as they are used.
static int region_allocate(struct engine *engine, char why[static ENGINE_WHY_SIZE])
{
    size_t size = engine->settings->cache_size;
    int fd = memfd_create("ouzel-cache", MFD_CLOEXEC);
    int error = fd < 0 || ftruncate(fd, (off_t)size) != 0 ? -errno : region_map(engine, fd, size);
    if (error == 0)
        return 0;
    if (fd >= 0)
        close(fd);
    snprintf(why, ENGINE_WHY_SIZE, "cannot take %zu octets for the cache: %s", size,
             strerror(-error));
    return error;
}

// An empty cache in the region that is there.
static int region_format(struct engine *engine, uint32_t shard_count)
{
    uint64_t seed;
    if (entropy_draw(&seed, sizeof seed) < 0)
        return -EIO;
    int error =
        cache_format(&engine->cache, engine->region, engine->region_size, shard_count, seed);
    region_stale_set(engine, engine->settings);
    return error;
}

// Octets of the predecessor's region, and its descriptor: that of its plane, whether that could be
// taken over or not, or one of its own. 0: there is none.
static size_t region_of_predecessor(const struct engine *engine,
                                    const struct engine_inheritance *inheritance, int *fd)
{
    struct stat stat;
    *fd = inheritance->region_fd;
    if (*fd >= 0)
        return fstat(*fd, &stat) == 0 && stat.st_size > 0 ? (size_t)stat.st_size : 0;
    if (!engine->plane)
        return plane_passed_region(&inheritance->plane, fd);
    *fd = plane_fd(engine->plane, PLANE_FD_REGION);
    return plane_region_size(engine->plane);
}

// What the predecessor has in a region that cannot be used, and which goes with it.
static void region_copy(struct engine *engine, const struct engine_inheritance *inheritance)
{
    int fd;
    size_t size = region_of_predecessor(engine, inheritance, &fd);
    engine->has_cache =
        engine_inheritance_copy_cache(&engine->cache, fd, size, engine_now_s(engine));
    if (engine->plane)
        engine_plane_give_up(
            engine, "the XDP program reads a cache of another size: restart to load it anew");
}

int region_open(struct engine *engine, struct engine_inheritance *inheritance,
                char why[static ENGINE_WHY_SIZE])
{
    uint32_t shard_count = shards_decide(engine, why);
    if (shard_count == 0)
        return -EINVAL;
    engine_plane_open(engine, inheritance, shard_count, shard_size_of(engine, shard_count));
    int error = 0;
    if (!engine->plane || !region_of_plane(engine, shard_count, inheritance != NULL)) {
        if (region_inherit(engine, inheritance, shard_count))
            return 0;
        error = region_allocate(engine, why);
        if (engine->plane && !inheritance)
            engine_plane_give_up(engine, "the memory of its cache cannot be mapped");
    } else if (engine->has_cache) {
        region_stale_set(engine, engine->settings);
        return 0;
    }
    if (error == 0)
        error = region_format(engine, shard_count);
    if (error == 0 && inheritance)
        region_copy(engine, inheritance);
    return error;
}

void engine_leave_region(struct engine *engine)
{
    engine->region = NULL; // the mapping stays
}

struct cache *engine_cache(struct engine *engine)
{
    return &engine->cache;
}

uint32_t engine_now_s(const struct engine *engine)
{
    return (uint32_t)(engine_now_us(&engine->clock) / 1000000);
}

void region_close(struct engine *engine)
{
    if (engine->region)
        munmap(engine->region, engine->region_size);
    if (engine->region_fd >= 0)
        close(engine->region_fd);
}
