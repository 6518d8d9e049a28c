// SPDX-License-Identifier: MIT
#include "io/net/entropy.h"

#include <errno.h>
#include <sys/random.h>

int entropy_draw(void *bytes, size_t len)
{
    return getrandom(bytes, len, 0) == (ssize_t)len ? 0 : -EIO;
}
