// SPDX-License-Identifier: MIT
#pragma once
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

// The option that tells to which local address a datagram was sent, or from which it is to leave
// (IP_PKTINFO, IPV6_PKTINFO).

#define PACKET_INFO_ROOM CMSG_SPACE(sizeof(struct in6_pktinfo))

// The address in an option of a datagram that has come; NULL: it is another option.
static inline const void *packet_info_address(struct cmsghdr *option)
{
    void *data = CMSG_DATA(option);
    if (option->cmsg_level == IPPROTO_IP && option->cmsg_type == IP_PKTINFO)
        return &((struct in_pktinfo *)data)->ipi_addr;
    if (option->cmsg_level == IPPROTO_IPV6 && option->cmsg_type == IPV6_PKTINFO)
        return &((struct in6_pktinfo *)data)->ipi6_addr;
    return NULL;
}

// Has a message to `to` leave from `local`, an address of the same family. Its msg_control must
// have PACKET_INFO_ROOM octets.
static inline void packet_info_set(struct msghdr *message, const struct sockaddr *to,
                                   const uint8_t local[16])
{
    struct cmsghdr *option = message->msg_control;
    if (to->sa_family == AF_INET) {
        struct in_pktinfo info = {0};
        memcpy(&info.ipi_spec_dst, local, sizeof info.ipi_spec_dst);
        *option = (struct cmsghdr){CMSG_LEN(sizeof info), IPPROTO_IP, IP_PKTINFO};
        memcpy(CMSG_DATA(option), &info, sizeof info);
        message->msg_controllen = CMSG_SPACE(sizeof info);
        return;
    }
    struct in6_pktinfo info = {0};
    memcpy(&info.ipi6_addr, local, sizeof info.ipi6_addr);
    *option = (struct cmsghdr){CMSG_LEN(sizeof info), IPPROTO_IPV6, IPV6_PKTINFO};
    memcpy(CMSG_DATA(option), &info, sizeof info);
    message->msg_controllen = CMSG_SPACE(sizeof info);
}
