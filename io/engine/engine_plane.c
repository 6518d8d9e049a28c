// SPDX-License-Identifier: MIT
#include "io/engine/engine_plane.h"

#include "core/policy/generation.h"
#include "io/engine/engine_state.h"
#include "io/net/boot_offset.h"
#include "io/xdp/plane_cookies.h"
#include "io/xdp/plane_link.h"
#include "io/xdp/plane_settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

// The plane is off while anything of it is changed. So a frame that it answers is answered by the
// rules of one moment, and while the workers go over to other rules one after the other it answers
// none.

void engine_plane_open(struct engine *engine, struct engine_inheritance *inheritance,
                       uint32_t shard_count, size_t shard_size)
{
    const struct settings *settings = engine->settings;
    engine->plane_boot_ns = boot_offset_ns();
    if (inheritance && inheritance->plane.form != 0) {
        engine->plane = plane_adopt(&inheritance->plane);
        if (!engine->plane)
            snprintf(engine->plane_why, sizeof engine->plane_why,
                     "the predecessor's XDP program is of another version: restart to load this "
                     "one's");
        return;
    }
    if (settings->server_xdp.count == 0)
        return;
    if (inheritance) {
        snprintf(engine->plane_why, sizeof engine->plane_why,
                 "the predecessor had no XDP program: restart to load one");
        return;
    }
    struct plane_options options = {
        .shard_count = shard_count,
        .shard_size = shard_size,
    };
    (void)plane_open(&engine->plane, &options, engine->plane_why);
}

void engine_plane_close(struct engine *engine)
{
    free(engine->plane_tops);
    engine->plane_tops = NULL;
    if (engine->plane)
        plane_close(engine->plane);
    engine->plane = NULL;
}

void engine_plane_give_up(struct engine *engine, const char *why)
{
    engine_plane_close(engine);
    snprintf(engine->plane_why, sizeof engine->plane_why, "%s", why);
}

bool engine_has_plane(const struct engine *engine)
{
    return engine->plane != NULL;
}

// --- what it is told ---------------------------------------------------------------------------

static struct plane_config config_of(const struct engine *engine)
{
    uint64_t offset_ns = engine->clock.offset_us * 1000 + (uint64_t)engine->plane_boot_ns;
    return plane_settings_config(
        engine->settings, generation_of(&engine->rules->zone_table, engine->local), offset_ns);
}

// --- its interfaces ----------------------------------------------------------------------------

static void states_set(struct engine *engine, const uint64_t count[static ENGINE_PLANE_STATES])
{
    for (unsigned state = 0; state < ENGINE_PLANE_STATES; state++)
        __atomic_store_n(&engine->plane_states[state], count[state], __ATOMIC_RELAXED);
}

// It is attached to none of them.
static void states_fail(struct engine *engine)
{
    states_set(engine, (const uint64_t[ENGINE_PLANE_STATES]){
                           [ENGINE_PLANE_FAILED] = engine->settings->server_xdp.count});
}

void engine_plane_states(const struct engine *engine, uint64_t count[static ENGINE_PLANE_STATES])
{
    for (unsigned state = 0; state < ENGINE_PLANE_STATES; state++)
        count[state] = __atomic_load_n(&engine->plane_states[state], __ATOMIC_RELAXED);
}

// Of the interface with this number and name in the settings.
static enum engine_plane_state state_of(const struct engine *engine, size_t number,
                                        const char *name)
{
    if (*engine->plane_interfaces_why[number])
        return ENGINE_PLANE_FAILED;
    return plane_is_in_driver(engine->plane, name) ? ENGINE_PLANE_DRIVER : ENGINE_PLANE_GENERIC;
}

static void interfaces_attach(struct engine *engine)
{
    const struct text_list *list = &engine->settings->server_xdp;
    const char *names[PLANE_LINKS_MAX] = {0};
    size_t count = 0;
    for (size_t i = 0; i < list->count && count < PLANE_LINKS_MAX; i++)
        names[count++] = list->items[i].text;
    uint64_t states[ENGINE_PLANE_STATES] = {0};
    plane_detach_others(engine->plane, names, count);
    for (size_t i = 0; i < count; i++) {
        char *why = engine->plane_interfaces_why[i];
        if (plane_attach(engine->plane, names[i], why) == 0)
            *why = '\0';
        states[state_of(engine, i, names[i])]++;
    }
    states[ENGINE_PLANE_FAILED] += list->count - count;
    states_set(engine, states);
}

void engine_plane_report(struct engine *engine,
                         void (*report)(void *context, const char *interface, const char *state,
                                        bool good),
                         void *context)
{
    const struct text_list *list = &engine->settings->server_xdp;
    const char *aside = plane_settings_aside(engine->settings);
    pthread_mutex_lock(&engine->plane_lock);
    if (list->count > 0 && !engine->plane)
        report(context, NULL, *engine->plane_why ? engine->plane_why : "it begins with a restart",
               false);
    else if (list->count > 0 && (aside || *engine->plane_why))
        report(context, NULL, aside ? aside : engine->plane_why, false);
    for (size_t i = 0; engine->plane && i < list->count && i < PLANE_LINKS_MAX; i++) {
        const char *name = list->items[i].text;
        const char *const words[] = {[ENGINE_PLANE_DRIVER] = "in the driver",
                                     [ENGINE_PLANE_GENERIC] = "behind the driver",
                                     [ENGINE_PLANE_FAILED] = engine->plane_interfaces_why[i]};
        enum engine_plane_state state = state_of(engine, i, name);
        report(context, name, words[state], state != ENGINE_PLANE_FAILED);
    }
    pthread_mutex_unlock(&engine->plane_lock);
}

// --- what it has answered ------------------------------------------------------------------------

static void sample_count(void *context, const struct plane_sample *sample)
{
    struct engine *engine = context;
    uint64_t now_us = engine_now_us(&engine->clock);
    struct address from = {.family = sample->family};
    struct name name = {.len = sample->name_len};
    struct key key;
    memcpy(from.ip, sample->ip, sizeof from.ip);
    memcpy(name.bytes, sample->name, name.len);
    key_of_name(&key, &name, sample->type, engine->cache.seed);
    serve_top_question(&engine->plane_tops[TOP_QUESTIONS], now_us, &key, sample->weight);
    serve_top_client(&engine->plane_tops[TOP_CLIENTS], now_us, &from, engine->cache.seed,
                     sample->weight);
}

static void tops_make(struct engine *engine)
{
    engine->plane_tops = calloc(TOP_KINDS, sizeof *engine->plane_tops);
    for (unsigned kind = 0; engine->plane_tops && kind < TOP_KINDS; kind++)
        top_age(&engine->plane_tops[kind], engine_now_us(&engine->clock));
}

// What cannot be read now is read later, or left out.
static void samples_read(struct engine *engine)
{
    if (!engine->plane_tops)
        tops_make(engine);
    if (engine->plane_tops)
        (void)!plane_samples(engine->plane, sample_count, engine);
}

bool engine_plane_tops(struct engine *engine, struct top *tops)
{
    uint64_t now_us = engine_now_us(&engine->clock);
    pthread_mutex_lock(&engine->plane_lock);
    if (engine->plane && !engine->plane_rests)
        samples_read(engine);
    bool there = engine->plane && engine->plane_tops;
    for (unsigned kind = 0; there && kind < TOP_KINDS; kind++) {
        top_age(&engine->plane_tops[kind], now_us);
        tops[kind] = engine->plane_tops[kind];
    }
    pthread_mutex_unlock(&engine->plane_lock);
    return there;
}

// --- when --------------------------------------------------------------------------------------

static uint64_t now_s(const struct engine *engine)
{
    return engine_now_us(&engine->clock) / 1000000;
}

// What it knows is not certain any more: it is detached, until it has been told of settings again.
static void plane_fail(struct engine *engine, int error)
{
    plane_detach_others(engine->plane, NULL, 0);
    states_fail(engine);
    engine->plane_rests = true;
    snprintf(engine->plane_why, sizeof engine->plane_why, "it cannot be told of the settings: %s",
             strerror(-error));
}

// What the program has found in its maps it remembers for a tick of the kernel's (HZ is at least
// 100). Off for longer than that, it remembers nothing of the settings of before, and a frame that
// was under way when it was turned off has been dealt with.
static void tick_wait(void)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = 12000000}, NULL);
}

void engine_plane_stop(struct engine *engine)
{
    if (!engine->plane)
        return;
    struct plane_config config = config_of(engine);
    pthread_mutex_lock(&engine->plane_lock);
    int error = plane_configure(engine->plane, &config);
    if (error < 0)
        plane_fail(engine, error);
    engine->plane_rests = true; // nobody looks at the settings while they change
    pthread_mutex_unlock(&engine->plane_lock);
    tick_wait();
}

void engine_plane_apply(struct engine *engine)
{
    if (!engine->plane) {
        states_fail(engine);
        return;
    }
    struct plane_config config = config_of(engine);
    pthread_mutex_lock(&engine->plane_lock);
    *engine->plane_why = '\0';
    engine->plane_rests = false;
    int error =
        plane_cookies_fill(engine->plane, &engine->cookies, engine->settings->server_cookies,
                           now_s(engine), &engine->plane_cookies_until_s);
    if (error == 0)
        error = plane_settings_apply(engine->plane, engine->settings, &config,
                                     &engine->plane_addresses);
    if (error == 0)
        interfaces_attach(engine);
    else
        plane_fail(engine, error);
    pthread_mutex_unlock(&engine->plane_lock);
}

void engine_plane_look(struct engine *engine)
{
    uint64_t sum;
    pthread_mutex_lock(&engine->plane_lock);
    if (!engine->plane_rests) {
        samples_read(engine);
        interfaces_attach(engine);
        // Where that fails it checks none meanwhile.
        (void)!plane_cookies_renew(engine->plane, &engine->cookies,
                                   engine->settings->server_cookies, now_s(engine),
                                   &engine->plane_cookies_until_s);
        // While they are filled in again, frames to them go up.
        if (plane_settings_listen(engine->settings, NULL, &sum) == 0 &&
            sum != engine->plane_addresses)
            (void)!plane_settings_listen(engine->settings, engine->plane, &engine->plane_addresses);
    }
    pthread_mutex_unlock(&engine->plane_lock);
}

void engine_plane_rest(struct engine *engine, bool rests)
{
    if (!engine->plane)
        return;
    if (!rests) {
        engine_plane_apply(engine);
        return;
    }
    pthread_mutex_lock(&engine->plane_lock);
    engine->plane_rests = true;
    pthread_mutex_unlock(&engine->plane_lock);
}

void engine_plane_leave(struct engine *engine)
{
    if (!engine->plane)
        return;
    pthread_mutex_lock(&engine->plane_lock);
    plane_leave(engine->plane);
    pthread_mutex_unlock(&engine->plane_lock);
}

void engine_plane_count(const struct engine *engine, struct counters *sum)
{
    static const enum counter rows[PLANE_REASONS] = {
        [PLANE_ANSWERED] = COUNTER_queries_xdp,  [PLANE_OTHER] = COUNTER_xdp_other,
        [PLANE_OFF] = COUNTER_xdp_off,           [PLANE_CLIENT] = COUNTER_xdp_client,
        [PLANE_CHECKSUM] = COUNTER_xdp_checksum, [PLANE_UNUSUAL] = COUNTER_xdp_unusual,
        [PLANE_MISS] = COUNTER_xdp_miss,         [PLANE_RULES] = COUNTER_xdp_rules,
        [PLANE_EXPIRED] = COUNTER_xdp_expired,   [PLANE_FIRST] = COUNTER_xdp_first,
        [PLANE_SIZE] = COUNTER_xdp_size,         [PLANE_TORN] = COUNTER_xdp_torn,
        [PLANE_FRAME] = COUNTER_xdp_frame,
    };
    struct plane_counters counted;
    if (!engine->plane || plane_add_up(engine->plane, &counted) < 0)
        return;
    for (unsigned reason = 0; reason < PLANE_REASONS; reason++)
        sum->values[rows[reason]] += counted.frames[reason];
    sum->values[COUNTER_answers_cache] += counted.frames[PLANE_ANSWERED];
    sum->values[COUNTER_cookies_valid] += counted.cookies;
}
