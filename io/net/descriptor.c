// SPDX-License-Identifier: MIT
#include "io/net/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

void descriptor_close(int fd)
{
    close(fd);
}

int descriptor_copy(int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return copy < 0 ? -errno : copy;
}
