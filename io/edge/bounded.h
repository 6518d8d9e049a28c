// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>

// A call with a time limit that may never return, such as one that reads a file on a file system
// that does not answer. It runs in a thread of its own. A caller that stops waiting leaves the
// call's context to that thread, which frees it when the call returns.

#define BOUNDED_READ_MS 30000 // for reading all files that the settings name

struct bounded; // opaque

// Runs `run(context)`. `drop(context)` frees the context if the caller has stopped waiting. NULL:
// there is no memory or no thread, and nothing was run.
[[nodiscard]] struct bounded *bounded_start(void (*run)(void *context), void (*drop)(void *context),
                                            void *context);

// Waits until the call has returned, at most for `limit_ms`, and until `stop(context)` returns
// true, which is called every 50 ms (NULL: never). True: the call has returned, and its context is
// the caller's. False: the caller must not touch the context any more, though `stop` may. `bounded`
// is freed in both cases.
[[nodiscard]] bool bounded_finish(struct bounded *bounded, unsigned limit_ms,
                                  bool (*stop)(void *context), void *context);
