// SPDX-License-Identifier: MIT
#include "io/xdp/plane.h"

#include "io/xdp/plane_object.h"
#include "io/xdp/plane_state.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

// What the program has as constants, in their order there.
struct constants {
    uint32_t shard_size;
    uint32_t shard_count;
    uint32_t dawdle;
    uint32_t no_tail;
};

static const char *const map_names[PLANE_FDS] = {
    [PLANE_FD_REGION] = "region",     [PLANE_FD_CONFIG] = "config",
    [PLANE_FD_DEVICES] = "devices",   [PLANE_FD_ADDRESSES] = "addresses",
    [PLANE_FD_ALLOWED4] = "allowed4", [PLANE_FD_ALLOWED6] = "allowed6",
    [PLANE_FD_COUNTERS] = "counters", [PLANE_FD_SAMPLES] = "samples",
    [PLANE_FD_COOKIES] = "cookies",
};

// libbpf says much on standard error that is no error here.
static int say_nothing(enum libbpf_print_level level, const char *format, va_list arguments)
{
    (void)level;
    (void)format;
    (void)arguments;
    return 0;
}

static int why_fill(char why[static PLANE_WHY_SIZE], int error)
{
    const char *text = strerror(-error);
    if (error == -EPERM || error == -EACCES)
        text = "it needs CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON, and BPF must not be forbidden (by "
               "a container's seccomp profile or by kernel lockdown)";
    else if (error == -EINVAL || error == -ENOSYS)
        text = "the kernel does not take it: it must be Linux 5.19 or newer";
    else if (error == -ENOMEM || error == -E2BIG)
        text = "there is no memory for the cache as a BPF map";
    snprintf(why, PLANE_WHY_SIZE, "cannot load the XDP program: %s", text);
    return error;
}

static int object_load(struct bpf_object *object, const struct plane_options *options)
{
    struct constants constants = {(uint32_t)options->shard_size, options->shard_count,
                                  options->dawdle, options->no_tail};
    struct bpf_map *region = bpf_object__find_map_by_name(object, "region");
    struct bpf_map *rodata = bpf_object__find_map_by_name(object, ".rodata");
    int error = bpf_map__set_initial_value(rodata, &constants, sizeof constants);
    if (error == 0)
        error = bpf_map__set_value_size(region, constants.shard_size);
    if (error == 0)
        error = bpf_map__set_max_entries(region, options->shard_count);
    return error < 0 ? error : bpf_object__load(object);
}

// Descriptors of our own, as those of libbpf's object go with it.
static int descriptors_copy(struct plane *plane, const struct bpf_object *object)
{
    for (enum plane_fd i = 0; i < PLANE_FDS; i++) {
        int fd = i == PLANE_FD_PROGRAM
                     ? bpf_program__fd(bpf_object__find_program_by_name(object, "plane"))
                     : bpf_object__find_map_fd_by_name(object, map_names[i]);
        plane->fds[i] = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (plane->fds[i] < 0)
            return -errno;
    }
    return 0;
}

static struct plane *plane_make(uint32_t shard_count, size_t shard_size)
{
    struct plane *plane = calloc(1, sizeof *plane);
    int cpus = libbpf_num_possible_cpus();
    if (!plane || cpus < 0) {
        free(plane);
        return NULL;
    }
    plane->shard_count = shard_count;
    plane->shard_size = shard_size;
    plane->cpu_count = (unsigned)cpus;
    for (unsigned i = 0; i < PLANE_FDS; i++)
        plane->fds[i] = -1;
    return plane;
}

int plane_open(struct plane **out, const struct plane_options *options,
               char why[static PLANE_WHY_SIZE])
{
    LIBBPF_OPTS(bpf_object_open_opts, names, .object_name = "ouzel");
    libbpf_set_print(say_nothing);
    struct plane *plane = plane_make(options->shard_count, options->shard_size);
    if (!plane)
        return why_fill(why, -ENOMEM);
    struct bpf_object *object = bpf_object__open_mem(plane_object, plane_object_len, &names);
    int error = object ? object_load(object, options) : -errno;
    if (error == 0)
        error = descriptors_copy(plane, object);
    bpf_object__close(object);
    if (error < 0) {
        plane_close(plane);
        return why_fill(why, error);
    }
    *out = plane;
    return 0;
}

void plane_pass(const struct plane *plane, struct plane_passed *passed)
{
    *passed = (struct plane_passed){
        .form = PLANE_FORM,
        .shard_count = plane->shard_count,
        .shard_size = plane->shard_size,
        .link_count = plane->link_count,
    };
    memcpy(passed->fds, plane->fds, sizeof plane->fds);
    for (unsigned i = 0; i < plane->link_count; i++) {
        passed->interfaces[i] = plane->links[i].interface;
        passed->generic |= (uint32_t)plane->links[i].generic << i;
        passed->fds[PLANE_FDS + i] = plane->links[i].fd;
    }
}

struct plane *plane_adopt(struct plane_passed *passed)
{
    bool fits = passed->form == PLANE_FORM && passed->link_count <= PLANE_LINKS_MAX;
    struct plane *plane = fits ? plane_make(passed->shard_count, (size_t)passed->shard_size) : NULL;
    if (!plane)
        return NULL;
    memcpy(plane->fds, passed->fds, sizeof plane->fds);
    for (unsigned i = 0; i < passed->link_count; i++) {
        plane->links[i] = (struct plane_link){
            .interface = passed->interfaces[i],
            .fd = passed->fds[PLANE_FDS + i],
            .generic = passed->generic >> i & 1,
        };
    }
    plane->link_count = passed->link_count;
    *passed = (struct plane_passed){0};
    return plane;
}

void plane_close(struct plane *plane)
{
    ring_buffer__free(plane->samples);
    for (unsigned i = 0; i < plane->link_count; i++)
        close(plane->links[i].fd);
    for (unsigned i = 0; i < PLANE_FDS; i++) {
        if (plane->fds[i] >= 0)
            close(plane->fds[i]);
    }
    free(plane);
}

int plane_fd(const struct plane *plane, enum plane_fd which)
{
    return plane->fds[which];
}

size_t plane_region_size(const struct plane *plane)
{
    return plane->shard_count * plane->shard_size;
}

void *plane_region_map(const struct plane *plane)
{
    void *region = mmap(NULL, plane_region_size(plane), PROT_READ | PROT_WRITE, MAP_SHARED,
                        plane->fds[PLANE_FD_REGION], 0);
    return region == MAP_FAILED ? NULL : region;
}

int plane_configure(struct plane *plane, const struct plane_config *config)
{
    uint32_t first = 0;
    return bpf_map_update_elem(plane->fds[PLANE_FD_CONFIG], &first, config, BPF_ANY);
}

int plane_check_cookies(struct plane *plane, const struct plane_cookies *cookies)
{
    uint32_t first = 0;
    struct plane_cookies none = *cookies;
    none.until_s = 0;
    int error = bpf_map_update_elem(plane->fds[PLANE_FD_COOKIES], &first, &none, BPF_ANY);
    return error < 0 ? error
                     : bpf_map_update_elem(plane->fds[PLANE_FD_COOKIES], &first, cookies, BPF_ANY);
}

int plane_listen(struct plane *plane, const struct address *address)
{
    uint32_t nothing = 0;
    struct plane_address key = {.port = __builtin_bswap16(address->port),
                                .family = address->family};
    memcpy(key.ip, address->ip, sizeof key.ip);
    return bpf_map_update_elem(plane->fds[PLANE_FD_ADDRESSES], &key, &nothing, BPF_ANY);
}

int plane_allow(struct plane *plane, const struct prefix *prefix, bool allowed)
{
    uint8_t verdict = allowed;
    if (prefix->family == ADDRESS_IPV6) {
        struct plane_prefix6 key = {.length = prefix->length};
        memcpy(key.ip, prefix->ip, sizeof key.ip);
        return bpf_map_update_elem(plane->fds[PLANE_FD_ALLOWED6], &key, &verdict, BPF_ANY);
    }
    struct plane_prefix4 key = {.length = prefix->length};
    memcpy(key.ip, prefix->ip, sizeof key.ip);
    return bpf_map_update_elem(plane->fds[PLANE_FD_ALLOWED4], &key, &verdict, BPF_ANY);
}

// Deletes the first key until there is none. `key` has room for one.
static int map_clear(int fd, void *key)
{
    int error;
    while ((error = bpf_map_get_next_key(fd, NULL, key)) == 0) {
        error = bpf_map_delete_elem(fd, key);
        if (error < 0)
            return error;
    }
    return error == -ENOENT ? 0 : error;
}

int plane_listen_clear(struct plane *plane)
{
    struct plane_address key;
    return map_clear(plane->fds[PLANE_FD_ADDRESSES], &key);
}

int plane_allow_clear(struct plane *plane)
{
    struct plane_prefix4 key4;
    struct plane_prefix6 key6;
    int error = map_clear(plane->fds[PLANE_FD_ALLOWED4], &key4);
    return error < 0 ? error : map_clear(plane->fds[PLANE_FD_ALLOWED6], &key6);
}

static int sample_take(void *context, void *data, size_t size)
{
    const struct plane_taker *taker = context;
    const struct plane_sample *sample = data;
    if (size >= sizeof *sample && sample->name_len > 0)
        taker->take(taker->context, sample);
    return 0;
}

int plane_samples(struct plane *plane,
                  void (*take)(void *context, const struct plane_sample *sample), void *context)
{
    if (!plane->samples)
        plane->samples =
            ring_buffer__new(plane->fds[PLANE_FD_SAMPLES], sample_take, &plane->taker, NULL);
    if (!plane->samples)
        return -errno;
    plane->taker = (struct plane_taker){take, context};
    int count = ring_buffer__consume(plane->samples);
    return count < 0 ? count : 0;
}

int plane_add_up(const struct plane *plane, struct plane_counters *sum)
{
    uint32_t first = 0;
    struct plane_counters *each = calloc(plane->cpu_count, sizeof *each);
    memset(sum, 0, sizeof *sum);
    if (!each)
        return -ENOMEM;
    int error = bpf_map_lookup_elem(plane->fds[PLANE_FD_COUNTERS], &first, each);
    for (unsigned cpu = 0; error == 0 && cpu < plane->cpu_count; cpu++) {
        for (unsigned reason = 0; reason < PLANE_REASONS; reason++)
            sum->frames[reason] += each[cpu].frames[reason];
        sum->turn += each[cpu].turn;
        sum->cookies += each[cpu].cookies;
    }
    free(each);
    return error;
}
