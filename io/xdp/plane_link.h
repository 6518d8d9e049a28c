// SPDX-License-Identifier: MIT
#pragma once
#include "io/xdp/plane.h"

// The interfaces that a plane's program is attached to, each by a bpf_link: the kernel detaches the
// program when no process has the link any more.

// Attaches the program to an interface, as server.xdp names it: "eth0", "eth0/driver" or
// "eth0/generic". Without a mode that is in the driver, but behind it where the driver has no XDP,
// and for veth: its other end drops what comes from a program, unless it has one itself. Where it
// is there already, tells the program the interface's address and MTU anew. 0 or a negative errno,
// with the reason in `why`.
[[nodiscard]] int plane_attach(struct plane *plane, const char *interface,
                               char why[static PLANE_WHY_SIZE]);

// Could it be attached there, as far as that can be told without doing so? 0 or a negative errno,
// with the reason in `why`.
[[nodiscard]] int plane_interface_check(const char *interface, char why[static PLANE_WHY_SIZE]);

// Detaches it from all interfaces but these.
void plane_detach_others(struct plane *plane, const char *const *interfaces, size_t count);

// Closes its links, which end only where no other process has them.
void plane_leave(struct plane *plane);

// True if it is attached in the driver of this interface.
[[nodiscard]] bool plane_is_in_driver(const struct plane *plane, const char *interface);
