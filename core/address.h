// SPDX-License-Identifier: MIT
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// IP addresses, ports and prefixes as values, and their text forms. core knows no sockaddr; io
// translates. An IPv4 address has its 4 octets at the front of `ip`, and the rest is zero. A
// v4-mapped IPv6 address stays IPv6.

enum address_family { ADDRESS_NONE = 0, ADDRESS_IPV4 = 4, ADDRESS_IPV6 = 6 };
#define ADDRESS_TEXT_MAX 64 // longest text with brackets, scope, port and the final NUL

struct address {
    uint8_t ip[16];
    uint32_t scope; // interface index of a link-local IPv6 address, else 0
    uint16_t port;  // host byte order; 0: none given
    uint8_t family; // enum address_family
    uint8_t unused; // always 0, so that equal addresses are equal bytes
};

struct prefix {
    uint8_t ip[16]; // host bits are zero
    uint8_t length; // 0..32 or 0..128
    uint8_t family; // enum address_family
};

// Reads "192.0.2.1", "192.0.2.1:53", "192.0.2.1@53", "2001:db8::1", "[2001:db8::1]:53",
// "2001:db8::1@53" or "fe80::1%3" (a numeric scope). A missing port is port_default. The text is
// `len` octets and need not end in NUL. Returns false if it is none of these.
[[nodiscard]] bool address_parse(struct address *address, const char *text, size_t len,
                                 uint16_t port_default);

// Writes the form that address_parse reads, with the port where it is not 0; returns its length.
size_t address_format(const struct address *address, char text[static ADDRESS_TEXT_MAX]);

// Reads "10.0.0.0/8", "2001:db8::/32" or a bare address (its full length). Host bits that are set
// are an error, as they mostly are a typing mistake.
[[nodiscard]] bool prefix_parse(struct prefix *prefix, const char *text, size_t len);

// Writes "10.0.0.0/8"; returns its length.
size_t prefix_format(const struct prefix *prefix, char text[static ADDRESS_TEXT_MAX]);

static inline bool address_equal(const struct address *a, const struct address *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

// True for 0.0.0.0 and [::]: a socket there has many addresses, and a reply must leave from the one
// that was asked (RFC 2181 4).
static inline bool address_is_wildcard(const struct address *address)
{
    static const uint8_t none[16];
    return memcmp(address->ip, none, sizeof none) == 0;
}
