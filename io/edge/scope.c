// SPDX-License-Identifier: MIT
#include "io/edge/scope.h"

#include <ctype.h>
#include <net/if.h>
#include <stdio.h>

enum scope_verdict scope_number(const char *text, size_t len,
                                char numbered[static ADDRESS_TEXT_MAX])
{
    static const char ends[] = {']', ':', '@'};
    char name[IF_NAMESIZE];
    const char *percent = len > 0 ? memchr(text, '%', len) : NULL;
    if (!percent || len >= ADDRESS_TEXT_MAX)
        return SCOPE_NONE;
    size_t at = (size_t)(percent - text) + 1, name_len = 0;
    while (at + name_len < len && !memchr(ends, text[at + name_len], sizeof ends))
        name_len++;
    if (name_len == 0 || isdigit((unsigned char)text[at]))
        return SCOPE_NONE;
    if (name_len >= sizeof name)
        return SCOPE_UNKNOWN;
    memcpy(name, text + at, name_len);
    name[name_len] = '\0';
    unsigned index = if_nametoindex(name);
    int written = snprintf(numbered, ADDRESS_TEXT_MAX, "%.*s%u%.*s", (int)at, text, index,
                           (int)(len - at - name_len), text + at + name_len);
    return index > 0 && written < ADDRESS_TEXT_MAX ? SCOPE_NUMBERED : SCOPE_UNKNOWN;
}
