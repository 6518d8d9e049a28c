// SPDX-License-Identifier: MIT
#include "bench/micro/prefixes.h"

// A small generator (splitmix64).
static uint64_t draw(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static void octets_draw(uint8_t *ip, size_t count, uint64_t *seed)
{
    for (size_t i = 0; i < count; i++)
        ip[i] = (uint8_t)(draw(seed) >> 8);
}

static void ip_draw(uint8_t ip[16], uint8_t family, uint64_t *seed)
{
    memset(ip, 0, 16);
    if (family == ADDRESS_IPV4) {
        octets_draw(ip, 4, seed);
        return;
    }
    uint64_t allocation = draw(seed) % 256 + 1;
    octets_draw(ip, 4, &allocation);
    ip[0] = 0x2a;
    ip[1] &= 0x0f;
    octets_draw(ip + 4, 12, seed);
}

static uint8_t length_draw(uint8_t family, uint64_t *seed)
{
    static const uint8_t ipv4[] = {24, 24, 24, 24, 24, 24, 22, 22, 16, 32};
    static const uint8_t ipv6[] = {32, 48, 48, 56, 64};
    if (family == ADDRESS_IPV6)
        return ipv6[draw(seed) % sizeof ipv6];
    uint8_t length = ipv4[draw(seed) % sizeof ipv4];
    return length == 16 ? (uint8_t)(16 + draw(seed) % 5) : length;
}

static bool given_already(const struct prefix *prefixes, size_t count, const struct prefix *prefix)
{
    for (size_t i = 0; i < count; i++) {
        if (memcmp(&prefixes[i], prefix, sizeof *prefix) == 0)
            return true;
    }
    return false;
}

void prefixes_make(struct prefix *prefixes, size_t count, uint8_t family)
{
    uint64_t seed = family;
    for (size_t i = 0; i < count;) {
        struct prefix prefix = {.family = family, .length = length_draw(family, &seed)};
        ip_draw(prefix.ip, family, &seed);
        for (unsigned bit = prefix.length; bit < 128; bit++)
            prefix.ip[bit / 8] = (uint8_t)(prefix.ip[bit / 8] & ~(0x80 >> bit % 8));
        if (!given_already(prefixes, i, &prefix))
            prefixes[i++] = prefix;
    }
}

void prefixes_clients(struct address *clients, size_t client_count, const struct prefix *prefixes,
                      size_t count)
{
    uint64_t seed = count;
    for (size_t i = 0; i < client_count; i++) {
        struct address *client = &clients[i];
        *client =
            (struct address){.family = prefixes->family, .port = (uint16_t)(1024 + i % 60000)};
        ip_draw(client->ip, client->family, &seed);
        const struct prefix *prefix = &prefixes[draw(&seed) % count];
        for (unsigned bit = 0; i % 2 && bit < prefix->length; bit++) {
            uint8_t mask = (uint8_t)(0x80 >> bit % 8);
            client->ip[bit / 8] =
                (uint8_t)((client->ip[bit / 8] & ~mask) | (prefix->ip[bit / 8] & mask));
        }
    }
}
