// SPDX-License-Identifier: MIT
#include "core/policy/error_loop.h"

#include "core/wire/bytes.h"
#include "core/wire/siphash.h"

void error_loop_init(struct error_loop *loop, const uint64_t seed[2])
{
    *loop = (struct error_loop){.seed = {seed[0], seed[1]}};
}

static uint64_t hash_of(const struct error_loop *loop, const struct address *from)
{
    struct siphash hash = siphash_begin(loop->seed[0], loop->seed[1]);
    siphash_word(&hash, load_word(from->ip));
    siphash_word(&hash, load_word(from->ip + 8));
    return siphash_end(&hash, (uint64_t)from->port << 8 | from->family, sizeof from->ip + 3);
}

bool error_loop_may(struct error_loop *loop, uint64_t now_us, const struct address *from)
{
    uint64_t hash = hash_of(loop, from);
    typeof(&loop->places[0]) place = &loop->places[hash % ERROR_LOOP_PLACES];
    if (place->from_hash != hash || now_us - place->last_us >= ERROR_LOOP_QUIET_US) {
        place->from_hash = hash;
        place->errors = 0;
    }
    place->last_us = now_us;
    if (place->errors == ERROR_LOOP_MAX)
        return false;
    place->errors++;
    return true;
}
