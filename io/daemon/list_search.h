// SPDX-License-Identifier: MIT
#pragma once
#include "io/daemon/daemon_state.h"

// Which line of a block list a name is blocked by. The lists are read again to find it, by a thread
// that is left alone if they never come; no order waits for that longer than LIST_SEARCH_MS.

#define LIST_SEARCH_MS 2000
#define LIST_PATHS_MAX 64 // as local.block may have (options.def)

struct list_search; // opaque

// Begins to read the lists of the settings in force; for who has the turn. NULL: there is no memory
// or no thread, or an earlier one is still at it.
[[nodiscard]] struct list_search *list_search_begin(struct daemon *d, const struct name *name);

// Waits for it. NULL: `*why` says what kept it. Else what was found (line 0: nothing), which is
// valid until list_search_free.
[[nodiscard]] struct list_search *list_search_finish(struct list_search *search, const char **why);
[[nodiscard]] struct local_line list_search_found(const struct list_search *search);
void list_search_free(struct list_search *search);
