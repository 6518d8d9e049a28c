// SPDX-License-Identifier: MIT
#pragma once
#include "core/settings/settings.h"

// Access lists: which clients may ask. The prefixes of the settings become a trie, so the longest
// matching prefix is found in a few steps however many there are.
//
// The trie of a family begins with a table for the first 16 bits of an address. Below it each node
// is for one octet. Nodes with a single child are left out; the next one says which octets were
// skipped and their values. A node without longer prefixes is a leaf of 256 verdicts.
//
// All of it is one block in the caller's memory, with offsets inside.

enum access_verdict { ACCESS_ALLOW, ACCESS_REFUSE, ACCESS_DROP };

struct access_list {
    const uint8_t *nodes;
    const uint32_t *ipv4; // for each value of the first 16 bits: a reference
    const uint32_t *ipv6;
    size_t node_octets; // used by nodes, for tests and statistics
};

// Octets that access_build needs at most: half a megabyte, and 1.4 KiB for each prefix. It touches
// only what it needs.
[[nodiscard]] size_t access_size(const struct settings *settings);

// Builds the list in `memory`. An address without a matching prefix is refused.
void access_build(struct access_list *list, void *memory, const struct settings *settings);

[[nodiscard]] enum access_verdict access_check(const struct access_list *list,
                                               const struct address *client);
