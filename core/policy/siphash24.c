// SPDX-License-Identifier: MIT
#include "core/policy/siphash24.h"

#include "core/wire/bytes.h"
#include "core/wire/siphash.h"

uint64_t siphash24(const uint8_t key[static SIPHASH_KEY_LEN], const uint8_t *data, size_t len)
{
    struct siphash s = siphash_begin(load_word(key), load_word(key + 8));
    size_t left = len;
    for (; left >= 8; left -= 8, data += 8)
        siphash24_word(&s, load_word(data));
    return siphash24_end(&s, load_part(data, left), len);
}
