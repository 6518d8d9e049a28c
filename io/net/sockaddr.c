// SPDX-License-Identifier: MIT
#include "io/net/sockaddr.h"

bool sockaddr_read(struct address *address, const struct sockaddr *from)
{
    memset(address, 0, sizeof *address);
    if (from->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)from;
        memcpy(address->ip, &in->sin_addr, 4);
        address->port = ntohs(in->sin_port);
        address->family = ADDRESS_IPV4;
        return true;
    }
    if (from->sa_family != AF_INET6)
        return false;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)from;
    memcpy(address->ip, &in6->sin6_addr, 16);
    address->port = ntohs(in6->sin6_port);
    address->scope = in6->sin6_scope_id;
    address->family = ADDRESS_IPV6;
    return true;
}

socklen_t sockaddr_write(struct sockaddr_in6 *to, const struct address *address)
{
    if (address->family == ADDRESS_IPV4) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(address->port)};
        memcpy(&in.sin_addr, address->ip, 4);
        memcpy(to, &in, sizeof in);
        return sizeof in;
    }
    *to = (struct sockaddr_in6){
        .sin6_family = AF_INET6,
        .sin6_port = htons(address->port),
        .sin6_scope_id = address->scope,
    };
    memcpy(&to->sin6_addr, address->ip, 16);
    return sizeof *to;
}
