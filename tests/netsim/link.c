// SPDX-License-Identifier: MIT
#include "tests/netsim/link.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum { POKE_US = 300 };

static unsigned link_count;

void links_begin(void)
{
    link_count = 0;
}

unsigned links_count(void)
{
    return link_count;
}

static void pipe_make(struct pipe *pipe)
{
    pipe->bytes = malloc(world.params.pipe_size);
    assert(pipe->bytes);
}

static size_t pipe_room(const struct pipe *pipe)
{
    return world.params.pipe_size - pipe->len;
}

static void pipe_put(struct pipe *pipe, const uint8_t *bytes, size_t len)
{
    size_t size = world.params.pipe_size, at = (pipe->first + pipe->len) % size;
    size_t part = len < size - at ? len : size - at;
    memcpy(pipe->bytes + at, bytes, part);
    memcpy(pipe->bytes, bytes + part, len - part);
    pipe->len += len;
}

static void pipe_get(struct pipe *pipe, uint8_t *bytes, size_t len)
{
    size_t size = world.params.pipe_size, part = size - pipe->first;
    part = len < part ? len : part;
    memcpy(bytes, pipe->bytes + pipe->first, part);
    memcpy(bytes + part, pipe->bytes, len - part);
    pipe->first = (pipe->first + len) % size;
    pipe->len -= len;
}

// How many of these octets go at once: mostly all.
static size_t piece_of(size_t len)
{
    return len > 1 && world_mischief(world.params.partial_pm)
               ? 1 + dice_below(&world.dice, (uint32_t)len - 1)
               : len;
}

struct link *link_make(const struct address *host, const struct address *engine)
{
    struct link *link = calloc(1, sizeof *link);
    assert(link);
    link->host = *host;
    link->engine = *engine;
    pipe_make(&link->to_engine);
    pipe_make(&link->to_host);
    link_count++;
    return link;
}

static void link_free_if_gone(struct link *link)
{
    if (!link->engine_gone || !link->host_gone)
        return;
    free(link->to_engine.bytes);
    free(link->to_host.bytes);
    free(link);
    link_count--;
}

static void engine_told(struct link *link)
{
    if (link->file)
        file_changed(link->file);
}

static void host_told(struct link *link)
{
    if (link->timer)
        alarm_hasten(link->timer, world.now_us + dice_below(&world.dice, POKE_US));
}

// --- the engine's side ---------------------------------------------------------------------------

bool link_readable(const struct link *link)
{
    return link->engine_resets || link->shut || link->to_engine.len > 0 || link->to_engine.ends;
}

bool link_writable(const struct link *link)
{
    return link->engine_resets || link->shut || pipe_room(&link->to_host) > 0;
}

int link_engine_receive(struct link *link, uint8_t *bytes, size_t len)
{
    if (link->engine_resets)
        return -ECONNRESET;
    if (link->to_engine.len == 0)
        return 0;
    len = piece_of(len < link->to_engine.len ? len : link->to_engine.len);
    pipe_get(&link->to_engine, bytes, len);
    host_told(link);
    return (int)len;
}

int link_engine_send(struct link *link, const uint8_t *bytes, size_t len)
{
    if (link->engine_resets)
        return -ECONNRESET;
    if (link->shut || link->host_gone)
        return -EPIPE;
    size_t room = pipe_room(&link->to_host);
    assert(room > 0);
    len = piece_of(len < room ? len : room);
    pipe_put(&link->to_host, bytes, len);
    world_mix(bytes, len);
    host_told(link);
    return (int)len;
}

void link_engine_shut(struct link *link)
{
    link->shut = true;
    link->to_host.ends = true;
    engine_told(link);
    host_told(link);
}

// What is read no more makes a reset of the end, which overtakes what has not been read there.
void link_engine_close(struct link *link)
{
    assert(!link->engine_gone);
    link->engine_gone = true;
    link->file = NULL;
    if (link->to_engine.len > 0 && !link->host_gone) {
        link->host_resets = true;
        if (world_mischief(500))
            link->to_host.len = 0;
    }
    link->to_host.ends = true;
    host_told(link);
    link_free_if_gone(link);
}

// --- the host's side -----------------------------------------------------------------------------

struct place {
    const struct address *at;
    uint32_t lot;
    unsigned count;
};

static bool listens(const struct file *file, const void *context)
{
    const struct address *at = context;
    return file->kind == FILE_LISTENER && file->bound && file->at.port == at->port &&
           file->at.family == at->family &&
           (address_is_wildcard(&file->at) || address_equal(&file->at, at));
}

static bool listens_too(const struct file *file, const void *context)
{
    struct place *place = (struct place *)(uintptr_t)context;
    return listens(file, place->at) && place->count++ == place->lot;
}

// One of those that share the port.
static struct file *listener_at(const struct address *at)
{
    struct place place = {.at = at, .lot = UINT32_MAX};
    (void)file_find(listens_too, &place);
    if (place.count == 0)
        return NULL;
    place = (struct place){.at = at, .lot = dice_below(&world.dice, place.count)};
    return file_find(listens_too, &place);
}

struct link *link_open(const struct address *host, const struct address *engine,
                       struct alarm *timer)
{
    struct file *file = listener_at(engine);
    if (!file || file->waiting_count == BACKLOG)
        return NULL;
    struct link *link = link_make(host, engine);
    link->timer = timer;
    file->waiting[file->waiting_count++] = link;
    file_changed(file);
    return link;
}

void link_decide(struct link *link, int refused)
{
    if (!link->connecting)
        return;
    link->connecting = false;
    link->refused = refused;
    engine_told(link);
}

int link_read(struct link *link, uint8_t *bytes, size_t len)
{
    if (link->to_host.len > 0) {
        len = piece_of(len < link->to_host.len ? len : link->to_host.len);
        pipe_get(&link->to_host, bytes, len);
        engine_told(link);
        return (int)len;
    }
    if (link->host_resets)
        return LINK_RESET;
    return link->to_host.ends ? LINK_ENDED : LINK_NOTHING;
}

int link_write(struct link *link, const uint8_t *bytes, size_t len)
{
    if (link->host_resets || link->engine_gone || link->shut) {
        link->host_resets = true;
        return LINK_RESET;
    }
    size_t room = pipe_room(&link->to_engine);
    len = len < room ? len : room;
    pipe_put(&link->to_engine, bytes, len);
    engine_told(link);
    return (int)len;
}

void link_finish(struct link *link)
{
    link->to_engine.ends = true;
    engine_told(link);
}

void link_close(struct link *link, bool reset)
{
    assert(!link->host_gone);
    link->host_gone = true;
    link->timer = NULL;
    link->to_engine.ends = true;
    if (reset || link->to_host.len > 0) {
        link->engine_resets = true;
        link->to_engine.len = 0;
    }
    link->to_host.len = 0;
    engine_told(link);
    link_free_if_gone(link);
}
