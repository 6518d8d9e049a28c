// SPDX-License-Identifier: MIT
#include "bench/load/driver.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <libgen.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <unistd.h>

enum { PATH_LEN = 4096 };

struct bpf_object *driver_object_open(const char *name)
{
    char self[PATH_LEN], path[PATH_LEN];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    if (len < 0)
        return NULL;
    self[len] = '\0';
    if (snprintf(path, sizeof path, "%s/%s", dirname(self), name) >= PATH_LEN) {
        errno = ENAMETOOLONG;
        return NULL;
    }
    return bpf_object__open_file(path, NULL);
}

int driver_attach(const struct bpf_program *program, unsigned interface)
{
    LIBBPF_OPTS(bpf_link_create_opts, options, .flags = XDP_FLAGS_DRV_MODE);
    return bpf_link_create(bpf_program__fd(program), (int)interface, BPF_XDP, &options);
}
