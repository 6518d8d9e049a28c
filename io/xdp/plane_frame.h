// SPDX-License-Identifier: MIT
#pragma once
#include "io/xdp/plane_work.h"

// Reads a frame as far as its DNS message, and copies that. Nothing is touched. Each function
// returns 0, or why the frame goes up (enum plane_reason).

INLINE int is_vlan(uint16_t type)
{
    return type == swap16(ETHERTYPE_VLAN) || type == swap16(ETHERTYPE_QINQ);
}

// Reads the Ethernet header and finds the IP packet.
NOINLINE int link_read(struct xdp_md *context)
{
    struct work *w = work_of();
    void *frame = frame_begin(context), *end = frame_end(context);
    const struct ethernet *ethernet = frame;
    uint32_t interface = context->ingress_ifindex, at = ETHERNET_LEN;
    const struct plane_device *device = map_lookup(&devices, &interface);
    if (!w || !device || (void *)(ethernet + 1) > end)
        return PLANE_OTHER;
    const uint16_t *mac = (const uint16_t *)device->mac;
    if (ethernet->to[0] != mac[0] || ethernet->to[1] != mac[1] || ethernet->to[2] != mac[2])
        return PLANE_OTHER;
    // The answer goes where the frame says that it came from: never to a group of hosts.
    if (ethernet->from[0] & 1)
        return PLANE_OTHER;
    uint16_t type = ethernet->type;
    for (int i = 0; i < VLAN_TAGS_MAX && is_vlan(type); i++) {
        const struct vlan *vlan = frame + at;
        if ((void *)(vlan + 1) > end)
            return PLANE_OTHER;
        type = vlan->type;
        at += VLAN_LEN;
    }
    w->is_ipv6 = type == swap16(ETHERTYPE_IPV6);
    w->ip_at = at;
    w->mtu = device->mtu;
    w->frame_len = (uint32_t)(end - frame);
    return type == swap16(ETHERTYPE_IPV4) || w->is_ipv6 ? 0 : PLANE_OTHER;
}

// Is this a source that a client may have, so far as the kernel drops others whatever its settings?
INLINE int is_client4(uint32_t from)
{
    uint8_t first = (uint8_t)from;
    return first != 0 && first != 127 && first < 224;
}

INLINE int is_client6(uint32_t from)
{
    uint8_t first = (uint8_t)from;
    return first != 0 && first < 0xfe; // neither mapped, loopback, link-local nor multicast
}

NOINLINE int ipv4_read(struct xdp_md *context)
{
    struct work *w = work_of();
    void *frame = frame_begin(context), *end = frame_end(context);
    if (!w)
        return PLANE_OTHER;
    uint32_t at = w->ip_at;
    if (at > ETHERNET_LEN + VLAN_TAGS_MAX * VLAN_LEN)
        return PLANE_OTHER;
    const struct ipv4 *ip = frame + at;
    if ((void *)(ip + 1) > end || ip->version_len != 0x45 || ip->protocol != PROTOCOL_UDP ||
        ip->fragment & swap16(0x3fff))
        return PLANE_OTHER;
    const uint32_t *words = (const uint32_t *)ip;
    uint64_t sum = (uint64_t)words[0] + words[1] + words[2] + words[3] + words[4];
    w->address = (struct plane_address){.family = 4};
    *(uint32_t *)w->address.ip = ip->to;
    w->addresses_sum = (uint64_t)ip->from + ip->to + swap16(PROTOCOL_UDP);
    w->ip_len = swap16(ip->len);
    w->udp_at = at + IPV4_LEN;
    w->doubt = is_client4(ip->from) && ip->from != ip->to ? 0 : PLANE_CLIENT;
    if (sum_fold(sum) != 0xffff)
        w->doubt = PLANE_CHECKSUM;
    return 0;
}

NOINLINE int ipv6_read(struct xdp_md *context)
{
    struct work *w = work_of();
    void *frame = frame_begin(context), *end = frame_end(context);
    if (!w)
        return PLANE_OTHER;
    uint32_t at = w->ip_at;
    if (at > ETHERNET_LEN + VLAN_TAGS_MAX * VLAN_LEN)
        return PLANE_OTHER;
    const struct ipv6 *ip = frame + at;
    if ((void *)(ip + 1) > end || (ip->version_class_flow & 0xf0) != 0x60 ||
        ip->protocol != PROTOCOL_UDP)
        return PLANE_OTHER;
    uint64_t sum = swap16(PROTOCOL_UDP);
    uint32_t *to = (uint32_t *)w->address.ip, differs = 0;
    for (int i = 0; i < 4; i++) {
        differs |= ip->from[i] ^ ip->to[i];
        sum += (uint64_t)ip->from[i] + ip->to[i];
        to[i] = ip->to[i];
    }
    w->address.family = 6;
    w->addresses_sum = sum;
    w->ip_len = IPV6_LEN + swap16(ip->len);
    w->udp_at = at + IPV6_LEN;
    w->doubt = is_client6(ip->from[0]) && differs ? 0 : PLANE_CLIENT;
    return 0;
}

// Reads the UDP header, and finds out whether it leads to one of our sockets.
NOINLINE int udp_read(struct xdp_md *context)
{
    struct work *w = work_of();
    void *frame = frame_begin(context), *end = frame_end(context);
    if (!w)
        return PLANE_OTHER;
    uint32_t at = w->udp_at;
    if (at > ETHERNET_LEN + VLAN_TAGS_MAX * VLAN_LEN + IPV6_LEN)
        return PLANE_OTHER;
    const struct udp *udp = frame + at;
    if ((void *)(udp + 1) > end)
        return PLANE_OTHER;
    w->address.port = udp->to;
    if (!map_lookup(&addresses, &w->address))
        return PLANE_OTHER;
    if (w->doubt)
        return (int)w->doubt;
    uint32_t len = swap16(udp->len);
    // A packet that does not end where the datagram does, or a frame that ends before it.
    if (w->udp_at + len != w->ip_at + w->ip_len || w->ip_at + w->ip_len > w->frame_len ||
        w->ip_at + w->ip_len + PLANE_PADDING_MAX < w->frame_len)
        return PLANE_UNUSUAL;
    if (len < UDP_LEN + DNS_HEADER_LEN + 1 + QUESTION_REST || len > UDP_LEN + QUERY_MAX)
        return PLANE_UNUSUAL;
    if (udp->from == 0)
        return PLANE_CLIENT;
    if (udp->checksum == 0 && w->is_ipv6)
        return PLANE_CHECKSUM;
    w->dns_at = at + UDP_LEN;
    w->query_len = len - UDP_LEN;
    // All that the checksum covers but the message; 0: there is none.
    uint64_t sum = w->addresses_sum + udp->from + udp->to + 2 * (uint64_t)udp->len + udp->checksum;
    w->rest_sum = udp->checksum == 0 ? 0 : sum;
    return 0;
}

INLINE int allowed(struct xdp_md *context, const struct work *w, const struct plane_config *c)
{
    void *frame = frame_begin(context), *end = frame_end(context);
    uint32_t at = w->ip_at;
    const uint8_t *verdict;
    if (at > ETHERNET_LEN + VLAN_TAGS_MAX * VLAN_LEN)
        return 0;
    if (w->is_ipv6) {
        const struct ipv6 *ip = frame + at;
        struct plane_prefix6 key = {.length = 128};
        if ((void *)(ip + 1) > end)
            return 0;
        if (c->allow_all6)
            return 1;
        for (int i = 0; i < 4; i++)
            ((uint32_t *)key.ip)[i] = ip->from[i];
        verdict = map_lookup(&allowed6, &key);
    } else {
        const struct ipv4 *ip = frame + at;
        struct plane_prefix4 key = {.length = 32};
        if ((void *)(ip + 1) > end)
            return 0;
        if (c->allow_all4)
            return 1;
        *(uint32_t *)key.ip = ip->from;
        verdict = map_lookup(&allowed4, &key);
    }
    return verdict && *verdict;
}

// Copies the query, and the frame's padding behind it.
NOINLINE int query_copy(struct xdp_md *context)
{
    struct work *w = work_of();
    const struct plane_config *c = config_of();
    if (!w || !c)
        return PLANE_FRAME;
    if (!c->on)
        return PLANE_OFF;
    if (!allowed(context, w, c))
        return PLANE_CLIENT;
    uint32_t len = w->query_len;
    OPAQUE(len);
    if (len < DNS_HEADER_LEN || len > QUERY_MAX)
        return PLANE_FRAME;
    if (xdp_load_bytes(context, w->dns_at, w->query, len) != 0)
        return PLANE_FRAME;
    *(volatile uint64_t *)(w->query + len) = 0;
    uint32_t padding = w->frame_len - w->ip_at - w->ip_len;
    OPAQUE(padding);
    if (padding > 0 && padding <= PLANE_PADDING_MAX &&
        xdp_load_bytes(context, w->dns_at + len, w->padding, padding) != 0)
        return PLANE_FRAME;
    return 0;
}

// Adds the message up and checks UDP's checksum.
NOINLINE int query_add(void)
{
    struct work *w = work_of();
    if (!w)
        return PLANE_FRAME;
    uint64_t sum = 0;
    uint32_t len = w->query_len;
    for (uint32_t at = 0; at < QUERY_MAX && at < len; at += 8)
        sum = sum_word(sum, *(const volatile uint64_t *)(w->query + at));
    w->query_sum = sum_fold(sum);
    if (w->rest_sum != 0 && sum_fold(w->rest_sum + w->query_sum) != 0xffff)
        return PLANE_CHECKSUM;
    return 0;
}
