// SPDX-License-Identifier: MIT
#pragma once
#include "core/policy/local.h"
#include "core/settings/settings.h"

#include <stdbool.h>

// The settings and local names of all seeds, made once for a process.

void house_make(void);

// Settings for the parameters of this seed, in the caller's struct; their lists are the house's.
// `more`: with one more address to listen on, and with only one upstream. `cache_mib`: the size of
// the cache.
void house_settings(struct settings *settings, bool more, unsigned cache_mib);
const struct local *house_local(void);
