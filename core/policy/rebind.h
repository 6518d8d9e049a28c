// SPDX-License-Identifier: MIT
#pragma once
#include "core/answer.h"
#include "core/settings/settings.h"

// Protection against DNS rebinding: a name of the outside must not lead to an address of the
// inside, or a web page's script could talk to the printer as if the two were one site.

// Is this an address that only means something inside a network: of this host, private (RFC 1918,
// 4193), shared (RFC 6598), link-local or unspecified; also as an IPv4 address inside an IPv6 one
// (mapped, or 64:ff9b::/96)? `len` is 4 or 16.
[[nodiscard]] bool rebind_is_inside(const uint8_t *ip, size_t len);

// May this name have such addresses: does it lie in a zone of filter.rebind-allow?
[[nodiscard]] bool rebind_allowed(const struct settings *settings, const uint8_t *name, size_t len);

// Has a value's answer section such an address, in an A or AAAA record or as a hint in HTTPS or
// SVCB?
[[nodiscard]] bool rebind_finds(const struct answer *answer);
