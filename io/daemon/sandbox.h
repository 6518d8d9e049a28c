// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>

// The system calls that the daemon may make once it runs: those that it and its libraries need, and
// no other. It is a filter of the kernel's (seccomp); the variant that has it (sandbox_seccomp.c)
// needs libseccomp, the other (sandbox_none.c) says why there is none.
//
// What the workers have their rings do is no system call and passes no filter: files, sockets and
// timers, within the rights of the process. What the filter is for is not there: other processes,
// mounts, namespaces, modules, tracing, the clock.

// Each engine of the network has calls that the other does without (`io_uring`: which it is).

#define SANDBOX_WHY_SIZE 160

// From here on every other system call fails with EPERM, in this thread and in all that it starts,
// other programs among them, for ever; those may limit themselves further. For a process that has
// no other thread yet and has set PR_SET_NO_NEW_PRIVS. 0, or a negative errno with a sentence in
// `why`, and nothing is forbidden.
[[nodiscard]] int sandbox_enter(bool io_uring, char why[static SANDBOX_WHY_SIZE]);
