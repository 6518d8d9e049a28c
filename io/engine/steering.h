// SPDX-License-Identifier: MIT
#pragma once
#include <sched.h>
#include <stdint.h>

// Which worker hears a client's datagram, where several have sockets at its address (SO_REUSEPORT).
// The kernel chooses by a hash of both addresses and ports, or it runs a program of ours for each
// datagram (SO_ATTACH_REUSEPORT_CBPF), which returns the number of a socket: the first worker's was
// bound first and has number 0.

// As the words of server.steering stand.
enum steering_kind {
    STEERING_FLOW,   // the kernel's hash: a client's port has one worker
    STEERING_CPU,    // the worker that runs on the processor at which the datagram came in
    STEERING_RANDOM, // any: shares evenly what few ports ask
};

struct steering {
    enum steering_kind kind;
    unsigned worker_count;
    unsigned cpu_count;
    uint16_t cpus[CPU_SETSIZE]; // those that this process may use; the nth belongs to worker
                                // n % worker_count
};

// Returns 0, or -ERANGE: there are more workers than processors, so that some would receive
// nothing.
[[nodiscard]] int steering_init(struct steering *steering, enum steering_kind kind,
                                unsigned worker_count);

// Has the sockets that share a port with this one be chosen so from now on. All of them must be
// bound. Returns 0 or a negative errno.
[[nodiscard]] int steering_attach(const struct steering *steering, int fd);

// Keeps the calling thread on its worker's processors, where it matters.
void steering_pin(const struct steering *steering, unsigned worker);
