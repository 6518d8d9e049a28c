// SPDX-License-Identifier: MIT
#pragma once
#include "core/settings/settings.h"

// What the answers of a forward zone were made by, in 32 bits: the zone, its upstreams, and the
// settings that change what is cached of an upstream's answer. Whoever caches an answer keeps this
// with it, so that an answer made by others is not given when the settings change, nor by another
// process that reads it with settings of its own.
//
// Equal settings have equal fingerprints in every process. Others have the same one with a chance
// of 2^-32; nobody outside chooses settings, so no secret is needed. What only says how an upstream
// is asked, or how an answer is given, does not count.
[[nodiscard]] uint32_t settings_fingerprint(const struct settings *settings,
                                            const struct forward_zone *zone);
