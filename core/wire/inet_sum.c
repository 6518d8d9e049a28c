// SPDX-License-Identifier: MIT
#include "core/wire/inet_sum.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the sum is turned at the end");

// The sum of numbers that are each turned is the sum turned (RFC 1071 2 B), and carries may be
// added at the end (2 A): so octets are taken four at a time as they lie.
uint16_t inet_sum(const uint8_t *octets, size_t len)
{
    uint64_t sum = 0;
    for (; len >= 4; octets += 4, len -= 4) {
        uint32_t four;
        memcpy(&four, octets, sizeof four);
        sum += four;
    }
    uint32_t rest = 0;
    memcpy(&rest, octets, len);
    sum += rest;
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return __builtin_bswap16((uint16_t)sum);
}
