// SPDX-License-Identifier: MIT
#pragma once
#include "core/settings/settings.h"

// Who may ask. The prefixes of the settings are made into a trie once, so that the longest prefix's
// verdict is found in a few steps however many there are.
//
// A family's trie begins with a table for the first 16 bits of an address. Below it stand nodes of
// one octet each. A node that all its prefixes agree on is left out: the next one says which octets
// were skipped and what they have to be. Where nothing is longer than a node's octet, it is a leaf
// of 256 verdicts.
//
// All lies in one block, in the caller's memory, and refers to itself by offsets.

enum access_verdict { ACCESS_ALLOW, ACCESS_REFUSE, ACCESS_DROP };

struct access_list {
    const uint8_t *nodes;
    const uint32_t *ipv4; // for each value of the first 16 bits: a reference
    const uint32_t *ipv6;
    size_t node_octets; // of the block, what nodes take: for those who wonder
};

// Octets that access_build needs at most: half a megabyte and 1.4 KiB for each prefix. What it does
// not need it does not touch.
[[nodiscard]] size_t access_size(const struct settings *settings);

// Builds the list in `memory`. An address that no prefix covers is refused.
void access_build(struct access_list *list, void *memory, const struct settings *settings);

[[nodiscard]] enum access_verdict access_check(const struct access_list *list,
                                               const struct address *client);
