// SPDX-License-Identifier: MIT
#include "core/policy/special.h"

#include <assert.h>

const struct special specials[] = {
#define SPECIAL(zone, kind, rfc) {zone, SPECIAL_##kind},
#include "core/policy/special.def"
#undef SPECIAL
};

const size_t special_count = sizeof specials / sizeof *specials;

_Static_assert(sizeof specials / sizeof *specials <= SPECIAL_MAX, "a row has its own number");

void special_name(const struct special *special, struct name *name)
{
    size_t len = 0;
    while (len < 128 && special->zone[len] != '\0')
        len++;
    bool parsed = name_parse(name, special->zone, len);
    assert(parsed);
}
