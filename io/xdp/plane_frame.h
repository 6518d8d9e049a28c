// SPDX-License-Identifier: MIT
#pragma once
#include "io/xdp/plane_work.h"

// Reads a frame as far as its DNS message, and copies that. Nothing is touched. Each function
// returns 0, or why the frame goes up (enum plane_reason).

INLINE int is_vlan(uint16_t type)
{
    return type == swap16(ETHERTYPE_VLAN) || type == swap16(ETHERTYPE_QINQ);
}

// What was found in these maps holds for a tick (clock_read in plane.bpf.c), so that it is not
// looked for with each frame.
NOINLINE int device_find(uint32_t interface)
{
    struct work *w = work_of();
    const struct plane_device *device = map_lookup(&devices, &interface);
    if (!w || !device)
        return 0;
    w->device = *device;
    w->interface = interface;
    return 1;
}

NOINLINE int address_find(void)
{
    struct work *w = work_of();
    if (!w || !map_lookup(&addresses, w->to))
        return 0;
    for (int i = 0; i < ADDRESS_WORDS; i++)
        w->to_found[i] = w->to[i];
    return 1;
}

INLINE int address_same(const uint32_t *a, const uint32_t *b)
{
    return ((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]) | (a[4] ^ b[4])) == 0;
}

// Reads the Ethernet header and finds the IP packet.
INLINE int link_read(struct xdp_md *context, struct work *w)
{
    void *frame = frame_begin(context), *end = frame_end(context);
    const struct ethernet *ethernet = frame;
    uint32_t interface = context->ingress_ifindex, at = ETHERNET_LEN;
    if ((void *)(ethernet + 1) > end)
        return PLANE_OTHER;
    if (w->interface != interface && !device_find(interface))
        return PLANE_OTHER;
    const uint16_t *mac = (const uint16_t *)w->device.mac;
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

INLINE int ipv4_read(struct xdp_md *context, struct work *w)
{
    const struct ipv4 *ip = header_at(context, w->ip_at, sizeof *ip);
    if (!ip || ip->version_len != 0x45 || ip->protocol != PROTOCOL_UDP ||
        ip->fragment & swap16(0x3fff))
        return PLANE_OTHER;
    const uint32_t *words = (const uint32_t *)ip;
    uint64_t sum = (uint64_t)words[0] + words[1] + words[2] + words[3] + words[4];
    w->to[0] = ip->to;
    w->to[1] = w->to[2] = w->to[3] = 0;
    w->from[0] = ip->from;
    w->from[1] = w->from[2] = w->from[3] = 0;
    w->addresses_sum = (uint64_t)ip->from + ip->to + swap16(PROTOCOL_UDP);
    w->ip_len = swap16(ip->len);
    w->udp_at = w->ip_at + IPV4_LEN;
    w->doubt = is_client4(ip->from) && ip->from != ip->to ? 0 : PLANE_CLIENT;
    if (sum_fold(sum) != 0xffff)
        w->doubt = PLANE_CHECKSUM;
    return 0;
}

INLINE int ipv6_read(struct xdp_md *context, struct work *w)
{
    const struct ipv6 *ip = header_at(context, w->ip_at, sizeof *ip);
    if (!ip || (ip->version_class_flow & 0xf0) != 0x60 || ip->protocol != PROTOCOL_UDP)
        return PLANE_OTHER;
    uint64_t sum = swap16(PROTOCOL_UDP);
    uint32_t differs = 0;
    for (int i = 0; i < 4; i++) {
        differs |= ip->from[i] ^ ip->to[i];
        sum += (uint64_t)ip->from[i] + ip->to[i];
        w->to[i] = ip->to[i];
        w->from[i] = ip->from[i];
    }
    w->addresses_sum = sum;
    w->ip_len = IPV6_LEN + swap16(ip->len);
    w->udp_at = w->ip_at + IPV6_LEN;
    w->doubt = is_client6(ip->from[0]) && differs ? 0 : PLANE_CLIENT;
    return 0;
}

// Reads the UDP header, and finds out whether it leads to one of our sockets.
INLINE int udp_read(struct xdp_md *context, struct work *w)
{
    const struct udp *udp = header_at(context, w->udp_at, sizeof *udp);
    if (!udp)
        return PLANE_OTHER;
    w->to[4] = udp->to | (w->is_ipv6 ? 6u : 4u) << 16;
    if (!address_same(w->to, w->to_found) && !address_find())
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
    w->dns_at = w->udp_at + UDP_LEN;
    w->query_len = len - UDP_LEN;
    // All that the checksum covers but the message; 0: there is none.
    uint64_t sum = w->addresses_sum + udp->from + udp->to + 2 * (uint64_t)udp->len + udp->checksum;
    w->rest_sum = udp->checksum == 0 ? 0 : sum;
    return 0;
}

INLINE int allowed4_few(const struct plane_config *c, uint32_t from)
{
    for (int i = 0; i < PLANE_FEW && i < c->few4_count; i++) {
        if ((from & c->few4[i].mask) == c->few4[i].ip)
            return (int)c->few4[i].allowed;
    }
    return 0;
}

INLINE int allowed6_few(const struct plane_config *c, const uint32_t *from)
{
    uint64_t high = from[0] | (uint64_t)from[1] << 32, low = from[2] | (uint64_t)from[3] << 32;
    for (int i = 0; i < PLANE_FEW && i < c->few6_count; i++) {
        const struct plane_few6 *each = &c->few6[i];
        if ((high & each->mask[0]) == each->ip[0] && (low & each->mask[1]) == each->ip[1])
            return (int)each->allowed;
    }
    return 0;
}

NOINLINE int client4_allowed(uint32_t from)
{
    const struct plane_config *c = config_of();
    struct plane_prefix4 key = {.length = 32};
    if (!c)
        return 0;
    if (c->few4_count <= PLANE_FEW)
        return allowed4_few(c, from);
    *(uint32_t *)key.ip = from;
    const uint8_t *verdict = map_lookup(&allowed4, &key);
    return verdict && *verdict;
}

NOINLINE int client6_allowed(void)
{
    const struct work *w = work_of();
    const struct plane_config *c = config_of();
    struct plane_prefix6 key = {.length = 128};
    if (!w || !c)
        return 0;
    if (c->few6_count <= PLANE_FEW)
        return allowed6_few(c, w->from);
    for (int i = 0; i < 4; i++)
        ((uint32_t *)key.ip)[i] = w->from[i];
    const uint8_t *verdict = map_lookup(&allowed6, &key);
    return verdict && *verdict;
}

// Copies the query, zero behind its end, and adds it up on the way: the header, and from the name
// on whole words, which are read as such again. (What is read otherwise than it was written has to
// wait until it has left the processor's store buffer.)
NOINLINE int query_copy(struct xdp_md *context)
{
    struct work *w = work_of();
    uint8_t *frame = frame_begin(context), *end = frame_end(context);
    if (!w)
        return PLANE_FRAME;
    uint32_t len = w->query_len - DNS_HEADER_LEN, at = w->dns_at;
    OPAQUE(at);
    const uint8_t *from = frame + (at & 127);
    if (from + DNS_HEADER_LEN > end)
        return PLANE_FRAME;
    w->header_front = *(const uint64_t *)from;
    w->header_back = *(const uint32_t *)(from + 8);
    from += DNS_HEADER_LEN;
    uint64_t sum = sum_word(w->header_back, w->header_front);
    uint32_t done = 0;
    for (; done + 8 <= len && done + 8 <= QUESTION_MAX; done += 8) {
        if (from + done + 8 > end)
            return PLANE_FRAME;
        uint64_t word = *(const uint64_t *)(from + done);
        w->question[done / 8] = word;
        sum = sum_word(sum, word);
    }
    // The rest, read together with octets in front of it, as there may be none behind it.
    uint32_t rest = done;
    OPAQUE(rest);
    OPAQUE(len);
    from += (len & (ROOM - 1));
    from -= 8;
    if (from + 8 > end)
        return PLANE_FRAME;
    uint64_t word = len % 8 ? *(const uint64_t *)from >> 8 * (8 - len % 8) : 0;
    w->question[rest / 8 & (ROOM / 8 - 1)] = word;
    w->query_sum = sum_fold(sum_word(sum, word));
    return w->rest_sum != 0 && sum_fold(w->rest_sum + w->query_sum) != 0xffff ? PLANE_CHECKSUM : 0;
}

// Copies the frame's padding behind the packet; most have none.
NOINLINE int padding_copy(struct xdp_md *context)
{
    struct work *w = work_of();
    if (!w)
        return PLANE_FRAME;
    uint32_t len = w->frame_len - w->ip_at - w->ip_len;
    OPAQUE(len);
    if (len > 0 && len <= PLANE_PADDING_MAX &&
        xdp_load_bytes(context, w->dns_at + w->query_len, w->padding, len) != 0)
        return PLANE_FRAME;
    return 0;
}

// Copies what will be written over, where the client may ask.
INLINE int message_copy(struct xdp_md *context, struct work *w)
{
    const struct plane_config *c = config_of();
    if (!c)
        return PLANE_FRAME;
    if (!c->on)
        return PLANE_OFF;
    if (!(w->is_ipv6 ? client6_allowed() : client4_allowed(w->from[0])))
        return PLANE_CLIENT;
    if (w->frame_len != w->ip_at + w->ip_len && padding_copy(context) != 0)
        return PLANE_FRAME;
    return query_copy(context);
}
