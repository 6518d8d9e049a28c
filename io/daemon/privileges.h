// SPDX-License-Identifier: MIT
#pragma once
#include "io/edge/file_mark.h"
#include "io/edge/user.h"

// What the daemon gives up once its sockets are bound. The system calls that it gives up as well
// are io/daemon/sandbox.h's.

#define PRIVILEGES_WHY_SIZE USER_WHY_SIZE

// Becomes the user of that name, with his groups; "": stays who it is. In any case it gives up all
// capabilities but CAP_NET_BIND_SERVICE, which it keeps where it has it, and nothing that it might
// start can ever have more rights. For a process that has no other thread yet. 0, or -1 with a
// sentence in `why`.
[[nodiscard]] int privileges_drop(const char *user, char why[static PRIVILEGES_WHY_SIZE]);

// Gives the socket at `path`, which this process has just made, to the user; "": to nobody. The
// user may own the directory and have put something else in its place meanwhile: a link is not
// followed, and what is not the socket that was `made`, or has a second name, is left alone. 0 or
// a negative errno, -EPERM for such.
[[nodiscard]] int privileges_give(const char *user, const char *path, const struct file_mark *made);
