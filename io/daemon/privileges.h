// SPDX-License-Identifier: MIT
#pragma once
#include "io/edge/file_mark.h"
#include "io/edge/user.h"

// The privileges that the daemon drops once its sockets are bound. io/daemon/sandbox.h restricts
// its system calls.

#define PRIVILEGES_WHY_SIZE USER_WHY_SIZE

// Changes to this user and the user's groups; "": stays. In any case drops all capabilities but
// CAP_NET_BIND_SERVICE, and sets PR_SET_NO_NEW_PRIVS. For a process with a single thread. 0, or -1
// with a sentence in `why`.
[[nodiscard]] int privileges_drop(const char *user, char why[static PRIVILEGES_WHY_SIZE]);

// Makes the user the owner of the socket at `path`, which this process has just made; "": changes
// nothing. The user may own the directory and have put something else there meanwhile: a link is
// not followed, and a file other than `made`, or with a second name, is left alone. 0 or a negative
// errno, -EPERM for these.
[[nodiscard]] int privileges_give(const char *user, const char *path, const struct file_mark *made);
