// SPDX-License-Identifier: MIT
#pragma once
#include "core/address.h"
#include "core/transport.h"

// How an upstream is reached: its address and transport, and for encrypted ones the name in its
// certificate and the path of its queries. One server over two transports is two endpoints.

#define ENDPOINT_NAME_MAX 253 // octets of a host name (RFC 1035 2.3.4, as text without a final dot)
#define ENDPOINT_PATH_MAX 127
#define ENDPOINT_TEXT_MAX 512          // longest text, with the final NUL
#define ENDPOINT_PATH     "/dns-query" // the default (RFC 8484 4.1.1 leaves it open)

struct endpoint {
    struct address address;
    uint8_t transport; // enum transport
    uint8_t name_len;
    uint8_t path_len;
    char name[ENDPOINT_NAME_MAX + 1]; // ends in NUL, as does the path; empty: none
    char path[ENDPOINT_PATH_MAX + 1];
};

// Reads "192.0.2.53", "udp://192.0.2.53:5353", "tls://192.0.2.53#dns.example",
// "https://192.0.2.53/dns-query#dns.example" or "quic://[2001:db8::53]:8853#dns.example": a scheme
// (UDP without one), an address as address_parse reads it, a path where the transport is HTTP, and
// a server's name where it is encrypted. Octets of name and path that are not used are 0.
enum endpoint_verdict {
    ENDPOINT_GOOD,
    ENDPOINT_NO_ADDRESS,
    ENDPOINT_NAME_UNUSED, // names a server where the transport has no names
    ENDPOINT_NAME_BAD,
    ENDPOINT_PATH_UNUSED, // has a path where the transport has none
    ENDPOINT_PATH_BAD,
};
[[nodiscard]] enum endpoint_verdict endpoint_parse(struct endpoint *endpoint, const char *text,
                                                   size_t len);

// What is wrong, and what would be right: a phrase that follows the quoted text.
[[nodiscard]] const char *endpoint_fault(enum endpoint_verdict verdict);

// Writes the form that endpoint_parse reads; `brief` leaves out the scheme of UDP and the
// transport's default port. Returns the length.
size_t endpoint_format(const struct endpoint *endpoint, bool brief,
                       char text[static ENDPOINT_TEXT_MAX]);

static inline bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
    // Member by member, as padding behind the path is not always 0.
    return address_equal(&a->address, &b->address) && a->transport == b->transport &&
           a->name_len == b->name_len && a->path_len == b->path_len &&
           memcmp(a->name, b->name, sizeof a->name) == 0 &&
           memcmp(a->path, b->path, sizeof a->path) == 0;
}
