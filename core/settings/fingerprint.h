// SPDX-License-Identifier: MIT
#pragma once
#include "core/settings/settings.h"

// The settings that bear on the cached answers of a forward zone, in 32 bits: the zone, its
// upstreams, and what changes an upstream's answer before it is cached. Each answer is cached with
// it, so that an answer made under other settings is not used after a reload, nor by another
// process that reads it.
//
// Equal settings have equal fingerprints in every process. Different ones are equal with a chance
// of 2^-32; no attacker chooses settings, so there is no secret. Settings that only say how an
// upstream is asked, or how an answer is delivered, are left out.
[[nodiscard]] uint32_t settings_fingerprint(const struct settings *settings,
                                            const struct forward_zone *zone);
