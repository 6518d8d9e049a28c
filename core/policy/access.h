// SPDX-License-Identifier: MIT
#pragma once
#include "core/settings/settings.h"

// Who may ask. The prefixes of the settings are flattened once into ranges that do not overlap,
// sorted by their first address, so that the longest prefix's verdict is found by one binary
// search however many there are.

enum access_verdict { ACCESS_ALLOW, ACCESS_REFUSE, ACCESS_DROP };

struct access_range {
    uint64_t first[2]; // first address, as two numbers; reaches up to the next range
    uint8_t verdict;   // enum access_verdict
};

struct access_list {
    const struct access_range *ipv4;
    const struct access_range *ipv6;
    size_t ipv4_count; // at least 1: the first range begins at the lowest address
    size_t ipv6_count;
};

// Octets that access_build needs.
[[nodiscard]] size_t access_size(const struct settings *settings);

// Builds the list in `memory`. An address that no prefix covers is refused.
void access_build(struct access_list *list, void *memory, const struct settings *settings);

[[nodiscard]] enum access_verdict access_check(const struct access_list *list,
                                               const struct address *client);
