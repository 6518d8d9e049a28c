// SPDX-License-Identifier: MIT
#pragma once
#include "core/address.h"

#include <netinet/in.h>

// The border between core's addresses and the kernel's.

// False for a family that is neither IPv4 nor IPv6.
[[nodiscard]] bool sockaddr_read(struct address *address, const struct sockaddr *from);

// Fills `to` and returns its length.
socklen_t sockaddr_write(struct sockaddr_in6 *to, const struct address *address);

static inline socklen_t sockaddr_len(const struct sockaddr *name)
{
    return name->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}
