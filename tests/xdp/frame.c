// SPDX-License-Identifier: MIT
#include "tests/xdp/frame.h"

#include "core/wire/bytes.h"
#include "core/wire/inet_sum.h"

enum { IPV4_LEN = 20, IPV6_LEN = 40, UDP_LEN = 8, UDP = 17, MAC_LEN = 6, HOPS = 57 };

static const uint8_t macs[] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9};
static const uint8_t server4[] = {203, 0, 113, 53}, client4[] = {192, 0, 2, 0};
static const uint8_t server6[] = {0x20, 1, 0xd, 0xb8, [7] = 53, [15] = 1};
static const uint8_t client6[] = {0x20, 1, 0xd, 0xb8, [7] = 7, [15] = 0};

struct address frame_server(bool ipv6)
{
    struct address address = {.port = WORLD_PORT, .family = ipv6 ? ADDRESS_IPV6 : ADDRESS_IPV4};
    memcpy(address.ip, ipv6 ? server6 : server4, ipv6 ? sizeof server6 : sizeof server4);
    return address;
}

static uint16_t folded(uint32_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

// The sum that has to be 0xffff where the checksum is right, over a packet that begins at `ip`.
static uint16_t udp_sum(const uint8_t *ip, bool ipv6)
{
    const uint8_t *udp = ip + (ipv6 ? IPV6_LEN : IPV4_LEN);
    uint16_t len = load_be16(udp + 4);
    uint32_t sum = ipv6 ? inet_sum(ip + 8, 32) : inet_sum(ip + 12, 8);
    return folded(sum + UDP + len + inet_sum(udp, len));
}

static void ipv4_write(uint8_t *ip, const struct frame_form *form, size_t len)
{
    memset(ip, 0, IPV4_LEN);
    ip[0] = 0x45;
    store_be16(ip + 2, (uint16_t)(IPV4_LEN + UDP_LEN + len));
    ip[8] = HOPS;
    ip[9] = UDP;
    memcpy(ip + 12, client4, 4);
    ip[15] = form->host;
    memcpy(ip + 16, server4, 4);
    store_be16(ip + 10, (uint16_t)~inet_sum(ip, IPV4_LEN));
}

static void ipv6_write(uint8_t *ip, const struct frame_form *form, size_t len)
{
    memset(ip, 0, IPV6_LEN);
    ip[0] = 0x60;
    store_be16(ip + 4, (uint16_t)(UDP_LEN + len));
    ip[6] = UDP;
    ip[7] = HOPS;
    memcpy(ip + 8, client6, 16);
    ip[23] = form->host;
    memcpy(ip + 24, server6, 16);
}

static void from_set(uint8_t *ip, const struct frame_form *form)
{
    static const uint8_t froms4[][4] = {
        [ODD_FROM_ITSELF] = {203, 0, 113, 53},  [ODD_FROM_LOOPBACK] = {127, 0, 0, 1},
        [ODD_FROM_GROUP] = {224, 0, 0, 1},      [ODD_FROM_NOBODY] = {0},
        [ODD_FROM_LINK] = {255, 255, 255, 255}, [ODD_FROM_MAPPED] = {240, 0, 0, 1},
    };
    static const uint8_t froms6[][16] = {
        [ODD_FROM_ITSELF] = {0x20, 1, 0xd, 0xb8, [7] = 53, [15] = 1},
        [ODD_FROM_LOOPBACK] = {[15] = 1},
        [ODD_FROM_GROUP] = {0xff, 2, [15] = 1},
        [ODD_FROM_NOBODY] = {0},
        [ODD_FROM_LINK] = {0xfe, 0x80, [15] = 1},
        [ODD_FROM_MAPPED] = {[10] = 0xff, 0xff, 192, 0, 2, 1},
    };
    if (form->from)
        memcpy(ip + (form->ipv6 ? 8 : 12), form->from->ip, form->ipv6 ? 16 : 4);
    if (form->odd < ODD_FROM_ITSELF || form->odd > ODD_FROM_MAPPED)
        return;
    memcpy(ip + (form->ipv6 ? 8 : 12), form->ipv6 ? froms6[form->odd] : froms4[form->odd],
           form->ipv6 ? 16 : 4);
}

static void ipv4_odd(uint8_t *ip, enum frame_odd odd)
{
    static const uint8_t flags[ODD_COUNT] = {
        [ODD_DONT_FRAGMENT] = 0x40, [ODD_RESERVED_BIT] = 0x80, [ODD_MORE_FRAGMENTS] = 0x20};
    ip[6] = flags[odd];
    ip[7] = odd == ODD_FRAGMENT;
    ip[1] = odd == ODD_SERVICE ? 0xb9 : 0;
    ip[0] = odd == ODD_OPTIONS ? 0x46 : odd == ODD_VERSION ? 0x55 : 0x45;
    ip[9] = odd == ODD_PROTOCOL ? 136 : UDP;
    if (odd == ODD_IP_LONG || odd == ODD_IP_ZERO)
        store_be16(ip + 2, odd == ODD_IP_ZERO ? 0 : (uint16_t)(load_be16(ip + 2) + 100));
    if (odd == ODD_TO_OTHER_ADDRESS)
        ip[19]++;
}

static void ipv6_odd(uint8_t *ip, enum frame_odd odd)
{
    if (odd == ODD_SERVICE)
        store_be32(ip, 0x6b987654);
    else if (odd == ODD_VERSION)
        ip[0] = 0x40;
    ip[6] = odd == ODD_OPTIONS                                 ? 60
            : odd == ODD_MORE_FRAGMENTS || odd == ODD_FRAGMENT ? 44
            : odd == ODD_PROTOCOL                              ? 136
                                                               : UDP;
    if (odd == ODD_IP_LONG || odd == ODD_IP_ZERO)
        store_be16(ip + 4, odd == ODD_IP_ZERO ? 0 : (uint16_t)(load_be16(ip + 4) + 100));
    if (odd == ODD_TO_OTHER_ADDRESS)
        ip[39]++;
}

// Makes the headers as `form->odd` says; sums come later.
static void frame_spoil(struct frame *frame, const struct frame_form *form, uint8_t *udp)
{
    uint8_t *ip = frame->bytes + frame->ip_at;
    (form->ipv6 ? ipv6_odd : ipv4_odd)(ip, form->odd);
    from_set(ip, form);
    if (form->odd == ODD_UDP_SHORT)
        store_be16(udp + 4, (uint16_t)(load_be16(udp + 4) - 1));
    else if (form->odd == ODD_UDP_LONG)
        store_be16(udp + 4, (uint16_t)(load_be16(udp + 4) + 1));
    else if (form->odd == ODD_TO_OTHER_PORT)
        store_be16(udp + 2, WORLD_PORT + 1);
    else if (form->odd == ODD_TO_OTHER_HOST)
        frame->bytes[5]++;
    else if (form->odd == ODD_FROM_GROUP_OF_HOSTS)
        frame->bytes[6] |= 1;
}

static void sums_write(uint8_t *ip, const struct frame_form *form, uint8_t *udp)
{
    size_t addresses = form->ipv6 ? 8 : 12;
    if (!form->ipv6) {
        store_be16(ip + 10, 0);
        store_be16(ip + 10, (uint16_t)~inet_sum(ip, IPV4_LEN));
        if (form->odd == ODD_IP_SUM)
            ip[10]++;
    }
    uint16_t sum = (uint16_t)~udp_sum(ip, form->ipv6);
    if (form->odd == ODD_UDP_PARTIAL) // as Linux leaves it to hardware
        sum = folded(inet_sum(ip + addresses, form->ipv6 ? 32 : 8) + UDP + load_be16(udp + 4));
    if (!form->no_checksum && !(form->ipv6 && form->odd == ODD_IP_SUM))
        store_be16(udp + 6, sum ? sum : 0xffff);
}

void frame_write(struct frame *frame, const struct frame_form *form, const uint8_t *message,
                 size_t len)
{
    uint8_t *at = frame->bytes;
    memcpy(at, macs, sizeof macs);
    at += sizeof macs;
    for (unsigned i = 0; i < form->vlan_tags; i++, at += 4) {
        store_be16(at, i == 0 && form->vlan_tags > 1 ? 0x88a8 : 0x8100);
        store_be16(at + 2, (uint16_t)(100 + i));
    }
    store_be16(at, form->ipv6 ? 0x86dd : 0x0800);
    uint8_t *ip = at + 2;
    frame->ip_at = (size_t)(ip - frame->bytes);
    (form->ipv6 ? ipv6_write : ipv4_write)(ip, form, len);
    uint8_t *udp = ip + (form->ipv6 ? IPV6_LEN : IPV4_LEN);
    store_be16(udp, form->from ? form->from->port : form->port);
    store_be16(udp + 2, WORLD_PORT);
    store_be16(udp + 4, (uint16_t)(UDP_LEN + len));
    store_be16(udp + 6, 0);
    memcpy(udp + UDP_LEN, message, len);
    frame_spoil(frame, form, udp);
    sums_write(ip, form, udp);
    frame->message_at = (size_t)(udp + UDP_LEN - frame->bytes);
    frame->len = frame->message_at + len + form->padding;
    memset(frame->bytes + frame->message_at + len, 0xa5, form->padding);
}

struct client frame_client(const struct frame *frame, const struct frame_form *form)
{
    const uint8_t *ip = frame->bytes + frame->ip_at;
    struct client client = {
        .from = {.port = load_be16(frame->bytes + frame->message_at - UDP_LEN),
                 .family = form->ipv6 ? ADDRESS_IPV6 : ADDRESS_IPV4},
        .transport = TRANSPORT_UDP,
    };
    memcpy(client.from.ip, ip + (form->ipv6 ? 8 : 12), form->ipv6 ? 16 : 4);
    return client;
}

static const char *ipv4_check(const uint8_t *ip, const uint8_t *query, size_t len)
{
    if (ip[0] != 0x45 || ip[1] != 0 || ip[8] < 32 || ip[9] != UDP || load_be16(ip + 6) != 0)
        return "its IPv4 header";
    if (load_be16(ip + 2) != len)
        return "the length in its IPv4 header";
    if (inet_sum(ip, IPV4_LEN) != 0xffff)
        return "the checksum of its IPv4 header";
    return memcmp(ip + 12, query + 16, 4) == 0 && memcmp(ip + 16, query + 12, 4) == 0
               ? NULL
               : "its IPv4 addresses";
}

static const char *ipv6_check(const uint8_t *ip, const uint8_t *query, size_t len)
{
    if (load_be32(ip) != 0x60000000 || ip[6] != UDP || ip[7] < 32)
        return "its IPv6 header";
    if ((size_t)load_be16(ip + 4) + IPV6_LEN != len)
        return "the length in its IPv6 header";
    return memcmp(ip + 8, query + 24, 16) == 0 && memcmp(ip + 24, query + 8, 16) == 0
               ? NULL
               : "its IPv6 addresses";
}

const char *frame_check(const struct frame *query, const struct frame_form *form,
                        struct frame *reply)
{
    size_t ip_len = form->ipv6 ? IPV6_LEN : IPV4_LEN;
    reply->ip_at = query->ip_at;
    reply->message_at = query->message_at;
    const uint8_t *ip = reply->bytes + reply->ip_at, *udp = ip + ip_len;
    const uint8_t *asked = query->bytes + query->ip_at;
    if (reply->len < reply->message_at + 12)
        return "its length";
    if (memcmp(reply->bytes, query->bytes + MAC_LEN, MAC_LEN) != 0 ||
        memcmp(reply->bytes + MAC_LEN, query->bytes, MAC_LEN) != 0)
        return "its Ethernet addresses";
    if (memcmp(reply->bytes + sizeof macs, query->bytes + sizeof macs,
               query->ip_at - sizeof macs) != 0)
        return "its VLAN tags";
    if (reply->bytes[0] & 1)
        return "it goes to a group of hosts";
    size_t len = reply->len - reply->ip_at;
    const char *wrong = (form->ipv6 ? ipv6_check : ipv4_check)(ip, asked, len);
    if (wrong)
        return wrong;
    if (load_be16(udp + 4) != len - ip_len)
        return "the length in its UDP header";
    if (memcmp(udp, asked + ip_len + 2, 2) != 0 || memcmp(udp + 2, asked + ip_len, 2) != 0)
        return "its ports";
    if (load_be16(udp + 6) == 0 || udp_sum(ip, form->ipv6) != 0xffff)
        return "its UDP checksum";
    return NULL;
}
