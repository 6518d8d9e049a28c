// SPDX-License-Identifier: MIT
#include "io/xdp/plane_passed.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

// A successor that was built without XDP cannot go on with its predecessor's plane. It must not
// keep it either: the kernel's program answers from a cache that nobody writes any more as long as
// any process has its link.

int main(void)
{
    struct plane_passed passed = {.form = PLANE_FORM, .link_count = 2};
    int fds[PLANE_FDS + 2], open = 0;
    for (unsigned i = 0; i < PLANE_FDS + 2; i++)
        passed.fds[i] = fds[i] = dup(STDOUT_FILENO);
    bool adopted = plane_adopt(&passed);
    plane_passed_free(&passed);
    for (unsigned i = 0; i < PLANE_FDS + 2; i++)
        open += fcntl(fds[i], F_GETFD) >= 0;
    printf("%s 1 - it is not gone on with\n", adopted ? "not ok" : "ok");
    printf("%s 2 - and none of its descriptors stays open\n", open ? "not ok" : "ok");
    printf("1..2\n");
    return 0;
}
