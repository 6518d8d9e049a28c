// SPDX-License-Identifier: MIT
#include "io/edge/snapshot_place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// The kind of file is looked at before it is opened, as to open a device may do something. What is
// open then is looked at again, since its name may lead elsewhere by then.

static const char not_ours[] = "is no snapshot of ouzel, and is not written over";

static const char *kind_fault(const struct stat *status)
{
    if (S_ISLNK(status->st_mode))
        return "is a link, and is not written over";
    if (S_ISDIR(status->st_mode))
        return "is a directory";
    return S_ISREG(status->st_mode) ? NULL : "is no regular file, and is not written over";
}

static const char *owner_fault(const struct stat *status)
{
    return status->st_uid == geteuid() || status->st_uid == 0
               ? NULL
               : "belongs to another user, and is not written over";
}

static const char *content_fault(int fd, off_t size, enum snapshot_place place)
{
    static const char zeros[sizeof SNAPSHOT_MAGIC];
    char bytes[sizeof SNAPSHOT_MAGIC - 1];
    if (size == 0)
        return NULL;
    bool ours = pread(fd, bytes, sizeof bytes, 0) == sizeof bytes &&
                (memcmp(bytes, SNAPSHOT_MAGIC, sizeof bytes) == 0 ||
                 (place == SNAPSHOT_PLACE_BEGUN && memcmp(bytes, zeros, sizeof bytes) == 0));
    return ours ? NULL : not_ours;
}

const char *snapshot_place_fault_of(int fd, enum snapshot_place place)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return "cannot be looked at";
    const char *fault = kind_fault(&status);
    if (!fault)
        fault = owner_fault(&status);
    return fault ? fault : content_fault(fd, status.st_size, place);
}

int snapshot_place_open(const char *path, const char **fault)
{
    struct stat status;
    *fault = NULL;
    if (lstat(path, &status) != 0)
        return -errno;
    if ((*fault = kind_fault(&status)) || (*fault = owner_fault(&status)))
        return -EEXIST;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &status) != 0)
        *fault = "cannot be looked at";
    else if (!(*fault = kind_fault(&status)))
        *fault = owner_fault(&status);
    if (!*fault)
        return fd;
    close(fd);
    return -EEXIST;
}

// With `strict` a file that cannot be read is a fault, and one of another user.
static const char *fault_at(int directory_fd, const char *name, enum snapshot_place place,
                            bool strict)
{
    struct stat status;
    if (fstatat(directory_fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return NULL; // nothing is there, or to open it will say what is wrong
    const char *fault = kind_fault(&status);
    if (fault)
        return fault;
    int fd = openat(directory_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || !strict ? NULL : not_ours;
    fault = strict ? snapshot_place_fault_of(fd, place) : content_fault(fd, status.st_size, place);
    close(fd);
    return fault;
}

const char *snapshot_place_fault(int directory_fd, const char *name, enum snapshot_place place)
{
    return fault_at(directory_fd, name, place, true);
}

bool snapshot_place_check(const char *path, char why[static SNAPSHOT_WHY_SIZE])
{
    char begun[256 + sizeof SNAPSHOT_NEW]; // a path of the settings has up to 255 octets
    snprintf(begun, sizeof begun, "%.255s" SNAPSHOT_NEW, path);
    const char *paths[] = {path, begun};
    for (enum snapshot_place place = SNAPSHOT_PLACE_DONE; place <= SNAPSHOT_PLACE_BEGUN; place++) {
        const char *fault = fault_at(AT_FDCWD, paths[place], place, false);
        if (!fault)
            continue;
        snprintf(why, SNAPSHOT_WHY_SIZE, "%s %s", paths[place], fault);
        return false;
    }
    return true;
}
