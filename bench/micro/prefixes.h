// SPDX-License-Identifier: MIT
#pragma once
#include "core/settings/settings.h"

// Prefixes as an operator's lists hold them, and clients that ask from within and without. The same
// numbers give the same ones everywhere.
//
// IPv4: six in ten are /24, the rest /22, /16 to /20 and single addresses, anywhere. IPv6: /32,
// /48, /56 and /64 out of 256 allocations.

// Fills `prefixes` with different prefixes of one family (enum address_family).
void prefixes_make(struct prefix *prefixes, size_t count, uint8_t family);

// Fills `clients`: every second one lies within one of the prefixes, the others anywhere.
void prefixes_clients(struct address *clients, size_t client_count, const struct prefix *prefixes,
                      size_t count);
