// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

// The identity of a file at a path. Another file that has replaced it meanwhile must not be changed
// or removed.

struct file_mark {
    uint64_t device, inode; // 0, 0: none
};

static inline bool file_mark_is(const struct file_mark *mark, const struct stat *status)
{
    return status->st_dev == mark->device && status->st_ino == mark->inode;
}

// The mark of the path itself, even if it is a link; {0} where there is nothing.
static inline struct file_mark file_mark_of(const char *path)
{
    struct stat status;
    if (lstat(path, &status) != 0)
        return (struct file_mark){0};
    return (struct file_mark){.device = status.st_dev, .inode = status.st_ino};
}

// True if this socket is still at the path.
static inline bool file_mark_is_socket_at(const struct file_mark *mark, const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0 && S_ISSOCK(status.st_mode) && file_mark_is(mark, &status);
}
