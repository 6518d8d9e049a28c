// SPDX-License-Identifier: MIT
#pragma once
#include "io/daemon/daemon_state.h"

// Finds the line of a block list that blocks a name. A thread reads the lists again for it, and is
// abandoned if a file system does not answer; no order waits longer than LIST_SEARCH_MS.

#define LIST_SEARCH_MS 2000
#define LIST_PATHS_MAX 64 // as local.block may have (options.def)

struct list_search; // opaque

// Starts reading the lists of the settings in force; the caller holds the turn. NULL: there is no
// memory or no thread, or an earlier search is still running.
[[nodiscard]] struct list_search *list_search_begin(struct daemon *d, const struct name *name);

// Waits for it. NULL: it failed, for the reason in `*why`. Else the result (line 0: nothing) is
// valid until list_search_free.
[[nodiscard]] struct list_search *list_search_finish(struct list_search *search, const char **why);
[[nodiscard]] struct local_line list_search_found(const struct list_search *search);
void list_search_free(struct list_search *search);
