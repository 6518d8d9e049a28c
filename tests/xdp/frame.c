// SPDX-License-Identifier: MIT
#include "tests/xdp/frame.h"

#include "core/wire/bytes.h"
#include "core/wire/inet_sum.h"

enum { IPV4_LEN = 20, IPV6_LEN = 40, UDP_LEN = 8, UDP = 17, MAC_LEN = 6, HOPS = 57 };

static const uint8_t macs[] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9};
static const uint8_t server4[] = {198, 51, 100, 1}, client4[] = {192, 0, 2, 0};
static const uint8_t server6[] = {0x20, 1, 0xd, 0xb8, [15] = 1};
static const uint8_t client6[] = {0x20, 1, 0xd, 0xb8, [7] = 7, [15] = 0};

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
    store_be16(udp, form->port);
    store_be16(udp + 2, WORLD_PORT);
    store_be16(udp + 4, (uint16_t)(UDP_LEN + len));
    store_be16(udp + 6, 0);
    memcpy(udp + UDP_LEN, message, len);
    uint16_t sum = (uint16_t)~udp_sum(ip, form->ipv6);
    if (!form->no_checksum)
        store_be16(udp + 6, sum ? sum : 0xffff);
    frame->message_at = (size_t)(udp + UDP_LEN - frame->bytes);
    frame->len = frame->message_at + len + form->padding;
    memset(frame->bytes + frame->message_at + len, 0xa5, form->padding);
}

struct client frame_client(const struct frame_form *form)
{
    struct client client = {
        .from = {.port = form->port, .family = form->ipv6 ? ADDRESS_IPV6 : ADDRESS_IPV4},
        .transport = TRANSPORT_UDP,
    };
    memcpy(client.from.ip, form->ipv6 ? client6 : client4, form->ipv6 ? 16 : 4);
    client.from.ip[form->ipv6 ? 15 : 3] = form->host;
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
