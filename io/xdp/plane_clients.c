// SPDX-License-Identifier: MIT
#include "io/xdp/plane_clients.h"

#include <stdlib.h>

enum { LISTS = 3 };

static const struct prefix_list *list_of(const struct settings *settings, unsigned index)
{
    const struct prefix_list *lists[LISTS] = {&settings->access_allow, &settings->access_refuse,
                                              &settings->access_drop};
    return lists[index];
}

// Eight octets of a mask of `length` bits, from the octet `at` on.
static uint64_t mask_word(unsigned length, unsigned at)
{
    uint8_t octets[8];
    for (unsigned i = 0; i < sizeof octets; i++) {
        unsigned before = 8 * (at + i);
        unsigned bits = length <= before ? 0 : length - before;
        octets[i] = (uint8_t)(bits >= 8 ? 0xff : 0xff00 >> bits);
    }
    uint64_t word;
    memcpy(&word, octets, sizeof word);
    return word;
}

// What stands for a prefix among few of its family.
struct few {
    uint8_t length;
    struct plane_few4 four;
    struct plane_few6 six;
};

static struct few few_of(const struct prefix *prefix, bool allowed)
{
    struct few few = {.length = prefix->length,
                      .four.mask = (uint32_t)mask_word(prefix->length, 0),
                      .four.allowed = allowed,
                      .six.mask = {mask_word(prefix->length, 0), mask_word(prefix->length, 8)},
                      .six.allowed = allowed};
    memcpy(&few.four.ip, prefix->ip, sizeof few.four.ip);
    memcpy(few.six.ip, prefix->ip, sizeof few.six.ip);
    return few;
}

static int longer_first(const void *a, const void *b)
{
    return ((const struct few *)b)->length - ((const struct few *)a)->length;
}

// Returns how many there are, or PLANE_FEW + 1 where they are too many.
static unsigned few_collect(const struct settings *settings, enum address_family family,
                            struct few few[static PLANE_FEW])
{
    unsigned count = 0;
    for (unsigned list = 0; list < LISTS; list++) {
        const struct prefix_list *prefixes = list_of(settings, list);
        for (size_t i = 0; i < prefixes->count; i++) {
            if (prefixes->items[i].family != family)
                continue;
            if (count == PLANE_FEW)
                return PLANE_FEW + 1;
            few[count++] = few_of(&prefixes->items[i], list == 0);
        }
    }
    qsort(few, count, sizeof *few, longer_first);
    return count;
}

static void config_fill(const struct settings *settings, struct plane_config *config)
{
    struct few few[PLANE_FEW];
    config->few4_count = (uint8_t)few_collect(settings, ADDRESS_IPV4, few);
    for (unsigned i = 0; i < PLANE_FEW && i < config->few4_count; i++)
        config->few4[i] = few[i].four;
    config->few6_count = (uint8_t)few_collect(settings, ADDRESS_IPV6, few);
    for (unsigned i = 0; i < PLANE_FEW && i < config->few6_count; i++)
        config->few6[i] = few[i].six;
}

int plane_clients_fill(struct plane *plane, const struct settings *settings,
                       struct plane_config *config)
{
    int error = plane_allow_clear(plane);
    config_fill(settings, config);
    for (unsigned list = 0; list < LISTS; list++) {
        const struct prefix_list *prefixes = list_of(settings, list);
        for (size_t i = 0; i < prefixes->count && error == 0; i++)
            error = plane_allow(plane, &prefixes->items[i], list == 0);
    }
    return error;
}
