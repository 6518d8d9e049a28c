// SPDX-License-Identifier: MIT
#include "core/policy/nat64.h"

#include <string.h>

void nat64_embed(const struct prefix *prefix, const uint8_t ipv4[static 4], uint8_t ipv6[static 16])
{
    size_t at = prefix->length / 8u;
    memcpy(ipv6, prefix->ip, 16);
    for (size_t i = 0; i < 4; i++, at++) {
        at += at == 8; // bits 64 to 71 are zero
        ipv6[at] = ipv4[i];
    }
}

bool nat64_extract(const struct prefix *prefix, const uint8_t ipv6[static 16],
                   uint8_t ipv4[static 4])
{
    size_t at = prefix->length / 8u;
    if (prefix->length % 8 != 0 || at > 12 || !nat64_lies_in(prefix, ipv6))
        return false;
    for (size_t i = 0; i < 4; i++, at++) {
        at += at == 8;
        ipv4[i] = ipv6[at];
    }
    return true;
}

bool nat64_lies_in(const struct prefix *prefix, const uint8_t ipv6[static 16])
{
    size_t whole = prefix->length / 8u, rest = prefix->length % 8u;
    if (prefix->family != ADDRESS_IPV6 || memcmp(prefix->ip, ipv6, whole) != 0)
        return false;
    return rest == 0 || (prefix->ip[whole] ^ ipv6[whole]) >> (8 - rest) == 0;
}
