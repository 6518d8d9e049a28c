// SPDX-License-Identifier: MIT
#include "core/serve_state.h"

#include <assert.h>

// What an operator has a worker do between two batches: other settings, flushes, and looks at what
// it knows.

// --- settings ------------------------------------------------------------------------------------

void serve_local(struct serve *s, const struct local *local)
{
    s->config.local = local;
    memset(&s->local_memo, 0, sizeof s->local_memo);
}

void serve_reload(struct serve *s, uint64_t now_us, const struct serve_update *update)
{
    s->config.settings = update->settings;
    s->config.plan = update->plan;
    s->config.access = update->access;
    s->config.cookies = update->cookies;
    serve_local(s, update->local);
    serve_limits_take(s, update->settings);
    forward_reload(&s->forward, now_us, update->plan, update->settings);
    // What failed with the upstreams of before may be had from those of now.
    failure_init(&s->failures, s->failures.entries, s->failures.bucket_count * FAILURE_WAYS);
    struct guard_config guard = serve_guard_config(&s->config);
    guard_reload(&s->guard, &guard);
}

// --- flushes -------------------------------------------------------------------------------------

static bool everything(const void *context, const uint8_t *key, size_t key_len)
{
    (void)context;
    (void)key;
    (void)key_len;
    return true;
}

bool serve_flush(struct serve *s, struct serve_flush *flush, size_t budget)
{
    static bool (*const matches[])(const void *name, const uint8_t *key, size_t key_len) = {
        [FLUSH_NAME] = key_is_name,
        [FLUSH_SUBTREE] = key_is_within,
        [FLUSH_ALL] = everything,
    };
    struct cache *cache = s->config.cache;
    flush->sweep.shard = s->config.worker + flush->shards_done * s->config.worker_count;
    if (cache_sweep(cache, &flush->sweep, budget, matches[flush->what], &flush->name))
        return true;
    flush->sweep.bucket = 0;
    return ++flush->shards_done < cache->shard_count / s->config.worker_count;
}
