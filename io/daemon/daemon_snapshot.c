// SPDX-License-Identifier: MIT
#include "io/daemon/daemon_snapshot.h"

#include "io/daemon/daemon_state.h"
#include "io/daemon/signals.h"
#include "io/edge/bounded.h"
#include "io/edge/snapshot_place.h"
#include "io/edge/snapshot_read.h"
#include "io/edge/snapshot_write.h"
#include "io/engine/engine_region.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

// The cache's snapshots. Neither the start nor the end waits for a disk for longer than it may: to
// read is a thread's that is left alone where it gets no further, and to write is a task.

enum { STALL_MAX_MS = 5000 }; // without a block of the file

static void snapshot_log(const struct log *log, const char *message, const char *path,
                         const struct snapshot_result *result)
{
    char entries[24], octets[24];
    snprintf(entries, sizeof entries, "%llu", (unsigned long long)result->entries);
    snprintf(octets, sizeof octets, "%llu", (unsigned long long)result->octets);
    log_write(log, LOG_INFO, message,
              (struct log_field[]){
                  {"path", path}, {"entries", entries}, {"octets", octets}, {NULL, NULL}});
}

// --- at the start --------------------------------------------------------------------------------

// What the thread works on; it alone owns it once it is abandoned.
struct load {
    struct snapshot_gate gate;
    struct cache *cache; // touched while the gate is open only
    struct path path;
    uint32_t now_s;
    int error; // of snapshot_read
    struct snapshot_result result;
    bool placed; // a snapshot could be written there
    char why[SNAPSHOT_WHY_SIZE], place_why[SNAPSHOT_WHY_SIZE];
};

// Who waits for it, and how far it was when it got further for the last time.
struct load_watch {
    struct load *load;
    struct cache *cache;
    uint64_t blocks, since_ms;
};

static void load_run(void *context)
{
    struct load *load = context;
    load->placed = snapshot_place_check(load->path.text, load->place_why);
    load->error = snapshot_read(load->cache, load->path.text, load->now_s, &load->gate,
                                &load->result, load->why);
}

// Is it to be left alone? Then it does not touch the cache any more.
static bool load_ends(void *context)
{
    struct load_watch *watch = context;
    uint64_t blocks = __atomic_load_n(&watch->load->gate.blocks, __ATOMIC_RELAXED);
    if (blocks != watch->blocks)
        watch->since_ms = now_ms();
    watch->blocks = blocks;
    bool ends = signals_ask_for_end() || now_ms() - watch->since_ms >= STALL_MAX_MS;
    if (ends)
        snapshot_gate_close(&watch->load->gate, watch->cache);
    return ends;
}

static void load_tell(const struct log *log, const struct load *load)
{
    if (!load->placed)
        log_writef(log, LOG_ERROR,
                   "there is another file in its place: no snapshot will be written", "reason",
                   "%s", load->place_why);
    if (load->error == 0)
        snapshot_log(log, "snapshot read", load->path.text, &load->result);
    else if (load->error == -ENOENT)
        log_writef(log, LOG_INFO, "no snapshot yet", "path", "%s", load->path.text);
    else if (load->placed)
        log_writef(log, LOG_WARNING, "starting without the snapshot", "reason", "%s", load->why);
}

bool snapshot_load(struct daemon *d)
{
    struct cache *cache = engine_cache(d->engine);
    struct path path = settings_of(d)->cache_snapshot;
    if (*path.text == '\0')
        return !signals_ask_for_end();
    struct load *load = calloc(1, sizeof *load);
    struct bounded *bounded = NULL;
    if (load) {
        snapshot_gate_init(&load->gate);
        load->cache = cache;
        load->path = path;
        load->now_s = engine_now_s(d->engine);
        bounded = bounded_start(load_run, free, load);
    }
    struct load_watch watch = {.load = load, .cache = cache, .since_ms = now_ms()};
    if (bounded && !bounded_finish(bounded, UINT_MAX, load_ends, &watch)) {
        if (signals_ask_for_end())
            return false;
        log_writef(&d->log, LOG_WARNING, "starting without the snapshot", "reason",
                   "the snapshot %s is not read: no data for %d s", path.text, STALL_MAX_MS / 1000);
        return true;
    }
    if (bounded)
        load_tell(&d->log, load);
    else
        log_writef(&d->log, LOG_WARNING, "starting without the snapshot", "reason", "%s",
                   "there is no memory or no thread to read it");
    free(load);
    return !signals_ask_for_end();
}

// --- while it runs and at the end ----------------------------------------------------------------

// In a thread of its own, so workers go on answering. It has copies of what it needs, as the
// process may end without waiting long for it.
bool daemon_snapshot(struct daemon *d, FILE *report)
{
    struct snapshot_result result;
    char why[SNAPSHOT_WHY_SIZE];
    pthread_mutex_lock(&d->turn);
    struct path path = settings_of(d)->cache_snapshot;
    struct cache cache = *engine_cache(d->engine);
    uint32_t now_s = engine_now_s(d->engine);
    bool charged = !successor_of(d);
    d->flushed = false;
    pthread_mutex_unlock(&d->turn);
    if (!charged || *path.text == '\0') {
        fprintf(report, charged ? "no file is set for snapshots (cache.snapshot)\n"
                                : "another process has taken over\n");
        return false;
    }
    if (snapshot_write(&cache, path.text, now_s, &result, why) != 0) {
        log_writef(&d->log, LOG_ERROR, "no snapshot was written", "reason", "%s", why);
        fprintf(report, "no snapshot was written: %s\n", why);
        return false;
    }
    snapshot_log(&d->log, "snapshot written", path.text, &result);
    fprintf(report, "%llu answers written to %s\n", (unsigned long long)result.entries, path.text);
    return true;
}

void snapshot_last(struct daemon *d, bool wanted)
{
    wanted = wanted && !successor_of(d) && *settings_of(d)->cache_snapshot.text;
    bool under_way = !task_is_idle(d, TASK_SNAPSHOT);
    bool idle = !under_way || task_wait(d, TASK_SNAPSHOT, d->end_ms);
    // What was flushed since that one began would come back with it.
    if (idle && wanted && (!under_way || d->flushed) &&
        task_begin(d, TASK_SNAPSHOT, NULL, NULL) == 0)
        idle = task_wait(d, TASK_SNAPSHOT, d->end_ms);
    if (idle)
        return;
    engine_leave_region(d->engine);
    log_write(&d->log, LOG_WARNING, "ending before the snapshot is written, the previous one stays",
              NULL);
}
