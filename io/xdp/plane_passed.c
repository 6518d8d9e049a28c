// SPDX-License-Identifier: MIT
#include "io/xdp/plane_passed.h"

#include <unistd.h>

// Also for a program that was built without XDP: the predecessor's answers as long as any process
// has its link.

void plane_passed_foreign(struct plane_passed *passed, uint32_t form)
{
    *passed = (struct plane_passed){.form = form};
    for (unsigned i = 0; i < sizeof passed->fds / sizeof *passed->fds; i++)
        passed->fds[i] = -1;
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
