// SPDX-License-Identifier: MIT
#include "io/xdp/bpf.h"

// Lets everything pass: what the other end of a veth pair needs to receive what a program sends.

const char licence[] SECTION("license") = "MIT";

SECTION("xdp") int pass(struct xdp_md *context)
{
    (void)context;
    return XDP_PASS;
}
