// SPDX-License-Identifier: MIT
#include "core/endpoint.h"

#include <assert.h>
#include <stdio.h>

// A bounded loop, which compilers do not make a call of strlen.
static size_t scheme_len(const char *scheme)
{
    size_t len = 0;
    while (len < 16 && scheme[len] != '\0')
        len++;
    return len;
}

// The transport that the text begins with, and how long that is.
static enum transport scheme_find(const char *text, size_t len, size_t *used)
{
    for (unsigned t = 0; t < TRANSPORTS; t++) {
        const char *scheme = transport_traits[t].scheme;
        *used = scheme ? scheme_len(scheme) : 0;
        if (*used > 0 && len >= *used && memcmp(text, scheme, *used) == 0)
            return (enum transport)t;
    }
    *used = 0;
    return TRANSPORT_UDP;
}

static bool is_host_octet(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
}

// A host name in letters, digits and hyphens, as certificates have it (RFC 9525 6.3).
static bool name_read(struct endpoint *endpoint, const char *text, size_t len)
{
    size_t label = 0;
    if (len > 0 && text[len - 1] == '.')
        len--;
    if (len == 0 || len > ENDPOINT_NAME_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        label = text[i] == '.' ? 0 : label + 1;
        bool empty = text[i] == '.' && (i == 0 || text[i - 1] == '.');
        if (!is_host_octet(text[i]) || empty || label > 63)
            return false;
        endpoint->name[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] + 32) : text[i];
    }
    endpoint->name_len = (uint8_t)len;
    return true;
}

// An absolute path of printable octets (RFC 3986 3.3).
static bool path_read(struct endpoint *endpoint, const char *text, size_t len)
{
    if (len > ENDPOINT_PATH_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] <= ' ' || text[i] > '~' || text[i] == '?')
            return false;
        endpoint->path[i] = text[i];
    }
    endpoint->path_len = (uint8_t)len;
    return true;
}

static bool has_path(enum transport transport)
{
    return transport == TRANSPORT_DOH || transport == TRANSPORT_DOH3;
}

const char *endpoint_fault(enum endpoint_verdict verdict)
{
    static const char *const phrases[] = {
        [ENDPOINT_GOOD] = "is fine",
        [ENDPOINT_NO_ADDRESS] = "is no address",
        [ENDPOINT_NAME_UNUSED] =
            ("names a server for TLS, but does not ask for it: leave out # and "
             "the name"),
        [ENDPOINT_NAME_BAD] = "has no host name behind #: give one such as #dns.example",
        [ENDPOINT_PATH_UNUSED] = "has a path, which only DNS over HTTPS has: leave it out",
        [ENDPOINT_PATH_BAD] = "has no path that can be asked for: give up to 127 printable octets",
    };
    return phrases[verdict];
}

enum endpoint_verdict endpoint_parse(struct endpoint *endpoint, const char *text, size_t len)
{
    struct endpoint e = {0};
    size_t used;
    enum transport transport = scheme_find(text, len, &used);
    const struct transport_traits *traits = &transport_traits[transport];
    e.transport = (uint8_t)transport;
    text += used;
    len -= used;
    const char *hash = len > 0 ? memchr(text, '#', len) : NULL;
    if (hash && !traits->encrypted)
        return ENDPOINT_NAME_UNUSED;
    if (hash && !name_read(&e, hash + 1, len - (size_t)(hash - text) - 1))
        return ENDPOINT_NAME_BAD;
    len = hash ? (size_t)(hash - text) : len;
    const char *slash = len > 0 ? memchr(text, '/', len) : NULL;
    if (slash && used > 0 && !has_path(transport))
        return ENDPOINT_PATH_UNUSED;
    if (has_path(transport) && !(slash ? path_read(&e, slash, len - (size_t)(slash - text))
                                       : path_read(&e, ENDPOINT_PATH, sizeof ENDPOINT_PATH - 1)))
        return ENDPOINT_PATH_BAD;
    len = slash && used > 0 ? (size_t)(slash - text) : len;
    if (!address_parse(&e.address, text, len, traits->port))
        return ENDPOINT_NO_ADDRESS;
    memcpy(endpoint, &e, sizeof e);
    return ENDPOINT_GOOD;
}

size_t endpoint_format(const struct endpoint *endpoint, bool brief,
                       char text[static ENDPOINT_TEXT_MAX])
{
    const struct transport_traits *traits = &transport_traits[endpoint->transport];
    char address[ADDRESS_TEXT_MAX];
    struct address shown = endpoint->address;
    if (brief && shown.port == traits->port)
        shown.port = 0;
    address_format(&shown, address);
    bool plain = endpoint->transport == TRANSPORT_UDP;
    const char *open = "", *close = "";
    // Behind a scheme an IPv6 address has its brackets, as in any URI.
    if (!plain && shown.family == ADDRESS_IPV6 && shown.port == 0) {
        open = "[";
        close = "]";
    }
    int len =
        snprintf(text, ENDPOINT_TEXT_MAX, "%s%s%s%s%s%s%s", plain ? "" : traits->scheme, open,
                 address, close, endpoint->path, endpoint->name_len > 0 ? "#" : "", endpoint->name);
    assert(len > 0 && len < ENDPOINT_TEXT_MAX);
    return (size_t)len;
}
