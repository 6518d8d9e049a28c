// SPDX-License-Identifier: MIT
#include "io/xdp/plane_link.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

// The variant of a program that was built without libbpf, or without clang for its BPF target.
// Nothing is ever opened, so nothing else is called.

int plane_open(struct plane **plane, const struct plane_options *options,
               char why[static PLANE_WHY_SIZE])
{
    (void)plane;
    (void)options;
    snprintf(why, PLANE_WHY_SIZE, "this program was built without XDP");
    return -ENOSYS;
}

struct plane *plane_adopt(struct plane_passed *passed)
{
    (void)passed;
    return NULL;
}

void plane_pass(const struct plane *plane, struct plane_passed *passed)
{
    (void)plane;
    (void)passed;
    assert(false);
}

void plane_close(struct plane *plane)
{
    (void)plane;
    assert(false);
}

int plane_fd(const struct plane *plane, enum plane_fd which)
{
    (void)plane;
    (void)which;
    return -1;
}

size_t plane_region_size(const struct plane *plane)
{
    (void)plane;
    return 0;
}

void *plane_region_map(const struct plane *plane)
{
    (void)plane;
    return NULL;
}

int plane_configure(struct plane *plane, const struct plane_config *config)
{
    (void)plane;
    (void)config;
    return -ENOSYS;
}

int plane_check_cookies(struct plane *plane, const struct plane_cookies *cookies)
{
    (void)plane;
    (void)cookies;
    return -ENOSYS;
}

int plane_listen(struct plane *plane, const struct address *address)
{
    (void)plane;
    (void)address;
    return -ENOSYS;
}

int plane_allow(struct plane *plane, const struct prefix *prefix, bool allowed)
{
    (void)plane;
    (void)prefix;
    (void)allowed;
    return -ENOSYS;
}

int plane_listen_clear(struct plane *plane)
{
    (void)plane;
    return -ENOSYS;
}

int plane_allow_clear(struct plane *plane)
{
    (void)plane;
    return -ENOSYS;
}

int plane_samples(struct plane *plane,
                  void (*take)(void *context, const struct plane_sample *sample), void *context)
{
    (void)plane;
    (void)take;
    (void)context;
    return -ENOSYS;
}

int plane_add_up(const struct plane *plane, struct plane_counters *sum)
{
    (void)plane;
    (void)sum;
    return -ENOSYS;
}

int plane_attach(struct plane *plane, const char *interface, char why[static PLANE_WHY_SIZE])
{
    (void)plane;
    (void)interface;
    return plane_open(NULL, NULL, why);
}

int plane_interface_check(const char *interface, char why[static PLANE_WHY_SIZE])
{
    (void)interface;
    (void)why;
    return 0; // not the reason why nothing is answered there
}

void plane_detach_others(struct plane *plane, const char *const *interfaces, size_t count)
{
    (void)plane;
    (void)interfaces;
    (void)count;
}

void plane_leave(struct plane *plane)
{
    (void)plane;
}

bool plane_is_in_driver(const struct plane *plane, const char *interface)
{
    (void)plane;
    (void)interface;
    return false;
}
