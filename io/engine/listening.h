// SPDX-License-Identifier: MIT
#pragma once
#include "core/serve/control.h"
#include "core/settings/settings.h"
#include "io/engine/listener.h"
#include "io/engine/steering.h"

// The addresses that the engine listens on: the slot of each in all workers, and how they change
// while the workers run. Every socket of a change is open before the first worker gets one, so a
// change happens completely or not at all.
//
//   listening_plan    opens new sockets, marks old ones      | undone by listening_undo
//   listening_put     each worker gets its new sockets       | in its thread, or before that runs;
//   listening_switch  ... receives there, closes old ones    | not before all have put theirs
//   listening_done    the table is as planned
//
// One thread at a time changes the table. A socket is the worker's that has put it.

enum listening_state {
    LISTENING_FREE,
    LISTENING_NEW, // opened, for the change that is going on
    LISTENING_USED,
    LISTENING_LEAVING, // to be given up by the change that is going on
    LISTENING_GONE,    // for SERVE_RELOAD_REST_US, as replies may still have to leave from there
};

// The sockets of one address: LISTENER_SOCKETS for each worker.
struct listening_sockets {
    struct address address;
    int *fds; // LISTENER_SOCKETS * worker_count; -1: none
};

struct listening {
    unsigned worker_count;
    const struct steering *steering;
    bool *put; // for each worker: it has put what is new
    struct {
        struct listening_sockets sockets;
        enum listening_state state;
        uint64_t gone_us;
    } slots[LISTENERS_MAX];
};

// 0 or -ENOMEM. listening_free closes what no worker has taken. `steering` must live as long.
[[nodiscard]] int listening_init(struct listening *listening, unsigned worker_count,
                                 const struct steering *steering);
void listening_free(struct listening *listening);

// Plans to listen on these addresses and no others. Sockets that `inherited` (up to `count`; NULL:
// none) has for an address are used, and taken out there. 0, or a negative errno and a sentence in
// `why`: nothing has changed.
#define LISTENING_WHY_SIZE 256
[[nodiscard]] int listening_plan(struct listening *listening, const struct address_list *addresses,
                                 uint64_t now_us, struct listening_sockets *inherited, size_t count,
                                 char why[static LISTENING_WHY_SIZE]);
void listening_undo(struct listening *listening);

// True if the workers have anything to do.
[[nodiscard]] bool listening_changes(const struct listening *listening);

// 0 or a negative errno: then listening_regret has the switch give up what is new instead.
void listening_regret(struct listening *listening);
[[nodiscard]] int listening_put(struct listening *listening, unsigned worker,
                                struct listeners *listeners);
void listening_switch(const struct listening *listening, uint64_t now_us,
                      struct listeners *listeners);
void listening_done(struct listening *listening, uint64_t now_us);
