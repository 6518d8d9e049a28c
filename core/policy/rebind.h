// SPDX-License-Identifier: MIT
#pragma once
#include "core/answer.h"
#include "core/settings/settings.h"

// Protection against DNS rebinding: an external name must not lead to an internal address, or a web
// page's script could reach the printer as if both were one site.

// True for an address that has a meaning only inside a network: of this host, private (RFC 1918,
// 4193), shared (RFC 6598), link-local, unspecified, or of the prefix for local translators (RFC
// 8215). Also as an IPv4 address inside an IPv6 one: mapped, compatible (RFC 4291 2.5.5),
// translated (RFC 2765 2.1, RFC 6052, and this network's prefix `nat64`) or 6to4 (RFC 3056). `len`
// is 4 or 16.
[[nodiscard]] bool rebind_is_inside(const struct prefix *nat64, const uint8_t *ip, size_t len);

// True if this name may have such addresses, as it is in a zone of filter.rebind-allow.
[[nodiscard]] bool rebind_allowed(const struct settings *settings, const uint8_t *name, size_t len);

// Where an answer has such an address, in an A or AAAA record or as a hint in HTTPS or SVCB.
enum rebind_place { REBIND_NOWHERE, REBIND_ADDITIONAL, REBIND_ANSWER };
[[nodiscard]] enum rebind_place rebind_finds(const struct settings *settings,
                                             const struct answer *answer);
