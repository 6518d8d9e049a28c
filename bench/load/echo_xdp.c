// SPDX-License-Identifier: MIT
// The floor below the sockets: has the kernel answer UDP datagrams to a port in the driver of an
// interface (bench/load/echo_xdp.bpf.c, next to this program), so that no server is asked
// at all. What a name server could reach that answers there from a cache that both planes share.
//
//   echo_xdp INTERFACE PORT
//
// Runs until SIGTERM or SIGINT; the program goes with it, however it ends. Where INTERFACE is one
// end of a veth pair the other has to receive as drivers do, else the kernel drops what is sent
// back: it does while any XDP program is attached there (kxdpgun's is), or this one for some other
// port, which lets all pass.
#include "bench/load/driver.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Returns the program, or NULL with errno set.
static struct bpf_program *load(uint16_t port)
{
    struct bpf_object *object = driver_object_open("echo_xdp.bpf.o");
    if (!object)
        return NULL;
    struct bpf_map *constants = bpf_object__find_map_by_name(object, ".rodata");
    if (!constants || bpf_map__set_initial_value(constants, &port, sizeof port) != 0) {
        errno = EPROTO;
        return NULL;
    }
    return bpf_object__load(object) == 0 ? bpf_object__find_program_by_name(object, "echo") : NULL;
}

static _Noreturn void fail(const char *why)
{
    fprintf(stderr, "echo_xdp: %s: %s\n", why, strerror(errno));
    exit(1);
}

int main(int argc, char **argv)
{
    sigset_t ends;
    int which;
    long port = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
    if (port < 1 || port > UINT16_MAX) {
        fprintf(stderr, "usage: %s INTERFACE PORT\n", argv[0]);
        return 2;
    }
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    unsigned interface = if_nametoindex(argv[1]);
    if (interface == 0)
        fail(argv[1]);
    const struct bpf_program *program = load((uint16_t)port);
    if (!program)
        fail("the kernel does not take the program");
    if (driver_attach(program, interface) < 0)
        fail("it cannot be attached to the driver");
    printf("echo_xdp: answers at %s, port %ld\n", argv[1], port);
    fflush(stdout);
    sigwait(&ends, &which);
    return 0; // the link ends with the process
}
