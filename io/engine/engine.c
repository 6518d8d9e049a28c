// SPDX-License-Identifier: MIT
#include "io/engine/engine_state.h"

#include "core/serve/control.h"
#include "io/engine/aligned.h"
#include "io/engine/cookie_source.h"
#include "io/engine/worker.h"
#include "io/net/clock.h"
#include "io/net/wake.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PENDING_PER_WORKER = 4096,
    STREAMS_PER_WORKER = WORKER_UPSTREAM_STREAMS,
    PORTS_MIN = 32, // of a worker, fewer are not worth starting with
    DESCRIPTORS_PER_WORKER =
        5 + RING_CLOSES_MAX, // its ring, its eventfds, what they need for a moment
    DESCRIPTORS_SPARE = 160, // standard streams, the cache, the stats server's clients
};

static uint64_t engine_now_us(const void *clock)
{
    return ((const struct engine_clock *)clock)->offset_us + clock_us(CLOCK_BOOTTIME);
}

static unsigned cpu_count(void)
{
    cpu_set_t cpus;
    if (sched_getaffinity(0, sizeof cpus, &cpus) != 0)
        return 1;
    return (unsigned)CPU_COUNT(&cpus);
}

// Every socket to an upstream is a descriptor, and the soft limit is often 1024. Where the hard one
// does not allow for all, the workers get fewer source ports: their ports are reused more, that is
// all. Sets engine->ports_max.
static int descriptors_allow(struct engine *engine, char why[static ENGINE_WHY_SIZE])
{
    rlim_t own = LISTENER_SOCKETS * engine->settings->server_listen.count +
                 WORKER_UPSTREAM_STREAMS + DESCRIPTORS_PER_WORKER;
    rlim_t wanted = engine->worker_count * (WORKER_UPSTREAM_PORTS + own) + DESCRIPTORS_SPARE;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return -errno;
    if (limit.rlim_cur < wanted) {
        limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit); // never above the hard limit, so it is allowed
    }
    rlim_t least = engine->worker_count * (PORTS_MIN + own) + DESCRIPTORS_SPARE;
    if (limit.rlim_cur < least) {
        snprintf(why, ENGINE_WHY_SIZE,
                 "%u workers need at least %llu file descriptors and the limit is %llu: raise it "
                 "(ulimit -n, LimitNOFILE) or set fewer workers",
                 engine->worker_count, (unsigned long long)least,
                 (unsigned long long)limit.rlim_cur);
        return -EMFILE;
    }
    rlim_t ports = (limit.rlim_cur - DESCRIPTORS_SPARE) / engine->worker_count - own;
    engine->ports_max = (uint16_t)(ports < WORKER_UPSTREAM_PORTS ? ports : WORKER_UPSTREAM_PORTS);
    return 0;
}

uint32_t engine_shard_count(uint64_t cache_size, unsigned worker_count)
{
    uint32_t count = worker_count;
    while (count <= CACHE_SHARDS_MAX && cache_size > cache_size_max(count))
        count += worker_count;
    return count <= CACHE_SHARDS_MAX ? count : 0;
}

// The workers read it while they store.
static void stale_set(struct engine *engine, const struct settings *settings)
{
    __atomic_store_n(&engine->cache.stale_s, (uint32_t)(settings->cache_stale_max_age / 1000),
                     __ATOMIC_RELAXED);
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
static bool region_inherit(struct engine *engine, struct estate *estate, uint32_t shard_count)
{
    size_t size = engine->settings->cache_size;
    struct stat stat;
    if (!estate || estate->region_fd < 0 || fstat(estate->region_fd, &stat) != 0 ||
        (uint64_t)stat.st_size != size || region_map(engine, estate->region_fd, size) != 0)
        return false;
    if (cache_open(&engine->cache, engine->region, size) == 0 &&
        engine->cache.shard_count == shard_count) {
        estate->region_fd = -1;
        engine->has_cache = true;
        stale_set(engine, engine->settings);
        return true;
    }
    munmap(engine->region, size);
    engine->region = NULL;
    engine->region_fd = -1;
    return false;
}

static int region_take(struct engine *engine, struct estate *estate,
                       char why[static ENGINE_WHY_SIZE])
{
    uint64_t seed;
    size_t size = engine->settings->cache_size;
    uint32_t shard_count = shards_decide(engine, why);
    if (shard_count == 0)
        return -EINVAL;
    if (region_inherit(engine, estate, shard_count))
        return 0;
    if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
        return -EIO;
    // A memfd: another process can take it over by its descriptor. The pages come as they are used.
    int fd = memfd_create("ouzel-cache", MFD_CLOEXEC);
    int error = fd < 0 || ftruncate(fd, (off_t)size) != 0 ? -errno : region_map(engine, fd, size);
    if (error < 0) {
        if (fd >= 0)
            close(fd);
        snprintf(why, ENGINE_WHY_SIZE, "cannot take %zu octets for the cache: %s", size,
                 strerror(-error));
        return error;
    }
    error = cache_format(&engine->cache, engine->region, size, shard_count, seed);
    stale_set(engine, engine->settings);
    if (error == 0 && estate)
        engine->has_cache = estate_copy(&engine->cache, estate->region_fd, engine_now_s(engine));
    return error;
}

static struct rules *rules_of(struct superseded *superseded)
{
    return (struct rules *)(void *)superseded;
}

static void rules_free(struct rules *rules)
{
    while (rules) {
        struct rules *before = rules_of(rules->superseded.before);
        free(rules->access_memory);
        free(rules->plan_memory);
        free(rules);
        rules = before;
    }
}

// NULL: `why` says what does not fit.
static struct rules *rules_make(const struct settings *settings, const struct plan *before,
                                char why[static ENGINE_WHY_SIZE])
{
    struct rules *rules = calloc(1, sizeof *rules);
    if (rules) {
        rules->plan_memory = malloc(plan_size(settings));
        rules->access_memory = malloc(access_size(settings));
    }
    if (!rules || !rules->plan_memory || !rules->access_memory) {
        snprintf(why, ENGINE_WHY_SIZE, "no memory for the settings");
        rules_free(rules);
        return NULL;
    }
    const char *plan_why = plan_rebuild(&rules->plan, rules->plan_memory, settings, before);
    if (plan_why) {
        snprintf(why, ENGINE_WHY_SIZE, "forward: %s%s", plan_why,
                 before ? " (those of before count until a restart)" : "");
        rules_free(rules);
        return NULL;
    }
    access_build(&rules->access, rules->access_memory, settings);
    return rules;
}

static void octets_note(struct engine *engine)
{
    const struct settings *settings = engine->settings;
    uint64_t rules = plan_size(settings) + access_size(settings);
    uint64_t local = engine->local ? local_counts(engine->local).octets : 0;
    __atomic_store_n(&engine->rules_octets, rules, __ATOMIC_RELAXED);
    __atomic_store_n(&engine->local_octets, local, __ATOMIC_RELAXED);
}

static int tables_take(struct engine *engine, char why[static ENGINE_WHY_SIZE])
{
    size_t count = engine->worker_count;
    engine->workers = calloc(count, sizeof *engine->workers);
    engine->counters = aligned_take(count * sizeof *engine->counters);
    engine->handovers = aligned_take(count * count * sizeof *engine->handovers);
    engine->directions = calloc(2 * count * count, sizeof *engine->directions);
    engine->ring_fds = calloc(count, sizeof *engine->ring_fds);
    if (!engine->workers || !engine->counters || !engine->handovers || !engine->directions ||
        !engine->ring_fds) {
        snprintf(why, ENGINE_WHY_SIZE, "no memory for %zu workers", count);
        return -ENOMEM;
    }
    memset(engine->counters, 0, count * sizeof *engine->counters);
    size_t handover_size = HANDOVER_SIZE;
    while (handover_size > HANDOVER_SIZE_MIN && handover_size * count > HANDOVER_SIZE)
        handover_size /= 2;
    engine->handover_bytes = malloc(count * count * handover_size);
    if (!engine->handover_bytes) {
        snprintf(why, ENGINE_WHY_SIZE, "no memory for %zu workers", count);
        return -ENOMEM;
    }
    for (size_t i = 0; i < count * count; i++)
        handover_init(&engine->handovers[i], engine->handover_bytes + i * handover_size,
                      (uint32_t)handover_size);
    for (size_t worker = 0; worker < count; worker++) {
        struct handover **from = engine->directions + 2 * count * worker, **to = from + count;
        for (size_t other = 0; other < count; other++) {
            from[other] = other == worker ? NULL : &engine->handovers[other * count + worker];
            to[other] = other == worker ? NULL : &engine->handovers[worker * count + other];
        }
    }
    engine->rules = rules_make(engine->settings, NULL, why);
    octets_note(engine);
    return engine->rules ? 0 : -EINVAL;
}

static int cookies_take(struct engine *engine, const struct cookie_source *set,
                        const struct estate *estate)
{
    bool inherited = estate && estate->cookies.period_s > 0;
    if (*engine->settings->server_cookie_secrets.text)
        engine->cookies = *set;
    else if (inherited)
        engine->cookies = estate->cookies;
    else
        return cookie_source_draw(&engine->cookies);
    return 0;
}

static int worker_make(struct engine *engine, unsigned index, char why[static ENGINE_WHY_SIZE])
{
    size_t count = engine->worker_count;
    struct handover **from = engine->directions + 2 * count * index;
    struct serve_config serve = {
        .settings = engine->settings,
        .plan = &engine->rules->plan,
        .access = &engine->rules->access,
        .local = engine->local,
        .cookies = engine->settings->server_cookies ? &engine->cookies : NULL,
        .cache = &engine->cache,
        .counters = &engine->counters[index],
        .worker = index,
        .worker_count = engine->worker_count,
        .pending_max = PENDING_PER_WORKER,
        .ports_max = engine->ports_max,
        .streams_max = STREAMS_PER_WORKER,
    };
    if (getrandom(serve.seed, sizeof serve.seed, 0) != sizeof serve.seed)
        return -EIO;
    struct worker_config config = {
        .serve = &serve,
        .now_us = engine_now_us,
        .clock = &engine->clock,
        .failure_fd = engine->failure_fd,
        .worker_count = engine->worker_count,
        .steering = &engine->steering,
        .from = from,
        .to = from + count,
    };
    int error = worker_open(&engine->workers[index], &config, why);
    if (error == 0)
        engine->ring_fds[index] = worker_ring_fd(engine->workers[index]);
    return error;
}

static int workers_make(struct engine *engine, struct estate *estate,
                        char why[static ENGINE_WHY_SIZE])
{
    int error = listening_plan(&engine->listening, &engine->settings->server_listen,
                               engine_now_us(&engine->clock), estate ? estate->sockets : NULL,
                               estate ? estate->count : 0, why);
    for (unsigned i = 0; i < engine->worker_count && error == 0; i++)
        error = worker_make(engine, i, why);
    for (unsigned i = 0; i < engine->worker_count && error == 0; i++)
        error = listening_put(&engine->listening, i, worker_listeners(engine->workers[i]));
    if (error == 0)
        listening_done(&engine->listening, engine_now_us(&engine->clock));
    for (unsigned i = 0; i < engine->worker_count && error == 0; i++)
        worker_ring_fds(engine->workers[i], engine->ring_fds);
    return error;
}

static int steering_take(struct engine *engine, char why[static ENGINE_WHY_SIZE])
{
    int error =
        steering_init(&engine->steering, engine->settings->server_steering, engine->worker_count);
    if (error < 0)
        snprintf(why, ENGINE_WHY_SIZE,
                 "server.steering is cpu, and %u workers are more than the %u processors that this "
                 "process may use: some would hear nothing",
                 engine->worker_count, engine->steering.cpu_count);
    return error;
}

// The sockets share their port by the worker, so there must be equally many.
static int estate_fits(const struct engine *engine, const struct estate *estate,
                       char why[static ENGINE_WHY_SIZE])
{
    if (!estate || estate->worker_count == engine->worker_count)
        return 0;
    snprintf(why, ENGINE_WHY_SIZE, "%u workers cannot take the place of %u: that needs a restart",
             engine->worker_count, estate->worker_count);
    return -EINVAL;
}

struct engine *engine_open(const struct settings *settings, const struct local *local,
                           const struct cookie_source *cookies, struct estate *estate,
                           char why[static ENGINE_WHY_SIZE])
{
    struct engine *engine = calloc(1, sizeof *engine);
    snprintf(why, ENGINE_WHY_SIZE, "no memory");
    if (!engine)
        return NULL;
    pthread_mutex_init(&engine->doing, NULL);
    engine->settings = settings;
    engine->local = local;
    engine->worker_count =
        settings->server_workers ? (unsigned)settings->server_workers : cpu_count();
    engine->clock.offset_us =
        estate ? estate->clock_offset_us : clock_us(CLOCK_REALTIME) - clock_us(CLOCK_BOOTTIME);
    engine->region_fd = -1;
    engine->failure_fd = wake_open();

    int error = engine->failure_fd < 0 ? -errno : 0;
    if (error == 0)
        error = listening_init(&engine->listening, engine->worker_count, &engine->steering);
    if (error == 0)
        error = steering_take(engine, why);
    if (error == 0)
        error = estate_fits(engine, estate, why);
    if (error == 0)
        error = descriptors_allow(engine, why);
    if (error == 0)
        error = region_take(engine, estate, why);
    if (error == 0)
        error = tables_take(engine, why);
    if (error == 0)
        error = cookies_take(engine, cookies, estate);
    if (error == 0)
        error = workers_make(engine, estate, why);
    if (error < 0) {
        engine_close(engine);
        return NULL;
    }
    return engine;
}

int engine_start(struct engine *engine, char why[static ENGINE_WHY_SIZE])
{
    for (unsigned i = 0; i < engine->worker_count; i++) {
        int error = worker_start(engine->workers[i]);
        if (error < 0) {
            snprintf(why, ENGINE_WHY_SIZE, "cannot start a worker: %s", strerror(-error));
            return error;
        }
    }
    return 0;
}

int engine_stop(struct engine *engine)
{
    int result = 0;
    for (unsigned i = 0; engine->workers && i < engine->worker_count; i++) {
        int error = engine->workers[i] ? worker_stop(engine->workers[i]) : 0;
        result = result < 0 ? result : error;
    }
    return result;
}

void engine_leave_region(struct engine *engine)
{
    engine->region = NULL; // the mapping stays
}

void engine_close(struct engine *engine)
{
    (void)engine_stop(engine);
    for (unsigned i = 0; engine->workers && i < engine->worker_count; i++) {
        if (engine->workers[i])
            worker_close(engine->workers[i]);
    }
    listening_free(&engine->listening);
    if (engine->region)
        munmap(engine->region, engine->region_size);
    if (engine->region_fd >= 0)
        close(engine->region_fd);
    if (engine->failure_fd >= 0)
        close(engine->failure_fd);
    free(engine->ring_fds);
    free(engine->directions);
    free(engine->handovers);
    free(engine->handover_bytes);
    free(engine->counters);
    free(engine->tap_bytes);
    free(engine->workers);
    rules_free(engine->rules);
    pthread_mutex_destroy(&engine->doing);
    free(engine);
}

struct cache *engine_cache(struct engine *engine)
{
    return &engine->cache;
}

uint32_t engine_now_s(const struct engine *engine)
{
    return (uint32_t)(engine_now_us(&engine->clock) / 1000000);
}

unsigned engine_worker_count(const struct engine *engine)
{
    return engine->worker_count;
}

// For who has `doing`.
static bool all_do(struct engine *engine, bool (*run)(struct serve *, uint64_t, uint32_t, void *),
                   void *context)
{
    bool done = true;
    for (unsigned i = 0; i < engine->worker_count; i++)
        job_begin(worker_job(engine->workers[i]), run, context);
    for (unsigned i = 0; i < engine->worker_count; i++)
        done &= job_wait(worker_job(engine->workers[i]));
    return done;
}

bool engine_do(struct engine *engine, bool (*run)(struct serve *, uint64_t, uint32_t, void *),
               void *context)
{
    pthread_mutex_lock(&engine->doing);
    bool done = all_do(engine, run, context);
    pthread_mutex_unlock(&engine->doing);
    return done;
}

static bool nothing(struct serve *serve, uint64_t now_us, uint32_t worker, void *context)
{
    (void)serve;
    (void)now_us;
    (void)worker;
    (void)context;
    return false;
}

bool engine_come_round(struct engine *engine)
{
    return engine_do(engine, nothing, NULL);
}

bool engine_is_alive(struct engine *engine, bool *asked)
{
    *asked = pthread_mutex_trylock(&engine->doing) == 0;
    bool alive = *asked && all_do(engine, nothing, NULL);
    if (*asked)
        pthread_mutex_unlock(&engine->doing);
    return alive;
}

// What all workers are told to do.
struct change {
    struct engine *engine;
    struct serve_update update;
    int error; // the first; atomic
};

static bool update_take(struct serve *serve, uint64_t now_us, uint32_t worker, void *context)
{
    struct change *change = context;
    struct engine *engine = change->engine;
    int none = 0, error = listening_put(&engine->listening, worker,
                                        worker_listeners(engine->workers[worker]));
    if (error < 0)
        __atomic_compare_exchange_n(&change->error, &none, error, false, __ATOMIC_RELAXED,
                                    __ATOMIC_RELAXED);
    serve_reload(serve, now_us, &change->update);
    return false;
}

static bool listeners_switch(struct serve *serve, uint64_t now_us, uint32_t worker, void *context)
{
    struct change *change = context;
    (void)serve;
    listening_switch(&change->engine->listening, now_us,
                     worker_listeners(change->engine->workers[worker]));
    return false;
}

// All workers have the new sockets before the first hears of one, as any of them may have to reply.
static int change_do(struct change *change, char why[static ENGINE_WHY_SIZE])
{
    struct engine *engine = change->engine;
    bool done = engine_do(engine, update_take, change);
    if (change->error < 0)
        listening_regret(&engine->listening);
    if (listening_changes(&engine->listening))
        done &= engine_do(engine, listeners_switch, change);
    listening_done(&engine->listening, engine_now_us(&engine->clock));
    if (!done)
        snprintf(why, ENGINE_WHY_SIZE, "a worker has ended");
    else if (change->error < 0)
        snprintf(why, ENGINE_WHY_SIZE, "a worker cannot listen: %s", strerror(-change->error));
    return done && change->error == 0 ? 0 : ENGINE_RELOAD_PARTLY;
}

int engine_reload(struct engine *engine, const struct settings *settings, const struct local *local,
                  char why[static ENGINE_WHY_SIZE])
{
    uint64_t now_us = engine_now_us(&engine->clock);
    int error = listening_plan(&engine->listening, &settings->server_listen, now_us, NULL, 0, why);
    if (error < 0)
        return error;
    struct rules *rules = rules_make(settings, &engine->rules->plan, why);
    if (!rules) {
        listening_undo(&engine->listening);
        return -EINVAL;
    }
    struct change change = {
        .engine = engine,
        .update =
            {
                .settings = settings,
                .plan = &rules->plan,
                .access = &rules->access,
                .local = local,
                .cookies = settings->server_cookies ? &engine->cookies : NULL,
            },
    };
    stale_set(engine, settings);
    for (unsigned i = 0; i < engine->worker_count; i++)
        worker_client_idle(engine->workers[i], settings->server_tcp_idle_timeout * 1000);
    engine->settings = settings;
    engine->local = local;
    octets_note(engine);
    rules_free(rules_of(superseded_cut(&engine->rules->superseded, now_us)));
    supersede(&rules->superseded, &engine->rules->superseded, now_us);
    engine->rules = rules;
    return change_do(&change, why);
}

void engine_counters(const struct engine *engine, struct counters *sum)
{
    memset(sum, 0, sizeof *sum);
    for (unsigned c = 0; c < COUNTER_COUNT; c++)
        sum->values[c] = counter_get(&engine->carried, (enum counter)c);
    for (unsigned i = 0; i < engine->worker_count; i++) {
        for (unsigned c = 0; c < COUNTER_COUNT; c++)
            sum->values[c] += counter_get(&engine->counters[i], (enum counter)c);
    }
}

void engine_timings(const struct engine *engine, struct histogram sums[TIMING_COUNT])
{
    memset(sums, 0, TIMING_COUNT * sizeof *sums);
    for (unsigned t = 0; t < TIMING_COUNT; t++)
        histogram_sum(&sums[t], &engine->carried.timings[t]);
    for (unsigned i = 0; i < engine->worker_count; i++) {
        for (unsigned t = 0; t < TIMING_COUNT; t++)
            histogram_sum(&sums[t], &engine->counters[i].timings[t]);
    }
}

// --- what is told of answers ---------------------------------------------------------------------

int engine_tap(struct engine *engine, uint32_t every)
{
    // Taken once, when it is first wanted; kept to the end.
    if (every > 0 && !engine->tap_bytes) {
        uint8_t *bytes = malloc((size_t)engine->worker_count * TAP_SIZE);
        if (!bytes)
            return -ENOMEM;
        __atomic_store_n(&engine->tap_bytes, bytes, __ATOMIC_RELAXED);
    }
    for (unsigned i = 0; i < engine->worker_count; i++) {
        struct tap *tap = worker_tap(engine->workers[i]);
        if (every > 0 && !tap->ring.bytes)
            handover_init(&tap->ring, engine->tap_bytes + (size_t)i * TAP_SIZE, TAP_SIZE);
        __atomic_store_n(&tap->every, every, __ATOMIC_RELEASE);
    }
    return 0;
}

bool engine_tapped(struct engine *engine,
                   bool (*take)(void *, const struct tapped *, const struct client *,
                                const uint8_t *, size_t),
                   void *context)
{
    bool any = false, more = true;
    for (unsigned i = 0; i < engine->worker_count && more && engine->tap_bytes; i++) {
        struct handover *ring = &worker_tap(engine->workers[i])->ring;
        struct handover_cursor cursor = handover_begin(ring), before = cursor;
        const struct handed *handed;
        while (more && (handed = handover_next(ring, &cursor))) {
            struct tapped tapped;
            memcpy(&tapped, handed->bytes, sizeof tapped);
            more = take(context, &tapped, &handed->client, handed->bytes + sizeof tapped,
                        handed->len - sizeof tapped);
            if (more)
                before = cursor;
        }
        any |= before.at != handover_begin(ring).at;
        handover_take(ring, &before);
    }
    return any;
}

// --- figures -------------------------------------------------------------------------------------

void engine_memory(const struct engine *engine, struct engine_memory *memory)
{
    *memory = (struct engine_memory){.cache = engine->region_size};
    for (unsigned i = 0; i < engine->worker_count; i++)
        worker_memory(engine->workers[i], &memory->tables, &memory->buffers);
    if (__atomic_load_n(&engine->tap_bytes, __ATOMIC_RELAXED))
        memory->buffers += (uint64_t)engine->worker_count * TAP_SIZE;
    memory->rules = __atomic_load_n(&engine->rules_octets, __ATOMIC_RELAXED);
    memory->local = __atomic_load_n(&engine->local_octets, __ATOMIC_RELAXED);
}

uint64_t engine_kernel_drops(const struct engine *engine)
{
    uint64_t drops = 0;
    for (unsigned i = 0; i < engine->worker_count; i++)
        drops += worker_kernel_drops(engine->workers[i]);
    return drops;
}

void engine_cache_use(const struct engine *engine, struct cache_use *use)
{
    cache_use(&engine->cache, use);
}

int engine_failure_fd(const struct engine *engine)
{
    return engine->failure_fd;
}
