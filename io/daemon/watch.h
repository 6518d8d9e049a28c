// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>
#include <stdint.h>

// Looks every second whether a file has changed: it has come or gone, is another one, or was
// written. A thread of its own does, as looking at a file may wait for ever. It lives to the end of
// the process; nothing ends it.

struct watch; // opaque

// How a file is; all zeros where there is none.
struct watch_look {
    uint64_t device, inode, size;
    int64_t changed_s, changed_ns;
};
void watch_look_at(struct watch_look *look, const char *path);

// `path` must live as long. NULL: there is no memory, descriptor or thread. It looks from
// watch_set(true) on, and compares with `known`: how the file was before it was last read.
[[nodiscard]] struct watch *watch_open(const char *path);
void watch_set(struct watch *watch, bool on, const struct watch_look *known);

// A descriptor that becomes readable with a change; watch_seen makes it wait for the next.
[[nodiscard]] int watch_fd(const struct watch *watch);
void watch_seen(const struct watch *watch);
