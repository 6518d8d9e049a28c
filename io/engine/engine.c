// SPDX-License-Identifier: MIT
#include "io/engine/engine.h"

#include "io/engine/aligned.h"
#include "io/engine/cgroup.h"
#include "io/engine/cookie_source.h"
#include "io/engine/engine_plane.h"
#include "io/engine/engine_region.h"
#include "io/engine/engine_rules.h"
#include "io/engine/engine_sizes.h"
#include "io/engine/engine_state.h"
#include "io/engine/worker.h"
#include "io/engine/worker_thread.h"
#include "io/net/clock.h"
#include "io/net/entropy.h"
#include "io/net/net_choice.h"
#include "io/net/wake.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum {
    CONNECTIONS_PER_WORKER = WORKER_UPSTREAM_CONNECTIONS,
    PORTS_MIN = 32, // of a worker, fewer are not worth starting with
    DESCRIPTORS_PER_WORKER =
        7 + NET_CLOSES_MAX,  // its net, its eventfds, a client, what they need for a moment
    DESCRIPTORS_SPARE = 160, // standard streams, the cache, the stats server's clients
};

// Divides the descriptors that are left between source ports and clients' connections: each gets
// what it is to have, or half, and what the other does not need. So however many connections
// clients open, there are ports to ask upstreams from.
static void descriptors_divide(struct engine *engine, rlim_t left)
{
    rlim_t connections = engine->settings->server_tcp_connections_max;
    rlim_t ports = (rlim_t)engine->worker_count * (WORKER_UPSTREAM_PORTS - PORTS_MIN);
    if (connections + ports > left) {
        rlim_t half = left / 2, others = ports < half ? left - ports : half;
        connections = connections < others ? connections : others;
    }
    ports = PORTS_MIN + (left - connections) / engine->worker_count;
    engine->connections_max = (unsigned)connections;
    engine->source_ports_max =
        (uint16_t)(ports < WORKER_UPSTREAM_PORTS ? ports : WORKER_UPSTREAM_PORTS);
}

// Every socket is a descriptor, and the soft limit is often 1024. Where the hard one does not allow
// for all, there are fewer source ports, which are reused more, and fewer connections of clients.
// Sets engine->source_ports_max and connections_max.
static int descriptors_allow(struct engine *engine, char why[static ENGINE_WHY_SIZE])
{
    rlim_t own = LISTENER_SOCKETS * engine->settings->server_listen.count +
                 WORKER_UPSTREAM_CONNECTIONS + DESCRIPTORS_PER_WORKER;
    rlim_t wanted = engine->worker_count * (WORKER_UPSTREAM_PORTS + own) +
                    engine->settings->server_tcp_connections_max + DESCRIPTORS_SPARE;
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
    descriptors_divide(engine, limit.rlim_cur - least);
    return 0;
}

// A ring from each worker to each other one.
static int queues_make(struct engine *engine, char why[static ENGINE_WHY_SIZE])
{
    size_t count = engine->worker_count;
    uint32_t queue_size = engine_sizes_queue(engine->worker_count);
    engine->queue_bytes = malloc(count * count * queue_size);
    if (!engine->queue_bytes) {
        snprintf(why, ENGINE_WHY_SIZE, "no memory for %zu workers", count);
        return -ENOMEM;
    }
    for (size_t i = 0; i < count * count; i++)
        worker_queue_init(&engine->queues[i], engine->queue_bytes + i * queue_size, queue_size);
    for (size_t worker = 0; worker < count; worker++) {
        struct worker_queue **from = engine->directions + 2 * count * worker, **to = from + count;
        for (size_t other = 0; other < count; other++) {
            from[other] = other == worker ? NULL : &engine->queues[other * count + worker];
            to[other] = other == worker ? NULL : &engine->queues[worker * count + other];
        }
    }
    return 0;
}

static int tables_make(struct engine *engine, char why[static ENGINE_WHY_SIZE])
{
    size_t count = engine->worker_count;
    engine->workers = calloc(count, sizeof *engine->workers);
    engine->counters = aligned_malloc(count * sizeof *engine->counters);
    engine->queues = aligned_malloc(count * count * sizeof *engine->queues);
    engine->directions = calloc(2 * count * count, sizeof *engine->directions);
    engine->nets = calloc(count, sizeof *engine->nets);
    if (!engine->workers || !engine->counters || !engine->queues || !engine->directions ||
        !engine->nets) {
        snprintf(why, ENGINE_WHY_SIZE, "no memory for %zu workers", count);
        return -ENOMEM;
    }
    memset(engine->counters, 0, count * sizeof *engine->counters);
    int error = queues_make(engine, why);
    return error < 0 ? error : rules_make_first(engine, why);
}

static int cookies_choose(struct engine *engine, const struct cookie_source *set,
                          const struct engine_inheritance *inheritance)
{
    bool inherited = inheritance && inheritance->cookies.period_s > 0;
    if (*engine->settings->server_cookie_secrets.text)
        engine->cookies = *set;
    else if (inherited)
        engine->cookies = inheritance->cookies;
    else
        return cookie_source_draw(&engine->cookies);
    return 0;
}

static int worker_make(struct engine *engine, unsigned index, char why[static ENGINE_WHY_SIZE])
{
    size_t count = engine->worker_count;
    struct worker_queue **from = engine->directions + 2 * count * index;
    struct serve_config serve = {
        .settings = engine->settings,
        .zone_table = &engine->rules->zone_table,
        .access = &engine->rules->access,
        .local = engine->local,
        .cookies = engine->settings->server_cookies ? &engine->cookies : NULL,
        .cache = &engine->cache,
        .counters = &engine->counters[index],
        .worker = index,
        .worker_count = engine->worker_count,
        .pending_max = engine_sizes_questions(),
        .source_ports_max = engine->source_ports_max,
        .upstream_connections_max = CONNECTIONS_PER_WORKER,
    };
    if (entropy_draw(serve.seed, sizeof serve.seed) < 0)
        return -EIO;
    struct worker_config config = {
        .serve = &serve,
        .now_us = engine_now_us,
        .clock = &engine->clock,
        .net_engine = engine->net_engine,
        .failure_fd = engine->failure_fd,
        .worker_count = engine->worker_count,
        .connections_max = engine->connections_max,
        .steering = &engine->steering,
        .from = from,
        .to = from + count,
    };
    int error = worker_open(&engine->workers[index], &config, why);
    if (error == 0)
        engine->nets[index] = worker_net(engine->workers[index]);
    return error;
}

static int workers_make(struct engine *engine, struct engine_inheritance *inheritance,
                        char why[static ENGINE_WHY_SIZE])
{
    int error = listening_plan(
        &engine->listening, &engine->settings->server_listen, engine_now_us(&engine->clock),
        inheritance ? inheritance->sockets : NULL, inheritance ? inheritance->count : 0, why);
    for (unsigned i = 0; i < engine->worker_count && error == 0; i++)
        error = worker_make(engine, i, why);
    for (unsigned i = 0; i < engine->worker_count && error == 0; i++)
        error = listening_put(&engine->listening, i, worker_listeners(engine->workers[i]));
    if (error == 0)
        listening_done(&engine->listening, engine_now_us(&engine->clock));
    for (unsigned i = 0; i < engine->worker_count && error == 0; i++)
        worker_nets(engine->workers[i], engine->nets);
    return error;
}

static int steering_prepare(struct engine *engine, char why[static ENGINE_WHY_SIZE])
{
    int error =
        steering_init(&engine->steering, engine->settings->server_steering, engine->worker_count);
    if (error < 0)
        snprintf(why, ENGINE_WHY_SIZE,
                 "server.steering is cpu, and %u workers are more than the %u processors that this "
                 "process may use: some would receive nothing",
                 engine->worker_count, engine->steering.cpu_count);
    return error;
}

// The sockets share their port by the worker, so there must be equally many.
static int inheritance_fits(const struct engine *engine,
                            const struct engine_inheritance *inheritance,
                            char why[static ENGINE_WHY_SIZE])
{
    if (!inheritance || inheritance->worker_count == engine->worker_count)
        return 0;
    snprintf(why, ENGINE_WHY_SIZE, "%u workers cannot take the place of %u: that needs a restart",
             engine->worker_count, inheritance->worker_count);
    return -EINVAL;
}

struct engine *engine_open(const struct settings *settings, const struct local *local,
                           const struct cookie_source *cookies,
                           struct engine_inheritance *inheritance, char why[static ENGINE_WHY_SIZE])
{
    struct engine *engine = calloc(1, sizeof *engine);
    snprintf(why, ENGINE_WHY_SIZE, "no memory");
    if (!engine)
        return NULL;
    pthread_mutex_init(&engine->doing, NULL);
    pthread_mutex_init(&engine->plane_lock, NULL);
    engine->settings = settings;
    engine->local = local;
    engine->net_engine = net_choose((enum net_choice)settings->server_engine, &engine->net_refused);
    engine->worker_count =
        settings->server_workers ? (unsigned)settings->server_workers : cgroup_cpus();
    engine->clock.offset_us = inheritance ? inheritance->clock_offset_us
                                          : clock_us(CLOCK_REALTIME) - clock_us(CLOCK_BOOTTIME);
    engine->region_fd = -1;
    engine->failure_fd = wake_open();

    int error = engine->failure_fd < 0 ? -errno : 0;
    if (error == 0)
        error = listening_init(&engine->listening, engine->worker_count, &engine->steering);
    if (error == 0)
        error = steering_prepare(engine, why);
    if (error == 0)
        error = inheritance_fits(engine, inheritance, why);
    if (error == 0)
        error = descriptors_allow(engine, why);
    if (error == 0)
        error = region_open(engine, inheritance, why);
    if (error == 0)
        error = tables_make(engine, why);
    if (error == 0)
        error = cookies_choose(engine, cookies, inheritance);
    if (error == 0)
        error = workers_make(engine, inheritance, why);
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
    engine_plane_apply(engine);
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

void engine_close(struct engine *engine)
{
    (void)engine_stop(engine);
    for (unsigned i = 0; engine->workers && i < engine->worker_count; i++) {
        if (engine->workers[i])
            worker_close(engine->workers[i]);
    }
    listening_free(&engine->listening);
    region_close(engine);
    engine_plane_close(engine);
    pthread_mutex_destroy(&engine->plane_lock);
    if (engine->failure_fd >= 0)
        wake_close(engine->failure_fd);
    free(engine->nets);
    free(engine->directions);
    free(engine->queues);
    free(engine->queue_bytes);
    free(engine->counters);
    free(engine->answer_log_bytes);
    free(engine->workers);
    rules_free(engine->rules);
    pthread_mutex_destroy(&engine->doing);
    free(engine);
}

const struct net_engine *engine_net(const struct engine *engine)
{
    return engine->net_engine;
}

const char *engine_net_refused(const struct engine *engine)
{
    return engine->net_refused;
}

unsigned engine_connections_max(const struct engine *engine)
{
    return engine->connections_max;
}

unsigned engine_worker_count(const struct engine *engine)
{
    return engine->worker_count;
}

int engine_failure_fd(const struct engine *engine)
{
    return engine->failure_fd;
}
