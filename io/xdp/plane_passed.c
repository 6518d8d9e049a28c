// SPDX-License-Identifier: MIT
#include "io/xdp/plane_passed.h"

#include <unistd.h>

// Also for a program that was built without XDP: the predecessor's answers as long as any process
// has its link.

void plane_passed_foreign(struct plane_passed *passed, const void *octets, size_t len,
                          const int *fds, size_t fd_count)
{
    const size_t known = offsetof(struct plane_passed, link_count);
    *passed = (struct plane_passed){0};
    memcpy(passed, octets, len < known ? len : known);
    for (unsigned i = 0; i < sizeof passed->fds / sizeof *passed->fds; i++)
        passed->fds[i] = -1;
    for (size_t i = 0; i < fd_count; i++) {
        if (i == PLANE_FD_REGION)
            passed->fds[i] = fds[i];
        else
            close(fds[i]);
    }
}

size_t plane_passed_region(const struct plane_passed *passed, int *fd)
{
    *fd = passed->fds[PLANE_FD_REGION];
    return passed->form == 0 || *fd < 0 ? 0 : passed->shard_count * (size_t)passed->shard_size;
}

void plane_passed_free(struct plane_passed *passed)
{
    unsigned count = passed->form == 0 ? 0 : PLANE_FDS + passed->link_count;
    for (unsigned i = 0; i < count && i < PLANE_FDS + PLANE_LINKS_MAX; i++) {
        if (passed->fds[i] >= 0)
            close(passed->fds[i]);
    }
    *passed = (struct plane_passed){0};
}
