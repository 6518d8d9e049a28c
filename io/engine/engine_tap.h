// SPDX-License-Identifier: MIT
#pragma once
#include "io/engine/engine.h"
#include "io/engine/tap.h"

// What the workers tell of their answers (tap.h).

// Has the workers tell of one answer in so many from now on; 0: of none. 0 or -ENOMEM.
[[nodiscard]] int engine_tap(struct engine *engine, uint32_t every);

// Takes what they have told; `take` is called for each, and nothing of it stays. `take` returns
// false to leave this one and all others for the next time. For one thread at a time. Returns
// whether anything was taken.
bool engine_tapped(struct engine *engine,
                   bool (*take)(void *context, const struct tapped *tapped,
                                const struct client *client, const uint8_t *reply, size_t len),
                   void *context);
