// SPDX-License-Identifier: MIT
#pragma once
#include <assert.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

// A descriptor by which one thread wakes another that waits for descriptors: it is readable from
// wake_send on until wake_receive. Any thread may send, as often as it likes.

// Returns a descriptor, or -1 with errno.
[[nodiscard]] static inline int wake_open(void)
{
    return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

static inline void wake_send(int fd)
{
    ssize_t written = write(fd, &(uint64_t){1}, sizeof(uint64_t));
    assert(written == sizeof(uint64_t)); // nobody sends so often that it is full
}

static inline void wake_receive(int fd)
{
    uint64_t count;
    ssize_t taken = read(fd, &count, sizeof count);
    (void)taken; // somebody else may have taken it
}
