// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

// Which file it is that a path led to: what has been put in its place meanwhile is another one, and
// not ours to change or to remove.

struct file_mark {
    uint64_t device, inode; // 0, 0: none
};

static inline bool file_mark_is(const struct file_mark *mark, const struct stat *status)
{
    return status->st_dev == mark->device && status->st_ino == mark->inode;
}

// Of the path itself, where that is a link. None where nothing is there.
static inline struct file_mark file_mark_of(const char *path)
{
    struct stat status;
    if (lstat(path, &status) != 0)
        return (struct file_mark){0};
    return (struct file_mark){.device = status.st_dev, .inode = status.st_ino};
}

// Is the path still that of this socket?
static inline bool file_mark_is_socket_at(const struct file_mark *mark, const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0 && S_ISSOCK(status.st_mode) && file_mark_is(mark, &status);
}
