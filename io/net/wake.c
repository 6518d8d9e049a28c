// SPDX-License-Identifier: MIT
#include "io/net/wake.h"

#include <assert.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

int wake_open(void)
{
    return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

void wake_close(int fd)
{
    close(fd);
}

void wake_send(int fd)
{
    ssize_t written = write(fd, &(uint64_t){1}, sizeof(uint64_t));
    assert(written == sizeof(uint64_t)); // no one sends so often that it is full
}

void wake_receive(int fd)
{
    uint64_t count;
    ssize_t taken = read(fd, &count, sizeof count);
    (void)taken; // another reader may have taken it
}
