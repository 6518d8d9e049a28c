// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>

// A call that may never return, such as one that reads a file on a file system which does not
// answer, and a caller who waits for it only so long. It runs in a thread of its own. Whoever stops
// waiting leaves what the call works on to that thread, which gives it up when the call returns.

#define BOUNDED_READ_MS 30000 // for reading all files that the settings name

struct bounded; // opaque

// Runs `run(context)`. `drop(context)` frees the context where nobody waits for it any more. NULL:
// there is no memory or no thread, and nothing was run.
[[nodiscard]] struct bounded *bounded_start(void (*run)(void *context), void (*drop)(void *context),
                                            void *context);

// Waits until the call has returned, but no longer than `limit_ms`, nor when `stop(context)`, which
// is asked every 50 ms (NULL: never), has said true. True: it has, and the context of the call is
// the caller's. False: that is no longer the caller's to touch; `stop` still may. In both cases
// `bounded` is gone.
[[nodiscard]] bool bounded_finish(struct bounded *bounded, unsigned limit_ms,
                                  bool (*stop)(void *context), void *context);
