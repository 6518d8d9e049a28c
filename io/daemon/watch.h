// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>
#include <stdint.h>

// Checks every second whether a file has changed: it was created, removed, replaced or written. A
// thread of its own does that, as the file system may not answer. The thread lives as long as the
// process.

struct watch; // opaque

// The state of a file; all zeros where there is none.
struct watch_look {
    uint64_t device, inode, size;
    int64_t changed_s, changed_ns;
};
void watch_look_at(struct watch_look *look, const char *path);

// `path` must live as long. NULL: there is no memory, descriptor or thread. Checks run from
// watch_set(true) on, and compare with `known`, the state before the file was last read.
[[nodiscard]] struct watch *watch_open(const char *path);
void watch_set(struct watch *watch, bool on, const struct watch_look *known);

// A descriptor that becomes readable with a change; watch_seen clears that.
[[nodiscard]] int watch_fd(const struct watch *watch);
void watch_seen(const struct watch *watch);
