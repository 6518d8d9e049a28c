// SPDX-License-Identifier: MIT
#include "io/daemon/sandbox.h"

#include <errno.h>
#include <stdio.h>

int sandbox_enter(bool io_uring, bool plane, char why[static SANDBOX_WHY_SIZE])
{
    snprintf(why, SANDBOX_WHY_SIZE,
             "this program was built without libseccomp, or with a "
             "sanitizer, which makes calls of its own");
    return -ENOSYS;
}
