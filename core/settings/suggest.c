// SPDX-License-Identifier: MIT
#include "core/settings/suggest.h"

#include "core/settings/words.h"

#include <stdint.h>

#define NEAR_LEN_MAX 63

// How many octets must be put in, left out, changed or swapped with their neighbour to get from
// one word to the other (the "optimal string alignment" distance). Only three rows are kept.
static size_t word_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    uint8_t rows[3][NEAR_LEN_MAX + 1];
    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = (uint8_t)j;
    for (size_t i = 1; i <= a_len; i++) {
        uint8_t *row = rows[i % 3];
        const uint8_t *above = rows[(i + 2) % 3];
        const uint8_t *above2 = rows[(i + 1) % 3];
        row[0] = (uint8_t)i;
        for (size_t j = 1; j <= b_len; j++) {
            unsigned best = above[j - 1] + (a[i - 1] != b[j - 1]);
            if (above[j] + 1u < best)
                best = above[j] + 1u;
            if (row[j - 1] + 1u < best)
                best = row[j - 1] + 1u;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                above2[j - 2] + 1u < best)
                best = above2[j - 2] + 1u;
            row[j] = (uint8_t)best;
        }
    }
    return rows[a_len % 3][b_len];
}

struct nearest nearest_to(const char *text, size_t len)
{
    // One slip in four letters; two words that share less are two words.
    return (struct nearest){.text = text, .len = len, .distance = len / 4 + 2};
}

void nearest_offer(struct nearest *nearest, const char *candidate)
{
    size_t len = text_len(candidate);
    if (nearest->len == 0 || nearest->len > NEAR_LEN_MAX || len > NEAR_LEN_MAX)
        return;
    size_t distance = word_distance(nearest->text, nearest->len, candidate, len);
    if (distance < nearest->distance && distance < len) {
        nearest->distance = distance;
        nearest->best = candidate;
    }
}
