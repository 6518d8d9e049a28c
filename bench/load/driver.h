// SPDX-License-Identifier: MIT
#pragma once

// What the programs that work in the driver of an interface share: echo_xdp and frames.

struct bpf_object;
struct bpf_program;

// Opens the object of this name that lies where the running program does. NULL with errno set.
struct bpf_object *driver_object_open(const char *name);

// Attaches a program to an interface until the process ends: in the driver and nowhere else, as the
// way that every driver has would measure something else. Returns a descriptor, or -1 with errno
// set.
int driver_attach(const struct bpf_program *program, unsigned interface);
