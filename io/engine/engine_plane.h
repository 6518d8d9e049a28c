// SPDX-License-Identifier: MIT
#pragma once
#include "core/serve/top.h"
#include "io/engine/engine.h"
#include "io/xdp/plane.h"

// The engine's part of the XDP plane (io/xdp/plane.h): when there is one, and what it is told of
// the settings in force. The plane answers only while it can do so as the workers would; where it
// cannot it stands aside, and everything goes to the sockets.

// Opens a plane where the settings want one, or goes on with the one that was inherited, whatever
// they say, as its memory is the cache's. Without one all goes on; engine_plane_report says why.
void engine_plane_open(struct engine *engine, struct engine_inheritance *inheritance,
                       uint32_t shard_count, size_t shard_size);
void engine_plane_close(struct engine *engine);

// Closes one whose memory cannot be the cache's. The predecessor's goes on until that leaves it.
void engine_plane_give_up(struct engine *engine, const char *why);

// Tells the plane of the settings in force, and turns it on; to be called when all workers go by
// them. engine_plane_stop turns it off, before the first does.
void engine_plane_apply(struct engine *engine);
void engine_plane_stop(struct engine *engine);

// Looks whether interfaces have come or gone, or this host's addresses have changed. To be called
// each ENGINE_PLANE_LOOK_MS while engine_has_plane.
#define ENGINE_PLANE_LOOK_MS 1000
[[nodiscard]] bool engine_has_plane(const struct engine *engine);
void engine_plane_look(struct engine *engine);

// Another process is to change what the plane knows, or (with false) this one is again.
void engine_plane_rest(struct engine *engine, bool rests);

// Another process has taken over, with the plane or without it: only what that has goes on.
void engine_plane_leave(struct engine *engine);

// Reports the state of each interface of the settings, and why the plane stands aside, with NULL
// for the interface. Nothing where the settings want none.
void engine_plane_report(struct engine *engine,
                         void (*report)(void *context, const char *interface, const char *state,
                                        bool good),
                         void *context);

// Copies what is asked for most and who asks most, by the plane's own samples: TOP_KINDS tables.
// False: there is no plane.
[[nodiscard]] bool engine_plane_tops(struct engine *engine, struct top *tops);

// The settings' interfaces, by where the program is attached. For any thread.
enum engine_plane_state {
    ENGINE_PLANE_DRIVER,
    ENGINE_PLANE_GENERIC,
    ENGINE_PLANE_FAILED,
    ENGINE_PLANE_STATES,
};
void engine_plane_states(const struct engine *engine, uint64_t count[static ENGINE_PLANE_STATES]);

// Adds what the plane has counted to the counters.
void engine_plane_count(const struct engine *engine, struct counters *sum);
