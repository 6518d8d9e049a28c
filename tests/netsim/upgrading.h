// SPDX-License-Identifier: MIT
#pragma once
#include "io/engine/engine.h"
#include "io/engine/engine_answer_log.h"

// An upgrade as io/daemon does it, both processes in one: another engine takes over the sockets and
// the region while clients ask.

// `*engine` is the one that is there afterwards; the other is closed. What is left in the old one's
// answer log is given to `consume`. False: the successor failed, and all is as it was.
// `*finished`: what the predecessor had begun was done when it ended.
bool upgrade(struct engine **engine, bool *finished, const struct settings *settings,
             bool (*consume)(void *, const struct logged_answer *, const struct client *,
                             const uint8_t *, size_t));
