// SPDX-License-Identifier: MIT
#include "tests/xdp/program.h"

#include <assert.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdlib.h>
#include <time.h>

enum { LOOPBACK = 1, OUT_MAX = 4096 };

int program_attach(const struct plane *plane, uint16_t mtu)
{
    struct plane_device device = {.mac = {2, 0, 0, 0, 0, 1}, .mtu = mtu};
    uint32_t interface = LOOPBACK;
    return bpf_map_update_elem(plane_fd(plane, PLANE_FD_DEVICES), &interface, &device, BPF_ANY);
}

int program_run(const struct plane *plane, uint8_t *frame, size_t *len, size_t size)
{
    uint8_t out[OUT_MAX];
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame, .data_size_in = (uint32_t)*len,
                .data_out = out, .data_size_out = sizeof out, .repeat = 1);
    if (bpf_prog_test_run_opts(plane_fd(plane, PLANE_FD_PROGRAM), &options) != 0 ||
        options.data_size_out > size)
        return -1;
    *len = options.data_size_out;
    memcpy(frame, out, *len);
    return (int)options.retval;
}

uint64_t program_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void program_turn_set(const struct plane *plane, uint32_t turn)
{
    uint32_t first = 0;
    int cpus = libbpf_num_possible_cpus(), fd = plane_fd(plane, PLANE_FD_COUNTERS);
    struct plane_counters *each = calloc((size_t)cpus, sizeof *each);
    assert(each);
    int error = bpf_map_lookup_elem(fd, &first, each);
    for (int i = 0; i < cpus; i++)
        each[i].turn = turn;
    error |= bpf_map_update_elem(fd, &first, each, BPF_ANY);
    assert(error == 0);
    free(each);
}
