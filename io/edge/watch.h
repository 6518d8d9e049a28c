// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>

// Looks every second whether a file has changed: it has come or gone, is another one, or was
// written. A thread of its own does, as looking at a file may wait for ever. It lives to the end of
// the process; nothing ends it.

struct watch; // opaque

// `path` must live as long. NULL: there is no memory, descriptor or thread. It looks once
// watch_set(true) is called; how the file is then is what it compares with.
[[nodiscard]] struct watch *watch_open(const char *path);
void watch_set(struct watch *watch, bool on);

// A descriptor that becomes readable with a change; watch_seen makes it wait for the next.
[[nodiscard]] int watch_fd(const struct watch *watch);
void watch_seen(const struct watch *watch);
