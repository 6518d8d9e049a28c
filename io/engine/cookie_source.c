// SPDX-License-Identifier: MIT
#include "io/engine/cookie_source.h"

#include "io/net/entropy.h"

enum { PERIOD_S = 86400 };

int cookie_source_draw(struct cookie_source *source)
{
    *source = (struct cookie_source){.period_s = PERIOD_S};
    return entropy_draw(source->keys[0], SIPHASH_KEY_LEN);
}
