// SPDX-License-Identifier: MIT
#pragma once
#include "io/xdp/plane.h"

// Runs a plane's program in the kernel, a frame at a time (BPF_PROG_TEST_RUN), as if it were
// attached to the interface that the kernel takes for such runs.

enum { PROGRAM_PASS = 2, PROGRAM_TX = 3 }; // enum xdp_action

// Tells the program of that interface. 0 or a negative errno.
[[nodiscard]] int program_attach(const struct plane *plane, uint16_t mtu);

// Runs it on a frame of `len` octets, which it may change and make longer, up to `size`. Returns
// what it said, or -1.
[[nodiscard]] int program_run(const struct plane *plane, uint8_t *frame, size_t *len, size_t size);

// The clock that it reads: CLOCK_BOOTTIME.
[[nodiscard]] uint64_t program_now_ns(void);

// Sets its turn on all CPUs.
void program_turn_set(const struct plane *plane, uint32_t turn);
