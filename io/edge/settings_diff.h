// SPDX-License-Identifier: MIT
#pragma once
#include "core/settings/settings.h"

// Differences between two settings, for a reload.

// Calls `tell` for each setting that differs, with its name and both values as text, cut short
// where they are long. Zones are named as changed, added or removed.
void settings_diff(const struct settings *from, const struct settings *to,
                   void (*tell)(void *context, const char *name, const char *from, const char *to),
                   void *context);

// Restores in `settings` the values of `running` that only a restart can change, and calls `tell`
// for each that differs. 0 or -ENOMEM.
[[nodiscard]] int settings_keep(struct settings *settings, const struct settings *running,
                                void (*tell)(void *context, const char *name, const char *from,
                                             const char *to),
                                void *context);
