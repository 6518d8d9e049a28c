// SPDX-License-Identifier: MIT
#include "io/edge/regular_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int mark_skip(int fd)
{
    static const char mark[3] = "\xef\xbb\xbf";
    char bytes[sizeof mark];
    if (pread(fd, bytes, sizeof bytes, 0) != sizeof bytes || memcmp(bytes, mark, sizeof mark) != 0)
        return 0;
    return lseek(fd, sizeof mark, SEEK_SET) < 0 ? -errno : 0;
}

int regular_file_open(const char *path)
{
    struct stat status;
    // Without O_NONBLOCK opening a pipe waits for a writer.
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return errno == ENXIO ? REGULAR_FILE_NOT
                              : -errno; // a socket, or a device that is not there
    int error = fstat(fd, &status) != 0 ? -errno : 0;
    if (error == 0 && !S_ISREG(status.st_mode))
        error = S_ISDIR(status.st_mode) ? -EISDIR : REGULAR_FILE_NOT;
    if (error == 0)
        error = mark_skip(fd);
    if (error == 0)
        return fd;
    close(fd);
    return error;
}

const char *regular_file_error(int error)
{
    return error == REGULAR_FILE_NOT ? "it is no regular file" : strerror(-error);
}
