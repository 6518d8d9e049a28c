// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>
#include <stdint.h>

// What of the machine a control group leaves to this process (cgroups(7)), as containers and
// systemd set it: a process there sees all CPUs and all memory, and gets a part of them.

#define CGROUP_PROC  "/proc/self/cgroup"
#define CGROUP_MOUNT "/sys/fs/cgroup"

struct cgroup_limits {
    unsigned cpus;   // that its quota of time is worth, a fraction as one more; 0: no bound
    uint64_t memory; // octets; UINT64_MAX: no bound
};

// Reads the bounds of its groups and of all above them, of which the least counts: version 2, and
// version 1 where its controllers are mounted below `mount` by their names. What is not there or
// cannot be read bounds nothing.
[[nodiscard]] struct cgroup_limits cgroup_limits_read(const char *proc, const char *mount);

// Is a cache of so many octets more than the groups leave room for, with what else there is?
[[nodiscard]] bool cgroup_is_tight(const struct cgroup_limits *limits, uint64_t cache_size);

// CPUs that this process may use, by its affinity and its groups; at least 1.
[[nodiscard]] unsigned cgroup_cpus(void);
