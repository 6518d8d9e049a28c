// SPDX-License-Identifier: MIT
#pragma once
#include <sched.h>
#include <stdint.h>

// Which worker receives a client's datagram, where several have sockets at its address
// (SO_REUSEPORT).
// The kernel chooses by a hash of both addresses and ports, or it runs a program of ours for each
// datagram (SO_ATTACH_REUSEPORT_CBPF), which returns the number of a socket: the first worker's was
// bound first and has number 0.

// In the order of the words of server.steering.
enum steering_kind {
    STEERING_FLOW,   // the kernel's hash: a client's port has one worker
    STEERING_CPU,    // the worker on the processor where the datagram arrived
    STEERING_RANDOM, // any: spreads the load of few client ports
};

struct steering {
    enum steering_kind kind;
    unsigned worker_count;
    unsigned cpu_count;
    uint16_t cpus[CPU_SETSIZE]; // those of this process; the nth belongs to worker n %
                                // worker_count
};

// Returns 0, or -ERANGE: there are more workers than processors, so that some would receive
// nothing.
[[nodiscard]] int steering_init(struct steering *steering, enum steering_kind kind,
                                unsigned worker_count);

// Applies the choice to the sockets that share a port with this one. All of them must be bound.
// Returns 0 or a negative errno.
[[nodiscard]] int steering_attach(const struct steering *steering, int fd);

// Binds the calling thread to its worker's processors, where the choice depends on that.
void steering_pin(const struct steering *steering, unsigned worker);
