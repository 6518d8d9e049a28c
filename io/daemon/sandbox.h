// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>

// The system calls that the daemon may make once it runs: those that it and its libraries need, and
// no others. It is a seccomp filter; the variant with it (sandbox_seccomp.c) needs libseccomp, and
// the other (sandbox_none.c) says why there is none.
//
// Requests to io_uring are no system calls and pass the filter: files, sockets and timers, within
// the rights of the process. What the filter is meant to stop cannot be done that way: other
// processes, mounts, namespaces, modules, tracing, setting the clock.

// Each engine of the network has calls that the other does without (`io_uring`: which it is), and
// the XDP plane (`plane`: there is one) some that change its maps and attach its program.

#define SANDBOX_WHY_SIZE 160

// From here on all other system calls fail with EPERM, in this thread and in all threads and
// programs that it starts. For a process with a single thread that has set PR_SET_NO_NEW_PRIVS. 0,
// or a negative errno with a sentence in `why`, and nothing is forbidden.
[[nodiscard]] int sandbox_enter(bool io_uring, bool plane, char why[static SANDBOX_WHY_SIZE]);
