// SPDX-License-Identifier: MIT
#pragma once
#include "core/wire/name.h"

// Special names: the table of special.def, one row for each zone.

enum special_kind {
    SPECIAL_EMPTY,
    SPECIAL_NOTHING,
    SPECIAL_LOOPBACK,
    SPECIAL_LOCALHOST,
    SPECIAL_INSECURE,
    SPECIAL_DESIGNATED,
};

struct special {
    const char *zone; // as text
    uint8_t kind;     // enum special_kind
};

#define SPECIAL_MAX 254 // rows at most: local_name.special is 0 or 255 where it is no row

extern const struct special specials[];
extern const size_t special_count;

// The zone's name, in lower case.
void special_name(const struct special *special, struct name *name);
