// SPDX-License-Identifier: MIT
#pragma once
#include <stdint.h>

// Nanoseconds by which this process' CLOCK_BOOTTIME is ahead of the machine's, which BPF programs
// read: other than 0 in a time namespace, as of a container that was moved (time_namespaces(7)).
[[nodiscard]] int64_t boot_offset_ns(void);
