// SPDX-License-Identifier: MIT
#include "io/edge/http_host.h"

#include <strings.h>

// The host without its port and final dot, as a place in the header's value.
static size_t name_length_of(const char *host)
{
    size_t len = strcspn(host, ":");
    if (len > 0 && host[len - 1] == '.')
        len--;
    return len;
}

static bool is_name(const char *host, size_t len, const char *name)
{
    size_t name_len = strlen(name);
    if (name_len > 0 && name[name_len - 1] == '.')
        name_len--;
    return len > 0 && len == name_len && strncasecmp(host, name, len) == 0;
}

bool http_host_allowed(const char *host, const struct text_list *names)
{
    struct address address;
    if (!host || address_parse(&address, host, strlen(host), 0))
        return true;
    size_t len = name_length_of(host);
    if (is_name(host, len, "localhost"))
        return true;
    for (size_t i = 0; i < names->count; i++) {
        if (is_name(host, len, names->items[i].text))
            return true;
    }
    return false;
}
